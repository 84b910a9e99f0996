"""Takes in what calls leave behind, about once a minute, so that a question after heavy traffic is answered at once.

A process of its own does it: neither its CPU time nor the engine's memory is the serving process's.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

from pilothouse.core.clock import SystemClock
from pilothouse.core.errors import Conflict, PilothouseError, StorageError
from pilothouse.core.storage.owner import OwnerLock
from pilothouse.core.storage.segments import FOLDER as INCOMING
from pilothouse.core.storage.segments import list_segments
from pilothouse.gateway.ledger.service import LedgerService
from pilothouse.models.rates.card import RateCard

_NICE: Final = 10


class LedgerKeeper:
    """Has a ledger's entries taken in from time to time.

    Of the processes that serve one project a single one does it; when it dies, another takes over. A store that
    somebody else holds is left for the next time.

    Args:
        folder: The ledger's folder.
        seconds: Between two times.

    Attributes:
        runs: How often entries were taken in.
    """

    def __init__(self, folder: Path, *, seconds: float = 60.0) -> None:
        self._folder = folder
        self._seconds = seconds
        self._seen: list[tuple[str, int]] = []
        self._lock: OwnerLock | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._told = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ledger-keeper", daemon=True)
        self.runs = 0

    def start(self) -> None:
        """Begin to look after the ledger."""
        self._thread.start()

    def close(self) -> None:
        """End, without waiting for a run that is under way: what it has not stored yet is stored by the next one."""
        self._stop.set()
        if self._child is not None:
            self._child.terminate()
        if self._thread.is_alive():
            self._thread.join()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - the door of a thread: what dies here would never be noticed
                self._tell(f"{type(error).__name__}: {error}")

    def look(self) -> bool:
        """Have entries taken in now, where there are new ones; return whether it was done."""
        waiting = self._waiting()
        if waiting == self._seen or not self._is_chosen():
            return False
        self._child = subprocess.Popen(
            [sys.executable, "-m", __name__, str(self._folder)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is meant for the gateway
        )
        if self._stop.is_set():
            self._child.terminate()
        _, said = self._child.communicate()
        code, self._child = self._child.returncode, None
        if code == 0:
            self._seen, self._told = waiting, ""
            self.runs += 1
        elif code != Conflict.exit_code and not self._stop.is_set():
            self._tell(said.decode(errors="replace").strip() or f"code {code}")
        return code == 0

    def _waiting(self) -> list[tuple[str, int]]:
        found: list[tuple[str, int]] = []
        for path in list_segments(self._folder / INCOMING):
            try:
                found.append((path.name, path.stat().st_size))
            except FileNotFoundError:
                continue  # taken in by somebody who asked
        return found

    def _is_chosen(self) -> bool:
        if self._lock is None:
            try:
                self._lock = OwnerLock(self._folder / "keeper.lock", 0.0, what="looking after the ledger")
            except (Conflict, StorageError):
                return False
        return True

    def _tell(self, why: str) -> None:
        """Say why it failed, the same reason once."""
        if why != self._told:
            self._told = why
            sys.stderr.write(f"the ledger was not taken in, which is tried again: {why}\n")


def main(folder: str) -> int:
    """Take in what was written; return the exit code."""
    os.nice(_NICE)
    try:
        LedgerService(Path(folder), rates=RateCard(), clock=SystemClock(), wait=0.0).ingest()
    except PilothouseError as error:
        sys.stderr.write(str(error))
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
