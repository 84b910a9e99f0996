"""Takes in what calls leave behind, about once a minute, so that a question after heavy traffic is answered at once.

A process of its own does it: neither its CPU time nor the engine's memory is the serving process's.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pilothouse.core.errors import Conflict, StorageError
from pilothouse.core.services import Services
from pilothouse.core.storage.owner import OwnerLock
from pilothouse.core.storage.segments import FOLDER as INCOMING
from pilothouse.core.storage.segments import list_segments
from pilothouse.gateway.ledger.children import Child, serve_parent
from pilothouse.gateway.ledger.hosts.service import LedgerHosts
from pilothouse.gateway.ledger.service import LedgerService
from pilothouse.gateway.ledger.writer import FOLDER
from pilothouse.models.rates.card import RateCard

_NICE: Final = 10
_MODULE: Final = "pilothouse.gateway.ledger.keeping"


class LedgerKeeper:
    """Has a ledger's entries taken in from time to time.

    Of the processes that serve one project a single one does it; when it dies, another takes over. A store that
    somebody else holds is left for the next time.

    Args:
        folder: The ledger's folder.
        root: The project's.
        news: Returns another number once other hosts have sent something.
        seconds: Between two times.

    Attributes:
        runs: How often entries were taken in.
    """

    def __init__(self, folder: Path, root: Path, *, news: Callable[[], int] = lambda: 0, seconds: float = 60.0) -> None:
        self._folder = folder
        self._root = root
        self._news = news
        self._seconds = seconds
        self._seen: tuple[list[tuple[str, int]], int] = ([], 0)
        self._lock: OwnerLock | None = None
        self._child: Child | None = None
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
            self._child.end()
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
        waiting = self._waiting(), self._news()
        if waiting == self._seen or not self._is_chosen():
            return False
        with Child(_MODULE, str(self._root)) as child:
            self._child = child
            if self._stop.is_set():
                child.end()
            ended = child.wait()
            self._child = None
        if ended.code == 0:
            self._seen, self._told = waiting, ""
            self.runs += 1
        elif ended.code != Conflict.exit_code and not self._stop.is_set():
            self._tell(ended.words or f"code {ended.code}")
        return ended.code == 0

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


def main(root: str) -> int:
    """Take in what was written; return the exit code."""
    os.nice(_NICE)
    return serve_parent(root, _take_in)


def _take_in(services: Services) -> bytes:
    # Without prices, which take long to read, and without waiting for who holds the store.
    hosts = services.get(LedgerHosts)
    folder = services.state / FOLDER
    LedgerService(folder, rates=RateCard(), clock=services.clock, hosts=hosts, wait=0.0).ingest()
    return b""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
