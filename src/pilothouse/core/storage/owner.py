"""The owner of a store whose engine allows one process at a time, not even a second one to read."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from pilothouse.core.errors import Conflict
from pilothouse.core.storage.faults import disk_fault
from pilothouse.core.storage.hooks import weakly

_PAUSE = 0.05


class OwnerLock:
    """Ownership of the store, held until `release` or the end of the process.

    Args:
        path: The lock file; it holds the owner's process id.
        wait: Seconds to wait for another owner to finish.
        what: How messages call the store.

    Raises:
        Conflict: when another process still holds it, naming that process.
        StorageError: when the lock file cannot be opened.
    """

    def __init__(self, path: Path, wait: float, *, what: str = "the span store") -> None:
        self._path = path
        self._what = what
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise disk_fault(error, path, f"open the lock of {what}") from error
        try:
            self._acquire(wait)
        except BaseException:
            os.close(self._descriptor)
            raise
        # A forked child's copy would keep the lock after the owner has died.
        os.register_at_fork(after_in_child=weakly(self.release))

    def release(self) -> None:
        """Let another process have the store; releasing twice does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _acquire(self, wait: float) -> None:
        deadline = time.monotonic() + wait
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() >= deadline:
                    raise self._held() from error
                time.sleep(_PAUSE)
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, str(os.getpid()).encode(), 0)

    def _held(self) -> Conflict:
        holder = os.pread(self._descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
        who = "this process" if holder == str(os.getpid()) else f"process {holder}"
        return Conflict(
            f"{self._what} is held by {who}",
            where=str(self._path),
            fix="wait until it has finished, or stop it; recording goes on meanwhile all the same",
        )
