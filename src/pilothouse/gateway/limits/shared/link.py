"""The way to the server: the one module that knows the Redis client."""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError, ResponseError

from pilothouse.gateway.limits.shared.script import script

Argument = str | bytes | int
_FAULTS: Final = (RedisError, OSError, asyncio.TimeoutError)


class Unavailable(Exception):
    """The server cannot be reached, or did not answer in time: what was sent may have been done or not."""


class Unknown(Exception):
    """The server does not know the epoch: it was started anew, or another epoch has begun."""


class Link:
    """Sends verbs of the script; a request is never sent twice by itself.

    Args:
        url: ``redis://...`` or ``unix://...``.
        name: Before all keys, so that projects can share a server.
        timeout: Seconds for a connection, and for an answer.
        connections: Most of them.
    """

    def __init__(self, url: str, *, name: str, timeout: float, connections: int = 32) -> None:
        pool: Any = BlockingConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType]
            url,
            max_connections=connections,
            timeout=timeout,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 0),
        )
        self._redis: Any = Redis(connection_pool=pool)
        self.key = f"{name}:{{limits}}"

    async def run(self, epoch: str, verb: str, *arguments: Argument) -> list[int]:
        """Run a verb in an epoch.

        Raises:
            Unknown: The epoch is over.
            Unavailable: No answer.
        """
        try:
            return cast(
                "list[int]",
                await self._redis.execute_command("EVALSHA", script(epoch).sha, 1, self.key, verb, *arguments),
            )
        except NoScriptError as error:
            raise Unknown from error
        except _FAULTS as error:
            raise Unavailable(_told(error)) from error

    async def load(self, epoch: str) -> None:
        """Make the script of an epoch known to the server."""
        await self._command("SCRIPT", "LOAD", script(epoch).text)

    async def epoch(self) -> str:
        """Return the epoch that the server names; it is over if its script is not known. Empty for none."""
        found = await self._command("HGET", self.key, "nonce")
        return b"".join([found]).decode() if isinstance(found, bytes) else ""

    async def knows(self, epoch: str) -> bool:
        """Whether the server knows the script of an epoch."""
        return bool(epoch) and bool((await self._command("SCRIPT", "EXISTS", script(epoch).sha))[0])

    async def counters(self, epoch: str) -> list[tuple[str, dict[bytes, bytes]]]:
        """Return all counters of an epoch by their keys; for reports."""
        prefix = f"{self.key}:{epoch}:c:"
        found: list[tuple[str, dict[bytes, bytes]]] = []
        cursor: Any = 0
        while True:
            cursor, keys = await self._command("SCAN", cursor, "MATCH", f"{_literal(prefix)}*", "COUNT", 1000)
            for key in keys:
                fields: Any = await self._command("HGETALL", key)
                found.append((cast("bytes", key).decode().removeprefix(prefix), fields))
            if int(cursor) == 0:
                return found

    async def forget(self, epoch: str) -> None:
        """Remove what is left of an epoch that is over."""
        if not epoch:
            return
        cursor: Any = 0
        while True:
            cursor, keys = await self._command(
                "SCAN", cursor, "MATCH", f"{_literal(f'{self.key}:{epoch}:')}*", "COUNT", 1000
            )
            if keys:
                await self._command("UNLINK", *keys)
            if int(cursor) == 0:
                return

    async def aclose(self) -> None:
        """Close all connections."""
        await self._redis.aclose(close_connection_pool=True)

    async def _command(self, *words: Any) -> Any:
        try:
            return await self._redis.execute_command(*words)
        except _FAULTS as error:
            raise Unavailable(_told(error)) from error


def _told(error: BaseException) -> str:
    """Name a fault without the address, which may hold a password."""
    return str(error) if isinstance(error, ResponseError) else type(error).__name__


def _literal(text: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[]\\" else letter for letter in text)
