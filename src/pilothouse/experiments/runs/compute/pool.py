"""The rows of a run on Ray: workers that have many lines at once, and a driver that alone records."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from msgspec import Struct

from pilothouse.core.errors import Interrupted, PilothouseError, UserCodeError
from pilothouse.core.storage.files import AppendLog
from pilothouse.experiments.runs.cache import RunNodeCache
from pilothouse.experiments.runs.compute.actor import REMEDY
from pilothouse.experiments.runs.compute.link import RayLink
from pilothouse.experiments.runs.compute.member import Member
from pilothouse.experiments.runs.compute.shipment import Shipment
from pilothouse.experiments.runs.compute.suspects import COMPANY, Key, Suspects, key_of
from pilothouse.experiments.runs.compute.types import Answers, Collate, Deliver, NoRoom, WorkerLost
from pilothouse.experiments.runs.compute.window import Window
from pilothouse.experiments.runs.engine.backend import Batch, completed_lines, most_in_flight
from pilothouse.experiments.runs.engine.feed import Crew, Feed
from pilothouse.experiments.runs.engine.lines import Line
from pilothouse.experiments.runs.interrupts import Stop, unless_stopped
from pilothouse.experiments.runs.isolation.types import (
    Answer,
    Asked,
    Gathered,
    Kept,
    Opening,
    Ran,
    Ready,
    Refused,
    Report,
    Spans,
)
from pilothouse.experiments.runs.journal import Journal, Recorded
from pilothouse.experiments.runs.rowcodec import decode_row
from pilothouse.experiments.runs.settings import RunSettings
from pilothouse.flows.results import AggregationResult, ErrorInfo

#: Seconds for which a run has one worker alone: a short run does not pay for more.
PATIENCE = 0.2

#: Seconds in which workers may write and send their last spans.
FAREWELL = 15.0

#: Workers that end one after another while they open the flow before the run gives up.
STILLBORN = 3


class RayOptions(Struct, frozen=True, kw_only=True):
    """How a pool works.

    Attributes:
        compute: Where Ray is.
        workers: Workers at most; one for each processor when absent.
        timeout: Seconds a row may take; None for no limit.
        settings: How batches behave.
        shipment: The flow's files, for workers that do not see the project's folder.
        spans: Where workers' spans go; None where they write them themselves.
    """

    compute: str
    workers: int | None
    timeout: float | None
    settings: RunSettings
    shipment: Shipment | None
    spans: AppendLog | None


class RayPool:
    """Runs the lines of a run on Ray. Use it as an async context manager: no worker is left behind it.

    Args:
        opening: What workers open.
        options: How the pool works.
        link: The connection to Ray.
        cache: Answers in place of nodes; workers ask for it.
        stop: Whether somebody asked to stop; looked at while Ray starts and the first worker opens the flow.

    Raises:
        PilothouseError: what connecting or opening the flow raises.
    """

    remedy = REMEDY

    def __init__(
        self, opening: Opening, options: RayOptions, link: RayLink, *, cache: RunNodeCache | None, stop: Stop
    ) -> None:
        self._opening = opening
        self._options = options
        self._link = link
        self._cache = cache
        self._stop = stop
        self._ray: Any = None
        self._shipment: Any = None
        self._ready = Ready(slots=None, is_sync=True, needed=())
        self._has_opened = False
        self._stillborn = 0
        self._idle: list[Member] = []
        self._members: set[Member] = set()
        self._answers: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        try:
            has_ended, member = await unless_stopped(self._first(), self._stop, grace=0.0)
            if not has_ended or member is None:
                raise Interrupted("stopped before the first row; nothing was changed", fix="run the same command again")
        except BaseException:
            self._end()
            raise
        self._idle.append(member)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            for reports in await asyncio.gather(*(member.leave(FAREWELL) for member in self._idle)):
                self._keep_spans(reports)
        finally:
            self._end()

    def _end(self) -> None:
        for task in self._answers:
            task.cancel()
        for member in self._members:
            member.kill()
        self._members.clear()

    @property
    def timeout(self) -> float | None:
        """Seconds a row may take."""
        return self._options.timeout

    @property
    def is_sync(self) -> bool:
        """Whether the flow is of plain Python functions."""
        return self._ready.is_sync

    # Rows

    async def run(self, batch: Batch) -> bool:
        """Run lines until none is left or somebody asks to stop; return whether every one has an outcome."""
        feed = Feed(batch.lines, batch.stop, batch.meter)
        work = _Work(self, batch, feed, *self._sizes(batch))
        has_ended, _ = await unless_stopped(work.go(), batch.stop, self._options.settings.grace)
        if feed.error is not None:
            raise feed.error
        return has_ended and not feed.has_more

    def _sizes(self, batch: Batch) -> tuple[int, int]:
        """Return the workers at most, and the lines that each runs at once."""
        ready, workers = self._ready, self._options.workers or self._processors()
        each = most_in_flight(self._options.settings, is_sync=ready.is_sync, slots=ready.slots)
        total = batch.concurrency or each * workers
        # Each worker has clients of its own: together they are to ask no more of a model than it serves at once.
        total = min(total, ready.slots or total)
        workers = min(workers, total)
        return workers, total // workers

    def _processors(self) -> int:
        return max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    async def aggregate(self, journal: Journal) -> AggregationResult:
        """Aggregate the completed rows of a journal in one worker."""
        lines = await asyncio.to_thread(completed_lines, journal, self._ready.needed)
        member = await self.hired()
        member.tell(Collate(tuple(lines)))
        try:
            while True:
                for report in self.attended(member, await member.hear()):
                    if isinstance(report, Gathered):
                        self.dismiss(member)
                        return report.result
        except WorkerLost as lost:
            message = f"{lost.message}, while it aggregated"
            return AggregationResult(error=ErrorInfo(type=type(lost).__name__, message=message))

    # Workers

    async def _first(self) -> Member:
        self._ray = await self._link.connect(self._options.compute, self._options.workers)
        if self._options.shipment is not None:
            # Once for each machine, not once for each worker.
            self._shipment = self._ray.put(self._options.shipment)
        return await self.hired()

    async def hired(self) -> Member:
        """Return a worker that has opened the flow."""
        if self._idle:
            return self._idle.pop()
        while True:
            member = Member(self._ray)
            self._members.add(member)
            try:
                await member.begin(self._options.settings.compute_wait)
                report = await member.open(self._opening, self._shipment)
            except WorkerLost as lost:
                self.bury(member)
                self._stillborn += 1
                if not self._has_opened or self._stillborn >= STILLBORN:
                    raise UserCodeError(
                        "a worker on Ray ended while it opened the flow",
                        where=str(self._opening.flow.path),
                        fix="look at what the flow's code does when it is imported; Ray's logs may say more: "
                        f"{lost.message}",
                    ) from lost
                continue
            except BaseException:
                self.bury(member)
                raise
            if isinstance(report, Refused):
                raise report.error()
            assert isinstance(report, Ready)
            self._ready = report
            self._stillborn = 0
            self._has_opened = True
            return member

    def dismiss(self, member: Member) -> None:
        """Keep a worker for whoever needs one next."""
        self._idle.append(member)

    def bury(self, member: Member) -> None:
        """Forget a worker that is gone, or as good as gone."""
        member.kill()
        self._members.discard(member)

    def attended(self, member: Member, reports: Sequence[Report]) -> list[Report]:
        """Return reports without those that are the pool's own matter: questions to the cache, and spans."""
        asked = [report for report in reports if isinstance(report, Asked)]
        kept = [report for report in reports if isinstance(report, Kept)]
        if self._cache is not None and (asked or kept):
            task = asyncio.create_task(self._serve_cache(self._cache, member, asked, kept))
            self._answers.add(task)
            task.add_done_callback(self._answers.discard)
        self._keep_spans(reports)
        return [report for report in reports if isinstance(report, Ran | Gathered)]

    async def _serve_cache(
        self, cache: RunNodeCache, member: Member, asked: Sequence[Asked], kept: Sequence[Kept]
    ) -> None:
        for entry in kept:
            await cache.put(entry.key, entry.value)
        if asked:
            values = await asyncio.gather(*(cache.get(question.key) for question in asked))
            answers = (Answer(question.number, value) for question, value in zip(asked, values, strict=True))
            member.tell(Answers(tuple(answers)))

    def _keep_spans(self, reports: Sequence[Report]) -> None:
        lines = [line for report in reports if isinstance(report, Spans) for line in report.lines]
        if lines and self._options.spans is not None:
            self._options.spans.append(lines)


