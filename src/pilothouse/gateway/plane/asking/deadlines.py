"""Deadlines of many tasks behind one timer: setting one costs no timer, moving one costs two assignments.

What `asyncio.timeout` makes and cancels for each call is made once for all: the timer stands at the earliest deadline
and is set anew when it fires, so that a deadline which passes quietly never touches it.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final, Self

_NEVER: Final = float("inf")
_BUSY: Final = 0.1
"""Part of its time after which a deadline is looked at again whose task was not waiting."""


class Deadlines:
    """The deadlines of one event loop."""

    __slots__ = ("_handle", "_loop", "_next", "_watched")

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watched: set[Deadline] = set()
        self._next = _NEVER
        self._handle: asyncio.TimerHandle | None = None

    def within(self, seconds: float) -> Deadline:
        """Return a context in which the current task has that many seconds.

        It is left by TimeoutError when they are over, as `asyncio.timeout` is.
        """
        return Deadline(self, seconds)

    def close(self) -> None:
        """Look at no deadline any more."""
        if self._handle is not None:
            self._handle.cancel()

    def add(self, deadline: Deadline) -> float:
        """Watch a deadline from now on; return the time."""
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        now = loop.time()
        self._watched.add(deadline)
        if now + deadline.seconds < self._next:
            self._look_at(now + deadline.seconds)
        return now

    def discard(self, deadline: Deadline) -> None:
        """Watch a deadline no more."""
        self._watched.discard(deadline)

    def _look_at(self, at: float) -> None:
        assert self._loop is not None
        if self._handle is not None:
            self._handle.cancel()
        self._next = at
        self._handle = self._loop.call_at(at, self._look)

    def _look(self) -> None:
        assert self._loop is not None
        self._handle, self._next = None, _NEVER
        now, following = self._loop.time(), _NEVER
        for deadline in list(self._watched):
            at = deadline.since + deadline.seconds
            if at <= now:
                if deadline.waiting:
                    self._watched.discard(deadline)
                    deadline.expire()
                    continue
                at = now + deadline.seconds * _BUSY
            following = min(following, at)
        if following < _NEVER:
            self._look_at(following)


class Deadline:
    """The deadline of one task; see ``Deadlines.within``.

    Attributes:
        seconds: How long the task has.
        since: When that began, by the loop's clock; set it anew to move the deadline on.
        waiting: Whether the time counts now; where it does not, nothing expires.
        expired: Whether it came to that.
    """

    __slots__ = ("_cancelling", "_owner", "_task", "expired", "seconds", "since", "waiting")

    def __init__(self, owner: Deadlines, seconds: float) -> None:
        self._owner = owner
        self.seconds = seconds
        self.waiting = True
        self.expired = False

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelling = task.cancelling()
        self.since = self._owner.add(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._owner.discard(self)
        if self.expired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def expire(self) -> None:
        """End what the task waits for."""
        self.expired = True
        self._task.cancel()
