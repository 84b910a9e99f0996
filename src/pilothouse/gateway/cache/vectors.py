"""Answers found by vectors, each partition in an array of its own."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final

from msgspec import Struct

from pilothouse.gateway.cache.types import CachedAnswer

_FIRST: Final = 4


class Entry(Struct, eq=False):
    """An answer with what finds it.

    Attributes:
        partition: Its array.
        row: Where its vector stands in it.
        marks: What a question must share with it besides the vector.
        answer: The answer.
        expires_ns: Until when it is good.
    """

    partition: bytes
    row: int
    marks: bytes
    answer: CachedAnswer
    expires_ns: int

    @property
    def size(self) -> int:
        """Bytes of its answer."""
        return len(self.answer.body)


class _Array:
    """The vectors of one partition, each of length 1, and their entries."""

    def __init__(self, dimensions: int) -> None:
        import numpy as np  # loaded with the first semantic cache, not with the gateway

        self._join: Any = np.concatenate
        self.vectors: Any = np.empty((_FIRST, dimensions), dtype=np.float32)
        self.entries: list[Entry] = []

    def add(self, vector: Any, entry: Entry) -> None:
        entry.row = len(self.entries)
        if entry.row == len(self.vectors):
            self.vectors = self._join([self.vectors, self.vectors])  # the second half is room, whatever stands there
        self.vectors[entry.row] = vector
        self.entries.append(entry)

    def drop(self, entry: Entry) -> None:
        last = self.entries.pop()
        if last is not entry:
            self.vectors[entry.row] = self.vectors[last.row]
            self.entries[entry.row] = last
            last.row = entry.row


class VectorStore:
    """Keeps answers within bounds; the least recently used go first.

    Args:
        entries: Most answers.
        most_bytes: Most bytes of their bodies.
    """

    def __init__(self, entries: int, most_bytes: int) -> None:
        self._entries = entries
        self._most = most_bytes
        self._arrays: dict[bytes, _Array] = {}
        self._used: OrderedDict[int, Entry] = OrderedDict()
        self._bytes = 0
        self.evicted = 0

    def __len__(self) -> int:
        return len(self._used)

    def nearest(self, partition: bytes, vector: Any, marks: bytes, now_ns: int) -> tuple[Entry, float] | None:
        """Return the entry of a partition, with the same marks, whose vector is nearest, and their cosine."""
        array = self._arrays.get(partition)
        if array is None or array.vectors.shape[1] != len(vector):
            return None
        likeness = array.vectors[: len(array.entries)] @ vector
        for row in (-likeness).argsort()[:8]:
            entry = array.entries[int(row)]
            if entry.expires_ns > now_ns and entry.marks == marks:
                self._used.move_to_end(id(entry))
                return entry, float(likeness[row])
        return None

    def add(self, vector: Any, entry: Entry) -> None:
        """Keep an entry; vectors of another length make all of its partition worthless."""
        array = self._arrays.get(entry.partition)
        if array is not None and array.vectors.shape[1] != len(vector):
            for old in list(array.entries):
                self.drop(old)
            array = None
        if array is None:
            array = self._arrays[entry.partition] = _Array(len(vector))
        array.add(vector, entry)
        self._used[id(entry)] = entry
        self._bytes += entry.size
        while len(self._used) > self._entries or self._bytes > self._most:
            self.drop(next(iter(self._used.values())))
            self.evicted += 1

    def drop(self, entry: Entry) -> bool:
        """Forget an entry; tell whether it was there."""
        if self._used.pop(id(entry), None) is None:
            return False
        self._bytes -= entry.size
        array = self._arrays[entry.partition]
        array.drop(entry)
        if not array.entries:
            del self._arrays[entry.partition]
        return True
