"""A line that runs in a thread of its own and is heard in another: its streams as generators."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import suppress
from contextvars import copy_context
from queue import SimpleQueue
from typing import Any, Final, TypeVar

T = TypeVar("T")

WAITING: Final = 64
"""Pieces that may wait for who listens; the line that gives more waits itself."""

Tell = Callable[[str, Any], Awaitable[None]]
"""Gives the next piece of an output."""
Know = Callable[[dict[str, Any]], None]
"""Tells outputs that are there as a whole."""
Run = Callable[[Tell, Know], Coroutine[Any, Any, T]]
"""Runs a line to its result, telling what it gives on the way; a failure is raised."""


class Relay:
    """Runs a line at once, in a thread that does not keep the process from ending.

    Args:
        run: Runs the line and returns all its outputs.
        expected: Names of the outputs.
    """

    def __init__(self, run: Run[dict[str, Any]], expected: frozenset[str]) -> None:
        self._run = run
        self._expected = expected
        self._events: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._known: dict[str, Any] = {}
        self._pieces: dict[str, deque[Any]] = {}
        self._closed: set[str] = set()
        self._has_ended = False
        self._failure: BaseException | None = None
        self._loop = asyncio.new_event_loop()
        self._room = asyncio.Semaphore(WAITING)
        self._task: asyncio.Task[dict[str, Any]] | None = None
        context = copy_context()
        threading.Thread(target=lambda: context.run(self._work), name="flow-stream", daemon=True).start()

    def outputs(self) -> dict[str, Any]:
        """Return the outputs as soon as each is known or has given its first piece; those that stream as generators.

        Raises:
            Exception: what the line raised before that.
        """
        while not self._has_ended and self._expected - self._known.keys() - self._pieces.keys():
            self._events.get()()
        if self._failure is not None and not self._pieces:
            raise self._failure
        streams = {name: self._stream(name) for name in self._pieces}
        for name, stream in streams.items():
            # A generator that nobody ever asks runs no `finally` when it is dropped.
            weakref.finalize(stream, self._close, name).atexit = False
        return {**self._known, **streams}

    def _stream(self, name: str) -> Generator[Any]:
        pieces = self._pieces[name]
        try:
            while True:
                while not pieces and not self._has_ended:
                    self._events.get()()
                if not pieces:
                    break
                yield pieces.popleft()
            if self._failure is not None:
                raise self._failure
        finally:
            self._close(name)

    def _close(self, name: str) -> None:
        """Note that nobody listens to an output any more, and stop the line when it was the last."""
        self._closed.add(name)
        if self._closed >= self._pieces.keys() and not self._has_ended and self._task is not None:
            self._soon(self._task.cancel)

    def _soon(self, call: Callable[[], Any]) -> None:
        # A line that has ended in its thread needs nothing more, though its end was not heard here yet.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call)

    # In the line's thread

    def _work(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            try:
                outputs = runner.run(self._go())
            except BaseException as error:  # noqa: BLE001 - it belongs to who listens
                self._events.put(lambda error=error: self._end({}, error))
            else:
                self._events.put(lambda: self._end(outputs, None))

    async def _go(self) -> dict[str, Any]:
        self._task = asyncio.ensure_future(self._run(self._tell, self._know))
        return await self._task

    async def _tell(self, name: str, piece: Any) -> None:
        await self._room.acquire()
        self._events.put(lambda: self._take(name, piece))

    def _know(self, outputs: dict[str, Any]) -> None:
        self._events.put(lambda: self._known.update(outputs))

    # In the listener's thread

    def _take(self, name: str, piece: Any) -> None:
        self._pieces.setdefault(name, deque()).append(piece)
        self._soon(self._room.release)

    def _end(self, outputs: dict[str, Any], failure: BaseException | None) -> None:
        self._has_ended, self._failure = True, failure
        self._known.update({name: value for name, value in outputs.items() if name not in self._pieces})