class _Work:
    """The lines of one batch in the workers of a pool.

    Args:
        pool: Has the workers.
        batch: The lines, and what is done with them.
        feed: Gives them out.
        workers: Workers at most.
        in_flight: Lines that each runs at once.
    """

    def __init__(self, pool: RayPool, batch: Batch, feed: Feed, workers: int, in_flight: int) -> None:
        self._pool = pool
        self._batch = batch
        self._feed = feed
        self._workers = workers
        self._in_flight = in_flight
        self._suspects = Suspects()
        self._busy = 0
        self._done = asyncio.Event()
        self._crew = Crew(batch.writer, batch.meter)

    async def go(self) -> None:
        """Run until no line is left."""
        more = asyncio.get_running_loop().call_later(PATIENCE, self._crew.hire, self._serve, self._workers)
        try:
            self._crew.hire(self._serve, 1)
            await self._crew.finish()
        finally:
            more.cancel()
            self._feed.give_back(self._suspects.drain())

    async def _serve(self) -> None:
        """Run lines in one worker, and in those that replace it."""
        while (self._feed.has_more or self._suspects) and (member := await self._hired()) is not None:
            lines: dict[Key, Line] = {}
            self._busy += 1
            try:
                await self._keep_busy(member, lines)
            except WorkerLost as lost:
                self._pool.bury(member)
                await self._crew.record([self._guilty(line, lost) for line in self._suspects.add(lines.values())])
            else:
                self._pool.dismiss(member)
                break
            finally:
                self._busy -= 1
        self._done.set()

    async def _hired(self) -> Member | None:
        """Return a worker, or None when others have done everything before there was one."""
        hire, done = asyncio.ensure_future(self._pool.hired()), asyncio.ensure_future(self._done.wait())
        try:
            await asyncio.wait({hire, done}, return_when=asyncio.FIRST_COMPLETED)
            return hire.result() if hire.done() else None
        except NoRoom:
            if not self._busy:
                raise
            return None  # those who have a place go on
        finally:
            for task in (hire, done):
                task.cancel()
            await asyncio.gather(hire, done, return_exceptions=True)

    async def _keep_busy(self, member: Member, lines: dict[Key, Line]) -> None:
        """Give a worker lines and record its rows until there are no more.

        Args:
            member: The worker.
            lines: What it has; kept up to date, for whoever has to know when it dies.
        """
        window = Window(self._in_flight, is_sync=self._pool.is_sync)
        before = time.monotonic()
        while True:
            given = await self._given(len(lines), window)
            if given:
                lines.update((key_of(line), line) for line in given)
                member.tell(Deliver(tuple(given), self._batch.finish.attempt, self._in_flight))
            if not lines:
                if self._batch.stop.is_asked or not (self._feed.has_more or self._suspects):
                    return
                continue
            rows = [self._recorded(report, lines) for report in self._pool.attended(member, await member.hear())]
            if rows:
                now = time.monotonic()
                window.heard(len(rows), now - before)
                before = now
                await self._crew.record(rows)

    async def _given(self, has: int, window: Window) -> list[Line]:
        """Return the lines that a worker is to have besides those it has."""
        if self._batch.stop.is_asked:
            return []
        if self._suspects:
            # They want a worker for themselves: this one, as soon as it is free.
            return [] if has else self._suspects.take()
        # Many at once, or none: a message costs as much as several rows.
        room = window.size - has
        if has and room < window.size // 4:
            return []
        given: list[Line] = []
        unfit: list[Recorded] = []
        for line in await self._feed.take(room):
            if line.inputs is None:
                unfit.append(self._batch.finish(line, None))
            else:
                given.append(line)
        if unfit:
            await self._crew.record(unfit)
        return given

    def _recorded(self, report: Report, lines: dict[Key, Line]) -> Recorded:
        assert isinstance(report, Ran)
        row = decode_row(report.row)
        del lines[row.number, row.repeat]
        return self._batch.finish.priced(row, report.row)

    def _guilty(self, line: Line, lost: PilothouseError) -> Recorded:
        error = WorkerLost(
            f"{len(COMPANY) + 1} workers on Ray ended one after another while they ran this row, "
            f"the last one with this row alone: {lost.message}",
            fix="run the row by itself to see why: --isolation process names the signal; memory is a common cause",
        )
        return self._batch.finish(line, error)
