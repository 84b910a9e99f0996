"""A worker: opens the flow once, runs the lines it is given one at a time, and answers each with a row."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import traceback
from contextlib import ExitStack, suppress
from typing import Any

from pilothouse.core.errors import PilothouseError
from pilothouse.experiments.runs.engine.backend import completed_lines
from pilothouse.experiments.runs.engine.lines import Line
from pilothouse.experiments.runs.engine.outcome import Outcome
from pilothouse.experiments.runs.engine.spans import line_id
from pilothouse.experiments.runs.isolation.channel import Channel
from pilothouse.experiments.runs.isolation.desk import Desk, ParentsCache
from pilothouse.experiments.runs.isolation.types import (
    Answer,
    Gather,
    Gathered,
    Leave,
    Opening,
    Ran,
    Refused,
    Report,
    Task,
    decode_order,
    encode_report,
)
from pilothouse.experiments.runs.journal import Journal
from pilothouse.flows.runner import FlowRunner
from pilothouse.flows.running.threads import ToolThreads


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
        self._cache: ParentsCache | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._threads = ToolThreads(1)

    async def work(self, end: socket.socket) -> None:
        """Open the flow and serve."""
        self._channel = await Channel.over(end)
        opening = await self._order()
        assert isinstance(opening, Opening)
        self._cache = ParentsCache(self._tell) if opening.has_cache else None
        with ExitStack() as stack:
            try:
                desk = stack.enter_context(Desk(opening, self._cache))
            except PilothouseError as error:
                self._tell(Refused.of(error))
                return
            self._tell(desk.ready)
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

    async def _do(self, desk: Desk, order: Task | Gather) -> None:
        if isinstance(order, Task):
            self._tell(Ran(await self._run(desk, order)))
        else:
            journal = Journal(order.path, order.repeat)
            lines = await asyncio.to_thread(completed_lines, journal, desk.runner.needs_for_aggregation)
            self._tell(Gathered(await desk.gather(lines)))

    async def _run(self, desk: Desk, task: Task) -> bytes:
        """Run a line and return its row; what its code raises is in the row."""
        line, finish, runner = task.line, desk.finish(task.attempt), desk.runner
        line_id.set(line.line_id)
        if runner.is_sync:
            # In a thread as without isolation: what a tool may do there, it may here, such as running its own loop.
            return await self._threads.run(lambda: finish(line, _run_here(runner, line))[1])
        try:
            outcome: Outcome = await runner.run_line(line.inputs or {}, line_number=line.number, repeat=line.repeat)
        except Exception as error:  # noqa: BLE001 - a defect met by one row must not cost the others
            outcome = error
        return finish(line, outcome)[1]

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # Ours, or KeyboardInterrupt out of an async tool: the parent records it by the exit code.
            traceback.print_exception(error)
            os._exit(1)

    def _tell(self, report: Report) -> None:
        self._channel.send(encode_report(report))


def _run_here(runner: FlowRunner, line: Line) -> Outcome:
    try:
        return runner.run_line_sync(line.inputs or {}, line_number=line.number)
    except Exception as error:  # noqa: BLE001 - a defect met by one row must not cost the others
        return error
