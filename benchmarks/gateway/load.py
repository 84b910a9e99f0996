"""The load, a process of its own that asks, counts and times: `python -m benchmarks.gateway.load` reads a spec (JSON).

It speaks HTTP/1.1 by a bare protocol, so that it costs less than anything it asks. Frames of streams are checked
against the mock's numbering: each lost, repeated or misplaced one is counted.
"""

from __future__ import annotations

import asyncio
import random
import re
import resource
import sys
from collections import deque
from itertools import pairwise
from time import perf_counter
from typing import Any, Literal

import httptools
import msgspec
import uvloop
from msgspec import Struct

CONTENT = re.compile(rb'"content":\s?"([^"\\]+)"')
LONGEST = 30.0
"""Seconds after which a request is given up.

Times are taken by `perf_counter`: uvloop's own clock counts milliseconds.
"""


class Target(Struct, frozen=True, kw_only=True):
    """Where requests go: an address on this machine, and what is sent."""

    name: str
    host: str = "127.0.0.1"
    port: int
    path: str
    headers: dict[str, str] = {}
    body: str

    def request(self) -> bytes:
        """Return the bytes of one request."""
        body = self.body.encode()
        lines = [f"POST {self.path} HTTP/1.1", f"host: {self.host}:{self.port}", "content-type: application/json"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body


class Spec(Struct, frozen=True, kw_only=True):
    """What is asked.

    Attributes:
        mode: `closed`: `connections` at once, each asks again when it was answered; `open`: `rate` requests a second,
            whatever the answers do; `interleaved`: one at a time, `requests` of each target in each of `rounds`, in
            random order; `streams`: `connections` streams once, begun evenly within a second.
        targets: Several for `interleaved` alone.
        seconds: How long `closed` and `open` last.
        tokens: Frames with text that each stream has; 0 where answers are no streams.
        pace: Seconds between two of them.
    """

    mode: Literal["closed", "open", "interleaved", "streams"]
    targets: list[Target]
    connections: int = 1
    seconds: float = 2.0
    rate: float = 0.0
    rounds: int = 1
    requests: int = 100
    tokens: int = 0
    pace: float = 0.0


class Connection(asyncio.Protocol):
    """One connection; one request at a time."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.transport: Any = None
        self.done: asyncio.Future[int] | None = None
        self._parser: Any = None
        self._tail = b""
        self._streaming = False
        self.begun = 0.0
        self.arrivals: list[tuple[float, int]] = []
        self.broken = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = transport

    def ask(self, request: bytes, *, streaming: bool) -> asyncio.Future[int]:
        """Send a request; the future holds the status, or 0 for a connection that broke."""
        self._parser = httptools.HttpResponseParser(self)
        self._streaming, self._tail = streaming, b""
        self.arrivals, self.broken = [], 0
        self.done = self.loop.create_future()
        self.begun = perf_counter()
        self.transport.write(request)
        return self.done

    def data_received(self, data: bytes) -> None:
        """Read on."""
        if self._parser is None:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._finish(0)

    def on_body(self, body: bytes) -> None:
        """Note the numbers of the frames that have arrived whole."""
        if not self._streaming:
            return
        whole, _, self._tail = (self._tail + body).rpartition(b"\n")
        now = perf_counter()
        for text in CONTENT.findall(whole):
            # The first piece of text names the answer; each further one is its own number.
            first = not self.arrivals and len(text) == 8
            try:
                self.arrivals.append((now, 0 if first else int(text)))
            except ValueError:
                self.broken += 1

    def on_message_complete(self) -> None:
        """Give the status."""
        self._finish(self._parser.get_status_code())

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        self.transport = None
        self._finish(0)

    def _finish(self, status: int) -> None:
        if self.done is not None and not self.done.done():
            self.done.set_result(status)


class Tally:
    """What was found; times in seconds."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.latencies: list[float] = []
        self.failures: dict[str, int] = {}
        self.first: list[float] = []
        self.gaps: list[float] = []
        self.frames = self.lost = self.repeated = self.misplaced = self.clean = self.streams = 0

    def add(self, connection: Connection, status: int, begun: float) -> None:
        """Add what one request got."""
        now = perf_counter()
        if status != 200:
            name = str(status) if status else "connection"
            self.failures[name] = self.failures.get(name, 0) + 1
        else:
            self.latencies.append(now - begun)
        if self.spec.tokens:
            self._stream(connection, status, begun)

    def _stream(self, connection: Connection, status: int, begun: float) -> None:
        self.streams += 1
        numbers = [number for _, number in connection.arrivals]
        times = [at for at, _ in connection.arrivals]
        seen = set(numbers)
        lost = self.spec.tokens - len(seen & set(range(self.spec.tokens)))
        repeated = len(numbers) - len(seen)
        misplaced = sum(later < earlier for earlier, later in pairwise(numbers))
        gaps = [later - earlier for earlier, later in pairwise(times)]
        self.frames += len(numbers)
        self.lost += lost
        self.repeated += repeated
        self.misplaced += misplaced
        if times:
            self.first.append(times[0] - begun)
        self.gaps += gaps
        whole = status == 200 and not (lost or repeated or misplaced or connection.broken)
        self.clean += whole and max(gaps, default=0.0) <= 10 * max(self.spec.pace, 0.001)

    def report(self, seconds: float) -> dict[str, Any]:
        """Return sums and percentiles; times in milliseconds."""
        found: dict[str, Any] = {
            "ok": len(self.latencies),
            "failed": self.failures,
            "rate": round(len(self.latencies) / seconds, 1),
            "latency_ms": percentiles(self.latencies),
        }
        if self.spec.tokens:
            found |= {
                "streams": self.streams,
                "clean": self.clean,
                "frames": self.frames,
                "lost": self.lost,
                "repeated": self.repeated,
                "misplaced": self.misplaced,
                "first_ms": percentiles(self.first),
                "gap_ms": percentiles(self.gaps),
            }
        return found


def percentiles(values: list[float]) -> dict[str, float]:
    """Return the usual ones in milliseconds; nothing for nothing."""
    ordered = sorted(values)
    if not ordered:
        return {}
    at = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    return {
        name: round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000, 3) for name, share in at.items()
    }


