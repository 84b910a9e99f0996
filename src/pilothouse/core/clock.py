"""Time, as a thing that is passed in."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""
        return time.monotonic()


class FixedClock:
    """A clock that moves only when told, for tests and for replays."""

    def __init__(self, start: datetime) -> None:
        self._now = start.astimezone(UTC)
        self._monotonic = 0.0

    def now(self) -> datetime:
        """Return the moment it was set to."""
        return self._now

    def monotonic(self) -> float:
        """Return the seconds it was advanced by."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Move on by ``seconds``."""
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds
