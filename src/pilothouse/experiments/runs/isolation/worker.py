"""A worker: opens the flow once, runs the lines it is given one at a time, and answers each with a row."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import traceback
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar, cast

from msgspec.structs import replace

from pilothouse.core.clock import Clock, SystemClock
from pilothouse.core.environment import Environment
from pilothouse.core.errors import PilothouseError
from pilothouse.core.settings import Settings
from pilothouse.experiments.runs.engine.backend import completed_lines
from pilothouse.experiments.runs.engine.lines import Line
from pilothouse.experiments.runs.engine.opening import run_flow, run_limits
from pilothouse.experiments.runs.engine.outcome import Outcome, RowMaker
from pilothouse.experiments.runs.engine.pricing import Tariffs
from pilothouse.experiments.runs.engine.spans import line_id
from pilothouse.experiments.runs.isolation.channel import Channel
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
    decode_order,
    encode_report,
)
from pilothouse.experiments.runs.journal import Journal
from pilothouse.flows.results import AggregationResult
from pilothouse.flows.running.threads import ToolThreads
from pilothouse.models.types import Usage

T = TypeVar("T")


def work(channel: int) -> None:
    """Be a worker until the parent says so or is gone; never returns.

    Args:
        channel: Descriptor of the socket to the parent.
    """
    code = 1
    try:
        asyncio.run(_Worker().work(socket.socket(fileno=channel)))
        code = 0
    except BaseException:  # noqa: BLE001 - the end of a process: whatever it was is shown, and its exit code tells
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        # Not by way of the interpreter's end: threads that tools have left would keep it waiting.
        os._exit(code)


class _Worker:
    """The worker's side of the conversation."""

    def __init__(self) -> None:
        self._channel = Channel()
        self._cache: _ParentsCache | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def work(self, end: socket.socket) -> None:
        """Open the flow and serve."""
        self._channel = await Channel.over(end)
        opening = await self._order()
        assert isinstance(opening, Opening)
        self._cache = _ParentsCache(self._channel) if opening.has_cache else None
        with ExitStack() as stack:
            try:
                desk = stack.enter_context(_Desk(opening, self._cache))
            except PilothouseError as error:
                self._tell(Refused.of(error))
                return
            self._tell(Ready(desk.runner.slots))
            # Reading goes on while a line runs: the cache answers in between, and a parent that is gone is noticed.
            while not isinstance(order := await self._order(), Leave):
                if isinstance(order, Answer) and self._cache is not None:
                    self._cache.answered(order)
                elif isinstance(order, Task | Gather):
                    task = asyncio.create_task(self._do(desk, order))
                    self._tasks.add(task)
                    task.add_done_callback(self._done)

    async def _order(self) -> Any:
        data = await self._channel.receive()
        if data is None:
            # Nobody waits for an answer any more. What tools have started in this process's group ends with it.
            if os.getpgrp() == os.getpid():
                os.killpg(0, signal.SIGKILL)
            os._exit(1)
        return decode_order(data)

    async def _do(self, desk: _Desk, order: Task | Gather) -> None:
        self._tell(Ran(await desk.run(order)) if isinstance(order, Task) else Gathered(await desk.gather(order)))

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # Ours, or KeyboardInterrupt out of an async tool: the parent records it by the exit code.
            traceback.print_exception(error)
            os._exit(1)

    def _tell(self, report: Report) -> None:
        self._channel.send(encode_report(report))


class _Desk:
    """The open flow, and what rows are made with."""

    def __init__(self, opening: Opening, cache: _ParentsCache | None) -> None:
        self._services = _Services(opening)
        self.runner = run_flow(self._services, opening.run, opening.flow, opening.spec, cache)
        self._timeout = run_limits(self._services, opening.spec).line_timeout
        # The catalogue of prices costs half a second to load: the parent alone knows what rows cost.
        self._tariffs = Tariffs(_no_price, datetime.now(UTC))
        self._finish: dict[int, RowMaker] = {}
        self._threads = ToolThreads(1)

    def __enter__(self) -> _Desk:
        self.runner.open()
        # Tools that open files by relative names find them; this process does nothing else.
        os.chdir(self.runner.folder)
        return self

    def __exit__(self, *_: object) -> None:
        self.runner.close()
        self._services.close()

    async def run(self, task: Task) -> bytes:
        """Run a line and return its row; what its code raises is in the row."""
        finish = self._finish.get(task.attempt)
        if finish is None:
            finish = self._finish[task.attempt] = RowMaker(
                attempt=task.attempt, timeout=self._timeout, tariffs=self._tariffs, clock=self._services.clock
            )
        line = task.line
        line_id.set(line.line_id)
        if self.runner.is_sync:
            # In a thread as without isolation: what a tool may do there, it may here, such as running its own loop.
            return await self._threads.run(lambda: finish(line, self._run_here(line))[1])
        try:
            outcome: Outcome = await self.runner.run_line(
                line.inputs or {}, line_number=line.number, repeat=line.repeat
            )
        except Exception as error:  # noqa: BLE001 - a defect met by one row must not cost the others
            outcome = error
        return finish(line, outcome)[1]

    def _run_here(self, line: Line) -> Outcome:
        try:
            return self.runner.run_line_sync(line.inputs or {}, line_number=line.number)
        except Exception as error:  # noqa: BLE001 - a defect met by one row must not cost the others
            return error

    async def gather(self, order: Gather) -> AggregationResult:
        """Aggregate what the journal holds."""
        journal = Journal(order.path, order.repeat)
        lines = await asyncio.to_thread(completed_lines, journal, self.runner.needs_for_aggregation)
        made = await self.runner.aggregate(lines)
        return replace(made, nodes=tuple(replace(node, output=None) for node in made.nodes))


def _no_price(_provider: str, _model: str, _usage: Usage, _at: datetime) -> None:
    return None


class _ParentsCache:
    """The node cache, which the parent keeps for all workers."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._asked: dict[int, asyncio.Future[bytes | None]] = {}
        self._count = 0

    async def get(self, key: str) -> bytes | None:
        """Return an entry, or None when there is none."""
        self._count += 1
        future = self._asked[self._count] = asyncio.get_running_loop().create_future()
        self._channel.send(encode_report(Asked(self._count, key)))
        return await future

    async def put(self, key: str, value: bytes) -> None:
        """Send an entry."""
        self._channel.send(encode_report(Kept(key, value)))

    def answered(self, answer: Answer) -> None:
        """Give an answer to who asked, unless that was cancelled."""
        future = self._asked.pop(answer.number)
        if not future.cancelled():
            future.set_result(answer.value)


class _Services:
    """The project as a flow needs it: connections and spans. The database stays with the parent."""

    def __init__(self, opening: Opening) -> None:
        self.root: Path = opening.root
        self.state: Path = opening.state
        self.settings = Settings.load(opening.root, Environment(opening.variables))
        self.clock: Clock = SystemClock()
        self._built: dict[type[Any], Any] = {}

    def get(self, kind: type[T]) -> T:
        """Return the one instance of ``kind``."""
        if kind not in self._built:
            self._built[kind] = self._made(kind)
        return cast("T", self._built[kind])

    def _made(self, kind: Any) -> object:
        return kind.build(self)

    def close(self) -> None:
        """Close what was built, the last first: spans are written."""
        for part in reversed(self._built.values()):
            part.close()
