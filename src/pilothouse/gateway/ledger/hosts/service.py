"""One ledger for several hosts: rows travel through the database that they share."""

from __future__ import annotations

import contextlib
import platform
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Self

from pilothouse.core.clock import Clock
from pilothouse.core.errors import StorageError
from pilothouse.core.ids import new_id
from pilothouse.core.services import Services
from pilothouse.core.storage.faults import disk_fault
from pilothouse.core.storage.segments import FOLDER as INCOMING
from pilothouse.core.storage.segments import list_segments
from pilothouse.core.storage.sql import Database
from pilothouse.gateway.ledger.hosts.store import Batch, BatchStore
from pilothouse.gateway.ledger.writer import FOLDER
from pilothouse.gateway.settings import GatewaySettings

_PIECE: Final = 1 << 20
_AT_ONCE: Final = 8


class LedgerHosts:
    """Sends this host's rows to the database, and hands over those of other hosts.

    Rows are sent as they were written, in the pieces of the files they lie in: sending again what was sent already
    adds nothing. Ledgers drop a row they have, so a row that comes back does no harm.

    Args:
        folder: The ledger's folder.
        store: Batches in the database; None where this host is alone.
        clock: Where the time comes from.
    """

    def __init__(self, folder: Path, store: BatchStore | None, clock: Clock) -> None:
        self._folder = folder / INCOMING
        self._store = store
        self._clock = clock

    @classmethod
    def build(cls, services: Services) -> Self:
        """Build it for a project: shared where the settings say so."""
        folder = services.state / FOLDER
        store = None
        if shares(services):
            store = BatchStore(services.get(Database), _host(folder))
        return cls(folder, store, services.clock)

    @property
    def shared(self) -> bool:
        """Whether there may be other hosts."""
        return self._store is not None

    def send(self) -> dict[str, int]:
        """Send what was written until now; return up to where each of this host's segments is sent.

        Raises:
            StorageError: when the database does not answer, or a segment cannot be read.
        """
        if self._store is None:
            return {}
        while True:
            paths = {path.name: path for path in list_segments(self._folder)}
            if not paths:
                return {}
            found: list[Batch] = []

            def more(
                ends: Mapping[str, int], paths: dict[str, Path] = paths, found: list[Batch] = found
            ) -> list[Batch]:
                for name, path in paths.items():
                    if len(found) < _AT_ONCE:
                        found.extend(_batches(path, ends.get(name, 0), _AT_ONCE - len(found)))
                return found

            ends = self._store.add(list(paths), more, self._clock.now())
            if len(found) < _AT_ONCE:
                return ends

    def after(self, number: int) -> Iterator[tuple[int, bytes]]:
        """Yield number and lines of what other hosts sent behind a number.

        Raises:
            StorageError: when the database does not answer, or a batch was damaged.
        """
        if self._store is None:
            return
        for found, data in self._store.after(number):
            try:
                yield found, zlib.decompress(data)
            except zlib.error as error:
                raise StorageError(f"batch {found} of the ledger's rows is damaged: {error}") from error

    def last(self) -> int:
        """Return the number of the last batch that another host sent; 0 for none: a cheap question.

        Raises:
            StorageError: when the database does not answer.
        """
        return 0 if self._store is None else self._store.last()


def shares(services: Services) -> bool:
    """Tell whether a project's ledger goes over several hosts."""
    settings = services.settings.section(GatewaySettings)
    if settings.share_ledger is not None:
        return settings.share_ledger
    return bool(settings.redis) and services.get(Database).dialect == "postgresql"


def _host(folder: Path) -> str:
    """Return what this host is called: a ledger's folder that was copied to another machine is another host's."""
    path = folder / "host"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError), path.open("x") as stream:
            stream.write(new_id())
        return f"{platform.node()} {folder} {path.read_text().strip()}"
    except OSError as error:
        raise disk_fault(error, path, "name this host") from error


def _batches(path: Path, begin: int, most: int) -> Iterator[Batch]:
    """Yield the complete lines of a segment from an offset on, in pieces."""
    try:
        with path.open("rb") as stream:
            stream.seek(begin)
            rest = b""
            while most > 0 and (data := stream.read(_PIECE)):
                data = rest + data
                cut = data.rfind(b"\n") + 1
                rest = data[cut:]
                if cut:
                    yield Batch(segment=path.name, begin=begin, end=begin + cut, data=zlib.compress(data[:cut]))
                    begin += cut
                    most -= 1
    except FileNotFoundError:
        return  # taken in by somebody who had sent it
    except OSError as error:
        raise disk_fault(error, path, "read the ledger") from error
