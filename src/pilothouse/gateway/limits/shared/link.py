"""The way to the server: the one module that knows the Redis client."""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast

import msgspec

from pilothouse.core.extras import require
from pilothouse.gateway.limits.shared.script import script

Argument = str | bytes | int
_ANSWER: Final = msgspec.msgpack.Decoder(list[int])
_BATCH: Final = 128
_Request = tuple[tuple[Argument, ...], asyncio.Future[Any]]


class Unavailable(Exception):
    """The server cannot be reached, or did not answer in time: what was sent may have been done or not."""


class Unknown(Exception):
    """The server does not know the epoch: it was started anew, or another epoch has begun."""


class Link:
    """Sends commands over one connection; what waits while an answer is awaited goes out together.

    A request is never sent twice by itself, and a caller that is cancelled does not disturb the others.

    Args:
        url: ``redis://...`` or ``unix://...``.
        name: Before all keys, so that projects can share a server.
        timeout: Seconds for a connection and the answers of what was sent together.
    """

    def __init__(self, url: str, *, name: str, timeout: float) -> None:
        # Loaded where it is used: a gateway of one process needs none of it.
        client, retrying, backoff, self._errors = (
            require(f"redis.{part}", extra="gateway", purpose="limits shared between processes")
            for part in ("asyncio", "asyncio.retry", "backoff", "exceptions")
        )
        self._faults = (self._errors.RedisError, OSError, TimeoutError)
        retry = retrying.Retry(backoff.NoBackoff(), 0)
        pool = client.ConnectionPool.from_url(url, socket_connect_timeout=timeout, retry=retry, protocol=2)
        self._connection: Any = pool.make_connection()
        self._timeout = timeout
        self._waiting: list[_Request] = []
        self._pump: asyncio.Task[None] | None = None
        self.key = f"{name}:{{limits}}"

    async def run(self, epoch: str, verb: str, *arguments: Argument) -> list[int]:
        """Run a verb in an epoch.

        Raises:
            Unknown: The epoch is over.
            Unavailable: No answer.
        """
        return _ANSWER.decode(await self._command("EVALSHA", script(epoch).sha, 1, self.key, verb, *arguments))

    async def begin(self, epoch: str, worker: str, lease_ms: int, over: str, gather_ms: int) -> bool:
        """Begin an epoch, and make its script known, where the epoch that is over is still named; else return False.

        The script is not loaded but run: up to Redis 6.2 the append-only file would keep it over a restart.
        """
        words = (self.key, "begin", worker, lease_ms, over, gather_ms)
        reply: Any = await self._command("EVAL", script(epoch).text, 1, *words)
        return _ANSWER.decode(reply)[0] == 1

    async def epoch(self) -> str:
        """Return the epoch that the server names; it is over if its script is not known. Empty for none."""
        found = await self._command("HGET", self.key, "nonce")
        return cast("bytes", found).decode() if found else ""

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
                flat: list[bytes] = await self._command("HGETALL", key)
                fields = dict(zip(flat[::2], flat[1::2], strict=True))
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
        """Close the connection; what waits for an answer is told that none comes."""
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.wait([self._pump])
        await self._connection.disconnect()

    async def _command(self, *words: Argument) -> Any:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((words, answer))
        if self._pump is None:
            self._pump = asyncio.get_running_loop().create_task(self._send())
        return await answer

    async def _send(self) -> None:
        batch: list[_Request] = []
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
                try:
                    async with asyncio.timeout(self._timeout):
                        await self._exchange(batch)
                except self._faults as error:
                    await self._connection.disconnect(nowait=True)
                    _fail(batch, type(error).__name__)
        finally:
            self._pump = None
            _fail(batch + self._waiting, "closed")
            self._waiting = []

    async def _exchange(self, batch: list[_Request]) -> None:
        connection = self._connection
        await connection.connect()
        await connection.send_packed_command(connection.pack_commands([words for words, _ in batch]), False)
        for _, answer in batch:
            try:
                reply: Any = await connection.read_response()
            except self._errors.NoScriptError:
                _end(answer, Unknown())
            except self._errors.ResponseError as error:
                _end(answer, Unavailable(str(error)))
            else:
                if not answer.done():
                    answer.set_result(reply)


def _end(answer: asyncio.Future[Any], error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)


def _fail(batch: list[_Request], why: str) -> None:
    for _, answer in batch:
        _end(answer, Unavailable(why))


def _literal(text: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[]\\" else letter for letter in text)
