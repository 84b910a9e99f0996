"""The lines of an attempt as workers take them, and the workers that do."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Protocol

from pilothouse.core.errors import PilothouseError
from pilothouse.experiments.runs.engine.lines import Line
from pilothouse.experiments.runs.engine.progress import Meter
from pilothouse.experiments.runs.interrupts import Stop
from pilothouse.experiments.runs.journal import Recorded


class Feed:
    """Gives out lines until none is left, or somebody asks to stop.

    Args:
        lines: Where they come from; read as they are needed, never all at once.
        stop: Whether somebody asked to stop.
        meter: Shows what is in flight.

    Attributes:
        error: Why the lines cannot be read any further.
    """

    def __init__(self, lines: Iterator[Line], stop: Stop, meter: Meter) -> None:
        self.error: PilothouseError | None = None
        self._lines = lines
        self._stop = stop
        self._meter = meter
        self._returned: deque[Line] = deque()
        self._is_exhausted = False

    async def take(self, most: int) -> list[Line]:
        """Return the next lines; none when there are none, or somebody asked to stop."""
        if self._stop.is_asked:
            return []
        taken: list[Line] = []
        while len(taken) < most and (line := self._next()) is not None:
            taken.append(line)
        self._meter.in_flight += len(taken)
        return taken

    def give_back(self, lines: list[Line]) -> None:
        """Take back lines that were not run."""
        self._returned.extend(lines)
        self._meter.in_flight -= len(lines)

    @property
    def has_more(self) -> bool:
        """Whether a line is left."""
        line = self._next()
        if line is not None:
            self._returned.appendleft(line)
        return line is not None

    def _next(self) -> Line | None:
        if self._returned:
            return self._returned.popleft()
        if self._is_exhausted:
            return None
        try:
            line = next(self._lines, None)
        except PilothouseError as error:
            line, self.error = None, error
        self._is_exhausted = line is None
        return line


class Sink(Protocol):
    """Takes rows: a journal's writer, or what sends them to one."""

    async def put(self, rows: list[Recorded]) -> None:
        """Take rows; waits while they cannot be passed on."""
        ...

    async def failed(self) -> None:
        """Wait until no more rows can be taken."""
        ...


class Crew:
    """Tasks that run lines and record them; all end when one fails, or when the journal cannot be written.

    Args:
        writer: Takes the rows.
        meter: Shows what is in flight.
    """

    def __init__(self, writer: Sink, meter: Meter) -> None:
        self._writer = writer
        self._meter = meter
        self._tasks: set[asyncio.Task[None]] = set()

    def hire(self, work: Callable[[], Coroutine[Any, Any, None]], size: int) -> None:
        """Start ``work`` until there are ``size`` that do it."""
        while len(self._tasks) < size:
            self._tasks.add(asyncio.create_task(work()))

    async def record(self, rows: list[Recorded]) -> None:
        """Hand rows to the journal; waits while the disk is far behind."""
        self._meter.in_flight -= len(rows)
        await self._writer.put(rows)

    async def finish(self) -> None:
        """Wait until nobody works any more.

        Raises:
            StorageError: when rows cannot be recorded.
        """
        failed = asyncio.ensure_future(self._writer.failed())
        try:
            while self._tasks:
                ended, _ = await asyncio.wait({*self._tasks, failed}, return_when=asyncio.FIRST_COMPLETED)
                for task in ended:
                    task.result()
                self._tasks.difference_update(ended)
        finally:
            for task in (*self._tasks, failed):
                task.cancel()
            await asyncio.gather(*self._tasks, failed, return_exceptions=True)
