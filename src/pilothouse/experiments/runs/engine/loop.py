"""Rows through a flow, many at once; every outcome goes to the journal in the order in which rows end."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

from msgspec import Struct

from pilothouse.experiments.runs.engine.feed import Crew, Feed, Sink
from pilothouse.experiments.runs.engine.lines import Line
from pilothouse.experiments.runs.engine.outcome import Outcome
from pilothouse.experiments.runs.engine.progress import Meter
from pilothouse.experiments.runs.engine.spans import line_id
from pilothouse.experiments.runs.interrupts import Stop, unless_stopped
from pilothouse.experiments.runs.journal import Recorded
from pilothouse.flows.runner import FlowRunner
from pilothouse.flows.running.threads import ToolThreads

#: Lines that one hop into a thread takes at most, and the seconds after which it gives the rest back.
HOP_LINES = 64
HOP_SECONDS = 0.02

#: A hop that took longer than this many seconds, and this many for each line, waits for something: more threads then
#: make the run faster.
SLOW_HOP = 0.005
SLOW_LINE = 0.001

MOST_THREADS = 10_000

Finish = Callable[[Line, Outcome], Recorded]
"""Makes the row that is recorded; called in threads too."""


class EngineOptions(Struct, frozen=True, kw_only=True):
    """How rows are run.

    Attributes:
        concurrency: Rows in flight at most, at least 1.
        timeout: Seconds after which a row that hangs in its thread is given up; None for no limit.
        grace: Seconds that rows in flight may go on once somebody asked to stop.
    """

    concurrency: int
    timeout: float | None
    grace: float


class Engine:
    """Runs lines through one flow.

    Args:
        runner: The open flow.
        feed: Gives out the lines.
        writer: Takes the rows.
        finish: Makes the recorded row of a line and what came of it.
        options: How rows are run.
        stop: Whether somebody asked to stop.
        meter: Shows what is in flight.

    Attributes:
        is_complete: Whether every line has an outcome.
    """

    def __init__(
        self,
        runner: FlowRunner,
        *,
        feed: Feed,
        writer: Sink,
        finish: Finish,
        options: EngineOptions,
        stop: Stop,
        meter: Meter,
    ) -> None:
        self._runner = runner
        self._feed = feed
        self._crew = Crew(writer, meter)
        self._finish = finish
        self._options = options
        self._stop = stop
        # As many threads as there are workers, and one more for each row that hangs for ever.
        self._threads = ToolThreads(MOST_THREADS)
        self._hops = 0
        self._hop_ended = asyncio.Event()
        self.is_complete = False

    async def run(self) -> None:
        """Run until no line is left, or somebody asks to stop.

        Raises:
            DataError: when the data cannot be read any further; the rows before that are recorded.
            StorageError: when rows cannot be recorded.
        """
        try:
            has_ended, _ = await unless_stopped(self._work(), self._stop, self._options.grace)
        finally:
            self._threads.close()
        self.is_complete = has_ended and not self._feed.has_more
        if self._feed.error is not None:
            raise self._feed.error

    async def _work(self) -> None:
        # Quick lines need one thread: more would only contend for Python's lock.
        self._hire(1 if self._runner.is_sync else self._options.concurrency)
        await self._crew.finish()

    def _hire(self, workers: int) -> None:
        self._crew.hire(self._work_in_threads if self._runner.is_sync else self._work_on_loop, workers)

    async def _work_on_loop(self) -> None:
        while lines := await self._feed.take(1):
            line = lines[0]
            await self._crew.record([self._finish(line, await self._run_line(line))])
            # A row that never waited has kept the loop from the journal, the progress and Ctrl-C.
            await asyncio.sleep(0)

    async def _run_line(self, line: Line) -> Outcome:
        if line.inputs is None:
            return None
        line_id.set(line.line_id)
        try:
            return await self._runner.run_line(line.inputs, line_number=line.number, repeat=line.repeat)
        except Exception as error:  # noqa: BLE001 - a defect met by one row must not cost the others
            return error

    async def _work_in_threads(self) -> None:
        size = 1
        while lines := await self._take_for_hop(size):
            hop = _Hop(lines)
            self._hops += 1
            was_quick = await self._fly(hop)
            self._hops -= 1
            is_whole = not self._give_back(hop.recall())
            self._hop_ended.set()
            # Lines that are quick go many to a hop; as soon as one is slow, each has a thread of its own again.
            size = min(2 * size, HOP_LINES) if was_quick and is_whole else 1
            await self._crew.record(hop.drain())

    async def _take_for_hop(self, most: int) -> list[Line]:
        while not (lines := await self._feed.take(most)) and self._hops and not self._stop.is_asked:
            self._hop_ended.clear()  # a hop in flight may give lines back
            await self._hop_ended.wait()
        return lines

    async def _fly(self, hop: _Hop) -> bool:
        """Run a hop in a thread; return whether its lines were quick."""
        began = time.perf_counter()
        task = asyncio.ensure_future(self._threads.run(lambda: self._run_hop(hop)))
        try:
            ended, _ = await asyncio.wait({task}, timeout=2 * HOP_SECONDS)
            if ended:
                task.result()
                if time.perf_counter() - began <= SLOW_HOP + SLOW_LINE * hop.begun:
                    return True
                self._hire(self._options.concurrency)
                return False
            # One line keeps the thread: what is done is recorded, and others take what has not begun.
            self._hire(self._options.concurrency)
            self._give_back(hop.recall())
            self._hop_ended.set()
            await self._crew.record(hop.drain())
            ended, _ = await asyncio.wait({task}, timeout=self._options.timeout)
            if ended:
                task.result()
            else:
                hop.give_up(self._finish)
            return False
        finally:
            task.cancel()

    def _give_back(self, lines: list[Line]) -> bool:
        self._feed.give_back(lines)
        return bool(lines)

    def _run_hop(self, hop: _Hop) -> None:
        until = time.perf_counter() + HOP_SECONDS
        while (line := hop.begin()) is not None:
            hop.put(self._finish(line, self._run_line_here(line)))
            if time.perf_counter() > until:
                return

    def _run_line_here(self, line: Line) -> Outcome:
        if line.inputs is None:
            return None
        line_id.set(line.line_id)
        try:
            return self._runner.run_line_sync(line.inputs, line_number=line.number)
        except Exception as error:  # noqa: BLE001 - a defect met by one row must not cost the others
            return error


class _Hop:
    """Lines handed to a thread, and what came of them so far.

    Attributes:
        begun: Lines that the thread has begun.
    """

    def __init__(self, lines: list[Line]) -> None:
        self.begun = 0
        self._lines = lines
        self._done: list[Recorded] = []
        self._ended = 0
        self._guard = threading.Lock()

    def begin(self) -> Line | None:
        """Return the next line to run, or None when there is none."""
        with self._guard:
            if self.begun == len(self._lines):
                return None
            self.begun += 1
            return self._lines[self.begun - 1]

    def put(self, row: Recorded) -> None:
        """Add an outcome, unless its line was given up."""
        with self._guard:
            if self._ended < self.begun:
                self._ended += 1
                self._done.append(row)

    def recall(self) -> list[Line]:
        """Take back the lines that have not begun."""
        with self._guard:
            rest = self._lines[self.begun :]
            del self._lines[self.begun :]
            return rest

    def drain(self) -> list[Recorded]:
        """Take the outcomes that are there."""
        with self._guard:
            done, self._done = self._done, []
            return done

    def give_up(self, finish: Finish) -> None:
        """Leave the thread alone with the line that hangs, which has timed out."""
        self.recall()
        with self._guard:
            if self._ended < self.begun:
                self._ended = self.begun
                self._done.append(finish(self._lines[-1], TimeoutError()))
