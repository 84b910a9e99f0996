"""Answers kept in Redis, for all processes. A Redis that is down is a miss, and is left alone for a second."""

from __future__ import annotations

import time
from typing import Any, Final

import msgspec

from pilothouse.core.extras import require
from pilothouse.gateway.cache.types import CacheCounts, CachedAnswer

_PREFIX: Final = b"pilothouse:answer:"
_CALLS: Final = b"pilothouse:answer-of:"
_QUIET: Final = 1.0
_LARGEST: Final = 8_388_608


class RedisStore:
    """Keeps answers in Redis, each until it is too old.

    Args:
        url: ``redis://...``.
        counts: Where what happens is counted.
        timeout: Seconds that a question may take; a cache must never be slower than what it saves.

    Raises:
        ConfigError: when the extra `gateway` is missing.
    """

    def __init__(self, url: str, counts: CacheCounts, timeout: float = 0.25) -> None:
        module = require("redis.asyncio", extra="gateway", purpose="answers shared between processes")
        self._error: Any = require("redis", extra="gateway", purpose="answers shared between processes").RedisError
        self._client: Any = module.Redis.from_url(
            url, socket_timeout=timeout, socket_connect_timeout=timeout, max_connections=64
        )
        self._counts = counts
        self._quiet_until = 0.0
        self._decoder = msgspec.msgpack.Decoder(CachedAnswer)

    async def get(self, key: bytes) -> CachedAnswer | None:
        """Return an answer; None where there is none, or Redis cannot be asked."""
        data = await self._ask("get", _PREFIX + key)
        if data is None:
            return None
        try:
            return self._decoder.decode(data)
        except msgspec.DecodeError:
            self._counts.failures += 1
            return None

    async def put(self, key: bytes, answer: CachedAnswer, seconds: float) -> None:
        """Keep an answer for some seconds."""
        data = msgspec.msgpack.encode(answer)
        if len(data) > _LARGEST:
            self._counts.refused += 1
            return
        await self._ask("set", _PREFIX + key, data, px=max(1, int(seconds * 1000)))

    async def remove(self, key: bytes) -> bool:
        """Forget an answer."""
        return bool(await self._ask("delete", _PREFIX + key))

    async def has(self, key: bytes) -> bool | None:
        """Tell whether there is an answer; None where Redis cannot be asked."""
        found = await self._ask("exists", _PREFIX + key)
        return None if found is None else bool(found)

    async def note(self, call_id: str, key: bytes, seconds: float) -> None:
        """Note which answer a call brought or was given, for as long as the answer may be kept."""
        await self._ask("set", _CALLS + call_id.encode(), key, px=max(1, int(seconds * 1000)))

    async def noted(self, call_id: str) -> bytes | None:
        """Return the key of the answer that a call brought or was given; None where that is not known."""
        return await self._ask("get", _CALLS + call_id.encode())

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _ask(self, verb: str, *arguments: Any, **options: Any) -> Any:
        if time.monotonic() < self._quiet_until:
            self._counts.failures += 1
            return None
        try:
            return await getattr(self._client, verb)(*arguments, **options)
        except (self._error, OSError, TimeoutError):
            self._counts.failures += 1
            self._quiet_until = time.monotonic() + _QUIET
            return None
