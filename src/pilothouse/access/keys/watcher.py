"""Keeps a ring of keys up to date, beside the path of calls."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from pilothouse.access.keys.ring import KeyRing
from pilothouse.access.keys.service import KeyService
from pilothouse.core.errors import PilothouseError, StorageError

INTERVAL: Final = 0.5
"""Seconds between two looks: a revocation is in force everywhere within a second."""

ANEW: Final = 60.0
"""Seconds after which all keys are read though no change was counted: rows may have been deleted by hand."""


class KeyWatcher:
    """Looks for changes of keys on a thread of its own; a database that is away leaves the last ring in force.

    Attributes:
        ring: The newest picture. The data plane may read it at any time, without a lock.
        fault: Why the last look failed; None while it succeeds. Readiness and metrics show it.
    """

    def __init__(
        self,
        keys: KeyService,
        tell: Callable[[KeyRing], object] = lambda _ring: None,
        *,
        report: Callable[[PilothouseError | None], object] = lambda _fault: None,
        interval: float = INTERVAL,
    ) -> None:
        """Read the keys once; without them nothing may be opened.

        Args:
            keys: Where they are kept.
            tell: Called with each new ring, on the watcher's thread.
            report: Called when the database goes away, with the fault, and when it is back, with None.
            interval: Seconds between two looks.

        Raises:
            StorageError: when they cannot be read now.
        """
        self._keys = keys
        self._tell = tell
        self._report = report
        self._interval = interval
        self._since_read = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="pilothouse-keys", daemon=True)
        self.fault: PilothouseError | None = None
        self.ring = keys.ring()

    def start(self) -> None:
        """Begin to look for changes."""
        self._thread.start()

    def close(self) -> None:
        """Stop looking; waits for the look that is under way."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> bool:
        """Look for a change now; return whether there is a new ring."""
        try:
            self._since_read += self._interval
            is_due = self._since_read >= ANEW
            if not is_due and self._keys.revision() == self.ring.revision:
                found = None
            else:
                found = self._keys.ring()
                self._since_read = 0.0
        except Exception as error:  # noqa: BLE001 - a thread's door: nothing may end the watch and leave a ring for ever
            fault = error if isinstance(error, PilothouseError) else _unreadable(error)
            if self.fault is None:
                self._report(fault)
            self.fault = fault
            return False
        if self.fault is not None:
            self.fault = None
            self._report(None)
        if found is None:
            return False
        self.ring = found
        self._tell(found)
        return True

    def _watch(self) -> None:
        while not self._stop.wait(self._interval):
            self.look()


def _unreadable(error: Exception) -> StorageError:
    reason = str(error).partition("\n")[0]
    return StorageError(f"the keys in the database cannot be read: {type(error).__name__}: {reason}")
