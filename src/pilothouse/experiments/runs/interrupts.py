"""Ctrl-C and SIGTERM: asked once, a run ends tidily; asked twice, at once."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

T = TypeVar("T")


class Stop:
    """A wish to stop. It belongs to one event loop; other threads ask through ``loop.call_soon_threadsafe``.

    Attributes:
        is_cancel: Whether the run was cancelled by name, not stopped where it runs.
    """

    def __init__(self) -> None:
        self._asked = asyncio.Event()
        self._urgent = asyncio.Event()
        self.is_cancel = False

    def ask(self) -> None:
        """Ask to stop: the first time tidily (rows in flight may finish), then at once."""
        if self._asked.is_set():
            self._urgent.set()
        self._asked.set()

    def cancel(self, *, is_urgent: bool) -> None:
        """Ask to stop for somebody who is not here: tidily, or at once."""
        self.is_cancel = True
        if not self.is_asked or is_urgent:
            self.ask()
        if is_urgent:
            self.ask()

    @property
    def is_asked(self) -> bool:
        """Whether no new row may begin."""
        return self._asked.is_set()

    @property
    def is_urgent(self) -> bool:
        """Whether rows in flight must be left as they are."""
        return self._urgent.is_set()

    async def asked(self) -> None:
        """Wait until somebody asks."""
        await self._asked.wait()

    async def urgent(self) -> None:
        """Wait until somebody asks twice."""
        await self._urgent.wait()


@contextmanager
def catch_signals(stop: Stop, tell: Callable[[bool], None] | None = None) -> Generator[None]:
    """Turn SIGINT and SIGTERM into ``stop.ask()`` inside the block; outside the main thread nothing is caught.

    Args:
        stop: What the signals ask.
        tell: Called after each signal with whether the stop is now urgent.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_signal() -> None:
        stop.ask()
        if tell is not None:
            tell(stop.is_urgent)

    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, on_signal)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


async def unless_stopped(work: Coroutine[Any, Any, T], stop: Stop, grace: float) -> tuple[bool, T | None]:
    """Wait for ``work``, but once somebody asks to stop no longer than ``grace`` seconds, and not at all if urgent.

    Returns:
        Whether the work ended, and its result.
    """
    task = asyncio.ensure_future(work)
    time_is_up = asyncio.ensure_future(_time_is_up(stop, grace))
    try:
        await asyncio.wait({task, time_is_up}, return_when=asyncio.FIRST_COMPLETED)
        return (True, task.result()) if task.done() else (False, None)
    finally:
        for other in (task, time_is_up):
            other.cancel()
        await asyncio.gather(task, time_is_up, return_exceptions=True)


async def _time_is_up(stop: Stop, grace: float) -> None:
    await stop.asked()
    with suppress(TimeoutError):
        async with asyncio.timeout(grace):
            await stop.urgent()
