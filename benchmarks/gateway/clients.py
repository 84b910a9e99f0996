"""The clients of the soak: plain calls at a steady rate, streams always in flight, and what they saw."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from itertools import count
from typing import Any

from .load import Connection, Target

TOKENS = 250
SHARES = {"plain": 0.6, "cached": 0.2, "guarded": 0.1, "failing": 0.08, "broken": 0.02}
LEAVING = 0.02  # of plain calls: clients that do not wait
LEAVING_STREAMS = 0.1


class Sums:
    """What the client saw."""

    def __init__(self) -> None:
        self.sent = self.left = self.streams = self.streams_left = self.frames = self.lost = 0
        self.broken_streams = self.unredacted = self.open = 0
        self.statuses: Counter[str] = Counter()
        self.scrapes = self.not_ready = 0


class Asker(Connection):
    """A connection that keeps a short answer's text."""

    def __init__(self) -> None:
        super().__init__()
        self.text = b""

    def on_body(self, body: bytes) -> None:
        """Take a piece of the answer."""
        super().on_body(body)
        if len(self.text) < 4096:
            self.text += body


class Load:
    """The clients.

    Args:
        url: The gateway.
        keys: Their keys.
        rate: Plain calls a second.
        streams: Always in flight.
    """

    def __init__(self, url: str, keys: list[str], rate: float, streams: int) -> None:
        self.sums = Sums()
        self._port = int(url.rpartition(":")[2].partition("/")[0])
        self._keys = keys
        self._rate = rate
        self._streams = streams
        self._chance = random.Random(5)
        self._numbers = count()
        self._idle: list[Asker] = []
        self._ending = False

    async def run(self, seconds: float) -> None:
        """Load the gateway; return when the last answer is there."""
        streams = [asyncio.create_task(self._keep_streaming(number)) for number in range(self._streams)]
        running: set[asyncio.Task[None]] = set()
        due, last = time.monotonic(), time.monotonic() + seconds
        while due < last:
            due += self._chance.expovariate(self._rate)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            task = asyncio.create_task(self._plain())
            running.add(task)
            task.add_done_callback(running.discard)
        self._ending = True
        await asyncio.gather(*running, *streams)
        for connection in self._idle:
            if connection.transport is not None:
                connection.transport.abort()

    def _target(self, route: str, words: str, *, stream: bool) -> Target:
        body: dict[str, Any] = {"model": route, "messages": [{"role": "user", "content": words}], "max_tokens": 512}
        body |= {"stream": True} if stream else {}
        key = self._chance.choice(self._keys)
        headers = {"authorization": f"Bearer {key}"}
        return Target(name=route, port=self._port, path="/v1/chat/completions", headers=headers, body=json.dumps(body))

    async def _connection(self) -> Asker:
        while self._idle:
            connection = self._idle.pop()
            if connection.transport is not None:
                return connection
        _, connection = await asyncio.get_running_loop().create_connection(Asker, "127.0.0.1", self._port)
        return connection

    async def _plain(self) -> None:
        route = self._chance.choices(list(SHARES), list(SHARES.values()))[0]
        number = next(self._numbers)
        known = route == "cached" and number % 4
        words = (
            f"question {number % 100 if known else number} of ann{number}@example.org about tug boats "
            * (1 if not known else 0)
            or f"question {number % 100} about tug boats"
        )
        connection = await self._connection()
        connection.text = b""
        self.sums.sent += 1
        self.sums.open += 1
        future = connection.ask(self._target(route, words, stream=False).request(), streaming=False)
        if route == "plain" and self._chance.random() < LEAVING / SHARES["plain"]:
            await asyncio.sleep(0.003)
            self.sums.left += 1
            self.sums.open -= 1
            connection.transport and connection.transport.abort()
            return
        status = await self._answered(future)
        self.sums.open -= 1
        self.sums.statuses[f"{route} {_word(status, connection.text)}"] += 1
        self.sums.unredacted += route == "guarded" and status == 200 and b"@example.org" in connection.text
        if status > 0 and connection.transport is not None:
            self._idle.append(connection)

    async def _keep_streaming(self, number: int) -> None:
        await asyncio.sleep(number * TOKENS * 0.02 / max(self._streams, 1))
        while not self._ending:
            await self._stream()

    async def _stream(self) -> None:
        connection = await self._connection()
        connection.text = b""
        self.sums.sent += 1
        self.sums.streams += 1
        words = f"stream {next(self._numbers)}"
        future = connection.ask(self._target("long", words, stream=True).request(), streaming=True)
        if self._chance.random() < LEAVING_STREAMS:
            await asyncio.sleep(self._chance.random() * TOKENS * 0.02)
            self.sums.streams_left += 1
            connection.transport and connection.transport.abort()
            self.sums.frames += len(connection.arrivals)
            return
        status = await self._answered(future)
        numbers = [number for _, number in connection.arrivals]
        self.sums.statuses[f"long {_word(status, connection.text)}"] += 1
        self.sums.frames += len(numbers)
        self.sums.lost += TOKENS - len(set(numbers))
        self.sums.broken_streams += numbers != list(range(TOKENS)) or bool(connection.broken)
        if status > 0 and connection.transport is not None:
            self._idle.append(connection)

    async def _answered(self, future: asyncio.Future[int]) -> int:
        watch = asyncio.get_running_loop().call_later(60, lambda: future.done() or future.set_result(-1))
        status = await future
        watch.cancel()
        return status


def _word(status: int, text: bytes) -> str:
    if status == 200:
        return "200"
    if status <= 0:
        return "connection"
    found = text.partition(b'"code":"')[2].partition(b'"')[0]
    return f"{status} {found.decode('latin-1') or '?'}"
