"""What every call leaves behind: taken in on the event loop, on the disk a tenth of a second later, never dropped."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Self, cast

import msgspec

from pilothouse.core.services import Services
from pilothouse.core.storage.batches import BatchOptions, BatchWriter
from pilothouse.core.storage.segments import FOLDER as INCOMING
from pilothouse.gateway.types import LedgerEntry

FOLDER: Final = "ledger"
"""The ledger's folder in the project's state."""

_OPTIONS: Final = BatchOptions(what="ledger entries", interval=0.1, batch_lines=1_000, precious=True)


class LedgerWriter:
    """Writes the entries of this process to segments of its own.

    An entry that the disk refuses stays in memory and is tried again each second; until then `healthy` is False, and
    whoever accepts calls must refuse those that cost money.

    Args:
        folder: The ledger's folder.
        options: How entries are gathered and written.
    """

    def __init__(self, folder: Path, options: BatchOptions = _OPTIONS) -> None:
        self._batches = BatchWriter(folder / INCOMING, options)
        self._encode = msgspec.json.Encoder().encode

    @classmethod
    def build(cls, services: Services) -> Self:
        """Build the writer of a project."""
        return cls(services.state / FOLDER)

    @property
    def healthy(self) -> bool:
        """Whether the disk took the last batch: False means that new paid calls must be refused."""
        return self._batches.healthy

    @property
    def waiting(self) -> int:
        """Entries in memory."""
        return self._batches.waiting

    @property
    def written(self) -> int:
        """Entries that are on the disk."""
        return self._batches.written

    @property
    def failures(self) -> int:
        """How often the disk refused a batch."""
        return self._batches.failures

    def record(self, entry: LedgerEntry) -> None:
        """Take an entry in; waits for the disk only when megabytes of entries are waiting for it."""
        try:
            line = self._encode(entry)
        except UnicodeEncodeError:  # half a surrogate pair, from a client's tag or a provider's name
            line = self._encode(_mended(msgspec.to_builtins(entry)))
        self._batches.put(line)

    def flush(self) -> bool:
        """Write and sync every entry; return whether all of them would survive a power cut now. Blocks."""
        return self._batches.flush()

    def close(self) -> None:
        """Write what is left and let go of the segment; an entry recorded later is still written, at once."""
        self._batches.close()


def _mended(value: object) -> object:
    """Return a value of JSON whose texts can all be encoded."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_mended(key): _mended(item) for key, item in cast("dict[object, object]", value).items()}
    if isinstance(value, list | tuple):
        return [_mended(item) for item in cast("list[object]", value)]
    return value
