"""Which keys were used on which day, noted beside the path of calls."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, date
from typing import Final

from pilothouse.access.keys.service import KeyService
from pilothouse.core.clock import Clock
from pilothouse.core.errors import PilothouseError, StorageError

INTERVAL: Final = 60.0
"""Seconds between two notes."""

_MOST_DAYS: Final = 31


class KeyUses:
    """Writes down, once a minute and at the end, which keys were used; each key once a day.

    A database that is away fails no call: the keys are kept with their day and written when it is back.

    Args:
        keys: Where they are written.
        clock: Where the day comes from.
        report: Called on the writing thread each time the database took nothing.
        interval: Seconds between two notes.

    Attributes:
        seen: Put the ids of keys here as they are used; a set's ``add`` is all that a call pays.
        failures: How often the database took nothing.
    """

    def __init__(
        self,
        keys: KeyService,
        clock: Clock,
        *,
        report: Callable[[PilothouseError], object] = lambda _fault: None,
        interval: float = INTERVAL,
    ) -> None:
        self._keys = keys
        self._clock = clock
        self._report = report
        self._interval = interval
        self._waiting: dict[date, set[str]] = {}
        self._noted: tuple[date, set[str]] = (date.min, set())
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pilothouse-key-uses", daemon=True)
        self.seen: set[str] = set()
        self.failures = 0

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def close(self) -> None:
        """Write what is left; waits for what is under way."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self.flush()

    def flush(self) -> bool:
        """Write what was gathered; return False where the database took it not, which is tried again."""
        today = self._clock.now().astimezone(UTC).date()
        if self._noted[0] != today:
            self._noted = today, set()
        # One by one: the set grows meanwhile, and must not be walked through.
        while self.seen:
            key = self.seen.pop()
            if key not in self._noted[1]:
                self._waiting.setdefault(today, set()).add(key)
        for day in sorted(self._waiting):
            try:
                self._keys.used(self._waiting[day], day)
            except Exception as error:  # noqa: BLE001 - a thread's door: a date that is missing must end nothing
                self.failures += 1
                self._report(error if isinstance(error, PilothouseError) else _unwritten(error))
                self._forget_oldest()
                return False
            ids = self._waiting.pop(day)
            if day == today:
                self._noted[1].update(ids)
        return True

    def _forget_oldest(self) -> None:
        """Keep a month: the last use is what counts."""
        while len(self._waiting) > _MOST_DAYS:
            del self._waiting[min(self._waiting)]

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            self.flush()


def _unwritten(error: Exception) -> StorageError:
    reason = str(error).partition("\n")[0]
    return StorageError(f"which keys were used cannot be written: {type(error).__name__}: {reason}")
