"""Notices that another version of the configuration is in force."""

from __future__ import annotations

import threading
from collections.abc import Callable

from pilothouse.core.errors import PilothouseError, StorageError
from pilothouse.gateway.config.service import ConfigService
from pilothouse.gateway.config.types import ActiveConfig


class ConfigWatcher:
    """Asks the database twice a second, in a thread of its own, which version is in force.

    A version that cannot be read or compiled is reported once and leaves the one before in force; so does a database
    that is gone, until it is back.

    Args:
        service: Whom to ask.
        number: The version this process serves with.
        changed: Takes the new configuration; called in the watcher's thread. What it raises as ``PilothouseError``
            means that the configuration cannot be used.
        broken: Told why a configuration, or the database, could not be used; called in the watcher's thread.
        seconds: Between two questions.
    """

    def __init__(
        self,
        service: ConfigService,
        number: int,
        changed: Callable[[ActiveConfig], None],
        broken: Callable[[PilothouseError], None],
        *,
        seconds: float = 0.5,
    ) -> None:
        self._service = service
        self._changed = changed
        self._broken = broken
        self._seconds = seconds
        self._seen = number
        self._failing = ""
        self._one = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.number = number

    def start(self) -> None:
        """Begin to watch."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="gateway-config", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop watching; a question that is under way is waited for."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def look(self) -> bool:
        """Ask once, now; return whether another configuration was taken in. Any thread may ask.

        ``number`` is the version that is served with; a broken one is not tried again until another is in force.
        """
        with self._one:
            return self._look()

    def _look(self) -> bool:
        number = self._seen
        try:
            number = self._service.active_number()
            if number is None or number == self._seen:
                self._failing = ""
                return False
            # Also when it is the one that is served with: a broken one stood between, and is no trouble any more.
            self._changed(self._service.active())
        except PilothouseError as error:
            if not isinstance(error, StorageError):
                self._seen = number
            # The same trouble of the database is told once, not twice a second.
            if str(error) != self._failing:
                self._failing = str(error)
                self._broken(error)
            return False
        self._failing = ""
        self._seen = self.number = number
        return True

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - the door of a thread: what dies here would never be noticed
                self._broken(PilothouseError(f"watching the configuration failed: {type(error).__name__}: {error}"))