async def connect(target: Target) -> Connection:
    """Open a connection."""
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(Connection, target.host, target.port)
    return connection


async def one(
    target: Target, connection: Connection | None, tally: Tally, begun: float | None = None
) -> Connection | None:
    """Ask once; return the connection where it is still good."""
    loop = asyncio.get_running_loop()
    begun = perf_counter() if begun is None else begun
    try:
        used = connection if connection is not None and connection.transport is not None else await connect(target)
    except OSError:
        tally.failures["connect"] = tally.failures.get("connect", 0) + 1
        await asyncio.sleep(0.05)
        return None
    future = used.ask(target.request(), streaming=bool(tally.spec.tokens))
    watch = loop.call_later(LONGEST, lambda: future.done() or future.set_result(-1))
    status = await future
    watch.cancel()
    tally.add(used, status, begun)
    if status != 200 and used.transport is not None:
        used.transport.abort()
        return None
    return used if used.transport is not None else None


async def closed(spec: Spec) -> dict[str, Any]:
    """Keep so many requests in flight."""
    tally = Tally(spec)
    began = perf_counter()

    async def client() -> None:
        connection: Connection | None = None
        while perf_counter() - began < spec.seconds:
            connection = await one(spec.targets[0], connection, tally)

    await asyncio.gather(*(client() for _ in range(spec.connections)))
    return tally.report(perf_counter() - began)


async def opened(spec: Spec) -> dict[str, Any]:
    """Begin requests at their times (a Poisson process), and time each from when it was due."""
    tally, loop = Tally(spec), asyncio.get_running_loop()
    idle: deque[Connection] = deque()
    running: set[asyncio.Task[None]] = set()
    chance = random.Random(1)

    async def ask(due: float) -> None:
        connection = await one(spec.targets[0], idle.pop() if idle else None, tally, due)
        if connection is not None:
            idle.append(connection)

    began = due = perf_counter()
    while due - began < spec.seconds:
        due += chance.expovariate(spec.rate)
        if (wait := due - perf_counter()) > 0:
            await asyncio.sleep(wait)
        task = loop.create_task(ask(due))
        running.add(task)
        task.add_done_callback(running.discard)
        if len(running) > 4000:
            tally.failures["not sent: 4000 in flight"] = 1
            break
    asked = perf_counter() - began
    await asyncio.gather(*running)
    return tally.report(max(asked, 0.001))


async def streams(spec: Spec) -> dict[str, Any]:
    """Begin so many streams within a second, and read each to its end."""
    tally = Tally(spec)
    began = perf_counter()

    async def stream(number: int) -> None:
        await asyncio.sleep(number / spec.connections)
        await one(spec.targets[0], None, tally)

    await asyncio.gather(*(stream(number) for number in range(spec.connections)))
    return tally.report(perf_counter() - began)


async def interleaved(spec: Spec) -> dict[str, Any]:
    """Ask the targets in turn, in small rounds of random order: noise meets all of them alike."""
    tallies = {target.name: Tally(spec) for target in spec.targets}
    connections: dict[str, Connection | None] = {}
    began, chance = perf_counter(), random.Random(2)
    for _ in range(spec.rounds):
        for target in chance.sample(spec.targets, len(spec.targets)):
            for _ in range(spec.requests):
                connections[target.name] = await one(target, connections.get(target.name), tallies[target.name])
    return {name: tally.report(perf_counter() - began) for name, tally in tallies.items()}


def main() -> None:
    spec = msgspec.json.decode(sys.stdin.buffer.read(), type=Spec)
    modes = {"closed": closed, "open": opened, "interleaved": interleaved, "streams": streams}
    found = uvloop.run(modes[spec.mode](spec))
    used = resource.getrusage(resource.RUSAGE_SELF)
    found["load_cpu_seconds"] = round(used.ru_utime + used.ru_stime, 3)
    sys.stdout.buffer.write(msgspec.json.encode(found))


if __name__ == "__main__":
    main()
