"""Nouns of the caches: an answer that is kept, what a request allows, and what is counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from pilothouse.gateway.types import NANO
from pilothouse.models.types import Usage


class CachedAnswer(Struct, frozen=True, kw_only=True, array_like=True):
    """An answer as a client got it: whole, with status 200.

    Attributes:
        partition: Whose it is; compared again when it is read.
        call_id: The call that brought it; feedback on it reaches the entry by this.
        stored_ns: When.
        stream: Whether ``body`` is a stream's events.
        content_type: Of the body.
        body: The bytes.
        model: As the answer named it.
        deployment: Who served it.
        usage: What it used when it was made; nothing is used when it is given again.
    """

    partition: bytes
    call_id: str
    stored_ns: int
    stream: bool = False
    content_type: str = "application/json"
    body: bytes
    model: str = ""
    deployment: str = ""
    usage: Usage | None = None

    def headers(self, now_ns: int, kind: str) -> tuple[tuple[str, str], ...]:
        """Return the headers of an answer that is given again.

        Args:
            now_ns: The time.
            kind: ``exact`` or ``semantic``.
        """
        age = max(0, now_ns - self.stored_ns) // NANO
        return ("x-pilothouse-cache", kind), ("age", str(age)), ("content-type", self.content_type)


class CachePolicy(Struct, frozen=True, kw_only=True):
    """What a request allows.

    Attributes:
        read: Whether it may be answered from a cache.
        store: Whether its answer may be kept.
        most_age: Seconds; older answers are not for it. None for any.
    """

    read: bool = True
    store: bool = True
    most_age: float | None = None

    @staticmethod
    def of(headers: Mapping[str, str]) -> CachePolicy:
        """Read ``cache-control`` (RFC 9111): ``no-cache``, ``no-store`` and ``max-age`` are understood."""
        control = headers.get("cache-control", "")
        if not control:
            return _ANY
        words = {word.strip().lower() for word in control.split(",")}
        ages = [word[8:].strip('"') for word in words if word.startswith("max-age=")]
        # What cannot be read allows least.
        age = min((float(text) if text.isdigit() else 0.0 for text in ages), default=None)
        return CachePolicy(
            read="no-cache" not in words and "no-store" not in words, store="no-store" not in words, most_age=age
        )


_ANY = CachePolicy()


class CacheCounts(Struct, kw_only=True):
    """What a cache has done since it was made.

    Attributes:
        hits: Requests answered.
        misses: Requests that were not.
        stored: Answers kept.
        refused: Answers that were too large to be kept.
        evicted: Entries removed for want of room, or by feedback.
        failures: Requests that missed because something behind the cache could not be asked.
    """

    hits: int = 0
    misses: int = 0
    stored: int = 0
    refused: int = 0
    evicted: int = 0
    failures: int = 0


class AnswerStore(Protocol):
    """Where answers are kept, by key."""

    async def get(self, key: bytes) -> CachedAnswer | None:
        """Return an answer that is still good; None where there is none, or nobody can be asked."""
        ...

    async def put(self, key: bytes, answer: CachedAnswer, seconds: float) -> None:
        """Keep an answer. Never raises for a store that cannot be reached."""
        ...

    async def remove(self, key: bytes) -> bool:
        """Forget an answer; tell whether it was there."""
        ...

    async def aclose(self) -> None:
        """Let go of what it holds."""
        ...
