"""One attempt of one run, from its first row to its metrics, however it ends."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from decimal import Decimal

import msgspec

from pilothouse.core.clock import Clock
from pilothouse.core.errors import PilothouseError, StorageError
from pilothouse.core.storage.files import AppendLog
from pilothouse.experiments.runs.cache import RunNodeCache
from pilothouse.experiments.runs.engine.backend import Backend, Batch
from pilothouse.experiments.runs.engine.lines import Line
from pilothouse.experiments.runs.engine.outcome import RowMaker, cost_of
from pilothouse.experiments.runs.engine.plan import Plan
from pilothouse.experiments.runs.engine.pricing import Price, Tariffs
from pilothouse.experiments.runs.engine.progress import Meter, Tally
from pilothouse.experiments.runs.interrupts import Stop, unless_stopped
from pilothouse.experiments.runs.journal import Journal, RowIndex, RowWriter
from pilothouse.experiments.runs.settings import RunSettings
from pilothouse.experiments.runs.store import RunStore
from pilothouse.experiments.runs.types import CacheUse, Counts, Progress, RowStatus, Run, RunStatus, Totals
from pilothouse.flows.results import AggregationResult, ErrorInfo

OnProgress = Callable[[Progress], None]

#: Seconds between two glances at the progress.
PULSE = 0.1


class Tools(msgspec.Struct, frozen=True, kw_only=True):
    """What an attempt works with."""

    store: RunStore
    price: Price
    settings: RunSettings
    clock: Clock


class Execution:
    """One attempt.

    Args:
        run: The run with this attempt as its last.
        plan: What is to be done.
        journal: The run's rows.
        log: The same file, open for writing.
        tools: What it works with.
        tally: Rows that keep their outcome from earlier attempts.
    """

    def __init__(self, run: Run, plan: Plan, *, journal: Journal, log: AppendLog, tools: Tools, tally: Tally) -> None:
        self.run = run
        self._plan = plan
        self._journal = journal
        self._log = log
        self._tools = tools
        self._tally = tally
        self._kept = tally.done
        self._meter = Meter(run.name, tally, plan.total, tools.clock)
        self._began = tools.clock.monotonic()
        self._tariffs = Tariffs(tools.price, tools.clock.now())

    async def go(
        self,
        backend: Backend,
        lines: Iterator[Line],
        *,
        cache: RunNodeCache | None,
        stop: Stop,
        on_progress: OnProgress | None,
    ) -> Run:
        """Run the lines, aggregate, record how it ended, and return the ended run.

        Raises:
            DataError: when the data cannot be read any further.
            StorageError: when the disk or the database fails; the run can be resumed.
        """
        try:
            async with self._glances(on_progress):
                is_complete = await self._run_rows(backend, lines, stop)
                await self._end(backend, cache, stop, is_complete=is_complete)
        except asyncio.CancelledError:
            self._close("interrupted", cache)
            raise
        except PilothouseError as error:
            # A disk that is full for rows may be full for records too; the rows alone tell how far it came.
            with suppress(StorageError):
                self._close("interrupted" if isinstance(error, StorageError) else "failed", cache, error=_info(error))
            raise
        self._meter.phase = "done"
        if on_progress is not None:
            on_progress(self._meter.glance())
        return self.run

    async def _run_rows(self, backend: Backend, lines: Iterator[Line], stop: Stop) -> bool:
        """Run the lines; return whether every one has an outcome."""
        settings = self._tools.settings
        finish = RowMaker(
            attempt=self.run.attempts[-1].number,
            timeout=backend.timeout,
            remedy=backend.remedy,
            tariffs=self._tariffs,
            clock=self._tools.clock,
        )
        writer = RowWriter(
            self._log, interval=settings.flush_interval, batch=settings.flush_rows, on_recorded=self._tally.add
        )
        async with writer:
            return await backend.run(
                Batch(
                    lines=lines,
                    writer=writer,
                    finish=finish,
                    stop=stop,
                    meter=self._meter,
                    concurrency=self.run.spec.concurrency,
                )
            )

    async def _end(self, backend: Backend, cache: RunNodeCache | None, stop: Stop, *, is_complete: bool) -> None:
        if cache is not None:
            await cache.flush()
        stopped: RunStatus = "cancelled" if stop.is_cancel else "interrupted"
        if not is_complete:
            self._close(stopped, cache)
            return
        made: AggregationResult | None = None
        if self._plan.flow.has_aggregation and self._tally.completed:
            self._meter.phase = "aggregation"
            has_ended, made = await unless_stopped(backend.aggregate(self._journal), stop, self._tools.settings.grace)
            if not has_ended:
                self._close(stopped, cache)
                return
        self._close(None, cache, made=made)

    def _close(
        self,
        status: RunStatus | None,
        cache: RunNodeCache | None,
        *,
        made: AggregationResult | None = None,
        error: ErrorInfo | None = None,
    ) -> None:
        """Record how the attempt ended; without a ``status`` the rows decide."""
        is_first = len(self.run.attempts) == 1
        tally = self._tally if is_first else recount(self._journal)
        totals = tally.totals()
        if made is not None:
            totals = _with_aggregation(totals, made, self._tariffs)
            error = error or made.error
        is_whole = status is None and self._plan.total is None
        counts = tally.counts(tally.done if is_whole else self._plan.total)
        metrics, odd = _metrics(made)
        afterthoughts = self._plan.afterthoughts() if status is None else []
        self.run = msgspec.structs.replace(
            self.run,
            status=status or _status(counts, has_error=error is not None),
            counts=counts,
            totals=totals,
            cache=cache.use() if cache is not None else CacheUse(),
            metrics=metrics,
            notes=tuple(dict.fromkeys((*self._plan.notes, *odd, *afterthoughts, *_remarks(counts, cache, made)))),
            error=error,
        )
        attempt = msgspec.structs.replace(
            self.run.attempts[-1],
            ended_at=self._tools.clock.now(),
            status=self.run.status,
            rows=self._tally.done - self._kept,
            duration=self._tools.clock.monotonic() - self._began,
        )
        self.run = msgspec.structs.replace(self.run, attempts=(*self.run.attempts[:-1], attempt))
        self._tools.store.update(self.run)

    @asynccontextmanager
    async def _glances(self, on_progress: OnProgress | None) -> AsyncGenerator[None]:
        """Show the progress while the block runs."""

        async def show() -> None:
            while on_progress is not None:
                on_progress(self._meter.glance())
                await asyncio.sleep(PULSE)

        task = asyncio.create_task(show())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def recount(journal: Journal, status: RowStatus | None = None, index: RowIndex | None = None) -> Tally:
    """Return the sums over the latest outcomes of a journal's rows."""
    tally = Tally()
    tally.add(journal.sums(status=status, index=index))
    return tally


