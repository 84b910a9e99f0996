"""Answers kept in the process: the least recently used go first."""

from __future__ import annotations

from collections import OrderedDict

from pilothouse.gateway.cache.types import CacheCounts, CachedAnswer
from pilothouse.gateway.types import NANO

_ENTRY_BYTES = 512


class MemoryStore:
    """Keeps answers within bounds.

    Args:
        entries: Most answers.
        megabytes: Most memory, in MB of 10**6 bytes; an answer larger than a quarter of it is not kept.
        counts: Where what happens is counted.
    """

    def __init__(self, entries: int, megabytes: float, counts: CacheCounts) -> None:
        self._entries = entries
        self._most = int(megabytes * 1_000_000)
        self._counts = counts
        self._answers: OrderedDict[bytes, tuple[CachedAnswer, int]] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._answers)

    @property
    def size(self) -> int:
        """Bytes that are held, by estimate."""
        return self._bytes

    def find(self, key: bytes, now_ns: int) -> CachedAnswer | None:
        """Return an answer that is still good."""
        kept = self._answers.get(key)
        if kept is None:
            return None
        if kept[1] <= now_ns:
            self.drop(key)
            return None
        self._answers.move_to_end(key)
        return kept[0]

    def keep(self, key: bytes, answer: CachedAnswer, seconds: float) -> bool:
        """Keep an answer; tell whether there was room for one of its size."""
        size = len(answer.body) + _ENTRY_BYTES
        if size * 4 > self._most:
            self._counts.refused += 1
            return False
        self.drop(key)
        self._answers[key] = answer, answer.stored_ns + int(seconds * NANO)
        self._bytes += size
        while self._bytes > self._most or len(self._answers) > self._entries:
            self.drop(next(iter(self._answers)))
            self._counts.evicted += 1
        return True

    def drop(self, key: bytes) -> bool:
        """Forget an answer; tell whether it was there."""
        kept = self._answers.pop(key, None)
        if kept is None:
            return False
        self._bytes -= len(kept[0].body) + _ENTRY_BYTES
        return True
