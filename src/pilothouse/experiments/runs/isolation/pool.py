"""A pool of workers: one row each at a time; one that takes too long is killed, one that dies is replaced."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from msgspec import Struct

from pilothouse.core.errors import Interrupted, UserCodeError
from pilothouse.experiments.runs.cache import RunNodeCache
from pilothouse.experiments.runs.engine.backend import Batch
from pilothouse.experiments.runs.engine.feed import Crew, Feed
from pilothouse.experiments.runs.engine.lines import Line
from pilothouse.experiments.runs.engine.outcome import is_time_limit
from pilothouse.experiments.runs.interrupts import Stop, unless_stopped
from pilothouse.experiments.runs.isolation.processes import StartMethod, Warden, Worker
from pilothouse.experiments.runs.isolation.types import (
    Answer,
    Asked,
    Gather,
    Gathered,
    Kept,
    Leave,
    Opening,
    Ran,
    Ready,
    Refused,
    Report,
    Task,
    WorkerDied,
    ending,
)
from pilothouse.experiments.runs.journal import Journal, Recorded
from pilothouse.experiments.runs.rowcodec import decode_row
from pilothouse.flows.results import AggregationResult, ErrorInfo

#: Seconds for which a run has one worker alone: a short run does not pay for more.
PATIENCE = 0.2

#: Seconds beyond the row's limit in which a worker may say by itself what its nodes did until then.
MARGIN = 0.25

#: Seconds in which idle workers may write their last spans.
FAREWELL = 5.0

#: Workers that end one after another while they open the flow before the run gives up.
STILLBORN = 3


class PoolOptions(Struct, frozen=True, kw_only=True):
    """How a pool works.

    Attributes:
        workers: Processes at most.
        method: How they are started.
        timeout: Seconds a row may take; None for no limit.
        grace: Seconds that rows in flight may go on once somebody asked to stop.
    """

    workers: int
    method: StartMethod
    timeout: float | None
    grace: float


class WorkerPool:
    """Runs the lines of a run in processes. Use it as an async context manager: none is left behind it.

    Args:
        opening: What workers open.
        options: How the pool works.
        cache: Answers in place of nodes; workers ask for it over their channels.
        stop: Whether somebody asked to stop; looked at while the first worker opens the flow.

    Raises:
        PilothouseError: what opening the flow raises.
    """

    remedy = ""

    def __init__(self, opening: Opening, options: PoolOptions, *, cache: RunNodeCache | None, stop: Stop) -> None:
        self._opening = opening
        self._options = options
        self._cache = cache
        self._stop = stop
        self._warden = Warden(options.method)
        self._idle: list[Worker] = []
        self._stillborn = 0
        self._has_opened = False
        self._slots: int | None = None

    async def __aenter__(self) -> Self:
        try:
            self._warden.start()
            has_ended, worker = await unless_stopped(self._hired(), self._stop, grace=0.0)
            if not has_ended or worker is None:
                raise Interrupted("stopped before the first row; nothing was changed", fix="run the same command again")
        except BaseException:
            await self._warden.close()
            raise
        self._idle.append(worker)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            for worker in self._idle:
                worker.send(Leave())
            if self._idle:
                await asyncio.wait([worker.died for worker in self._idle], timeout=FAREWELL)
        finally:
            await self._warden.close()

    @property
    def timeout(self) -> float | None:
        """Seconds a row may take."""
        return self._options.timeout

    # Rows

    async def run(self, batch: Batch) -> bool:
        """Run lines until none is left or somebody asks to stop; return whether every one has an outcome."""
        feed = Feed(batch.lines, batch.stop, batch.meter)
        has_ended, _ = await unless_stopped(self._work(batch, feed), batch.stop, self._options.grace)
        if feed.error is not None:
            raise feed.error
        return has_ended and not feed.has_more

    async def _work(self, batch: Batch, feed: Feed) -> None:
        crew = Crew(batch.writer, batch.meter)

        async def serve() -> None:
            await self._serve(batch, feed, crew)

        async def serve_and_hire() -> None:
            more = asyncio.get_running_loop().call_later(PATIENCE, crew.hire, serve, self._most(batch))
            try:
                await serve()
            finally:
                more.cancel()

        crew.hire(serve_and_hire, 1)
        await crew.finish()

    def _most(self, batch: Batch) -> int:
        # Each worker has a client of its own, so that of a model in the process too: no more than it serves at once.
        return min(batch.concurrency or self._options.workers, self._slots or self._options.workers)

    async def _serve(self, batch: Batch, feed: Feed, crew: Crew) -> None:
        """Run lines in one worker and in those that replace it."""
        worker: Worker | None = None
        while lines := await feed.take(1):
            if lines[0].inputs is None:
                await crew.record([batch.finish(lines[0], None)])
                continue
            if worker is None:
                try:
                    worker = self._idle.pop() if self._idle else await self._hired()
                except BaseException:
                    feed.give_back(lines)
                    raise
            row, is_well = await self._run(worker, lines[0], batch)
            if not is_well:
                worker = None
            await crew.record([row])
        if worker is not None:
            self._idle.append(worker)

    async def _run(self, worker: Worker, line: Line, batch: Batch) -> tuple[Recorded, bool]:
        """Run a line; return its row, and whether the worker can take another."""
        limit = self._options.timeout
        worker.send(Task(line, batch.finish.attempt))
        try:
            async with asyncio.timeout(None if limit is None else limit + MARGIN):
                report = await self._heard(worker)
        except TimeoutError as error:
            await worker.kill()
            return batch.finish(line, error), False
        except WorkerDied as death:
            return batch.finish(line, death), False
        assert isinstance(report, Ran)
        row = decode_row(report.row)
        is_late = is_time_limit(row.error)
        if is_late:
            # A tool may hang in it still.
            await worker.kill()
        return batch.finish.priced(row, report.row), not is_late

    async def aggregate(self, journal: Journal) -> AggregationResult:
        """Aggregate the completed rows of a journal in one worker."""
        worker = self._idle.pop() if self._idle else await self._hired()
        worker.send(Gather(journal.path, journal.repeat))
        try:
            report = await self._heard(worker)
        except WorkerDied as death:
            message = f"the worker process {ending(death.code)} while it aggregated"
            return AggregationResult(error=ErrorInfo(type=type(death).__name__, message=message))
        assert isinstance(report, Gathered)
        self._idle.append(worker)
        return report.result

    # Workers

    async def _hired(self) -> Worker:
        """Return a worker that has opened the flow."""
        while True:
            worker = await self._warden.hire()
            worker.send(self._opening)
            try:
                report = await worker.receive()
            except WorkerDied as death:
                self._stillborn += 1
                if not self._has_opened or self._stillborn >= STILLBORN:
                    raise UserCodeError(
                        f"a worker process {ending(death.code)} while it opened the flow",
                        where=str(self._opening.flow.path),
                        fix="look at what the flow's code does when it is imported; standard error may say more",
                    ) from death
                continue
            if isinstance(report, Refused):
                raise report.error()
            assert isinstance(report, Ready)
            self._stillborn = 0
            self._slots = report.slots
            self._has_opened = True
            return worker

    async def _heard(self, worker: Worker) -> Report:
        """Return what a worker says of its task, after its questions to the cache were answered."""
        answers: set[asyncio.Task[None]] = set()
        try:
            while True:
                report = await worker.receive()
                if self._cache is not None and isinstance(report, Asked):
                    task = asyncio.create_task(_answer(self._cache, worker, report))
                    answers.add(task)
                    task.add_done_callback(answers.discard)
                elif self._cache is not None and isinstance(report, Kept):
                    await self._cache.put(report.key, report.value)
                else:
                    return report
        finally:
            for task in answers:
                task.cancel()


async def _answer(cache: RunNodeCache, worker: Worker, asked: Asked) -> None:
    worker.send(Answer(asked.number, await cache.get(asked.key)))