def _status(counts: Counts, *, has_error: bool) -> RunStatus:
    if counts.total is not None and counts.done < counts.total:
        return "interrupted"
    if not counts.completed:
        return "failed"
    return "completed_with_errors" if counts.unsuccessful or has_error else "completed"


def _metrics(made: AggregationResult | None) -> tuple[dict[str, float], list[str]]:
    given = made.metrics if made is not None else {}
    finite = {key: value for key, value in given.items() if math.isfinite(value)}
    return finite, [
        f"the metric '{key}' is {value} and was not kept" for key, value in given.items() if key not in finite
    ]


def _remarks(counts: Counts, cache: RunNodeCache | None, made: AggregationResult | None) -> list[str]:
    remarks = list(made.notes) if made is not None else []
    if made is not None and counts.unsuccessful:
        remarks.append(f"metrics are over {counts.completed:,} of {counts.done:,} rows; the others have no answer")
    if cache is not None and cache.use().errors:
        remarks.append("the node cache failed and was not used any further")
    return remarks


def _with_aggregation(totals: Totals, made: AggregationResult, tariffs: Tariffs) -> Totals:
    spent = cost_of(made.nodes, tariffs)
    return msgspec.structs.replace(
        totals,
        usage=totals.usage + made.usage,
        cached_usage=totals.cached_usage + made.cached_usage,
        cost=_sum(totals.cost, spent.cost),
        cached_cost=_sum(totals.cached_cost, spent.cached_cost),
        unpriced=totals.unpriced + spent.unpriced,
    )


def _sum(left: Decimal | None, right: Decimal | None) -> Decimal | None:
    return right if left is None else left if right is None else left + right


def _info(error: PilothouseError) -> ErrorInfo:
    return ErrorInfo(type=type(error).__name__, message=str(error))
