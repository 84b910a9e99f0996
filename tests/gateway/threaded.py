"""A gateway on a loop of its own in a thread, for tests that write bytes to sockets and wait for what comes back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from typing import TypeVar

from msgspec import Struct
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from pilothouse.access.keys.ring import KeyRing
from pilothouse.gateway.settings import GatewaySettings

from .mock.upstream import MockUpstream
from .running import Gateway, running

T = TypeVar("T")


class Bench(Struct, frozen=True, kw_only=True):
    """A gateway in front of a mock.

    Attributes:
        gateway: The gateway.
        mock: Who is behind it.
        spans: What was traced.
        loop: Where both run.
    """

    gateway: Gateway
    mock: MockUpstream
    spans: InMemorySpanExporter
    loop: asyncio.AbstractEventLoop

    @property
    def port(self) -> int:
        """Where the gateway listens."""
        return int(self.gateway.url.rpartition(":")[2])

    def settle(self) -> None:
        """Wait until no call is under way."""
        asyncio.run_coroutine_threadsafe(self.gateway.settled(), self.loop).result(20)

    def held(self) -> list[object]:
        """Return the limits that have something set aside."""
        limiter = self.gateway.limiter
        if limiter is None:
            return []
        states = asyncio.run_coroutine_threadsafe(limiter.usage(), self.loop).result(20)
        return [state for state in states if state.held]


@contextmanager
def in_thread(make: Callable[[], AbstractAsyncContextManager[T]]) -> Iterator[T]:
    """While inside, what `make` opens lives on a loop in a thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        opened = make()
        yield asyncio.run_coroutine_threadsafe(opened.__aenter__(), loop).result(30)
        asyncio.run_coroutine_threadsafe(opened.__aexit__(None, None, None), loop).result(30)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@asynccontextmanager
async def bench(
    settings: GatewaySettings, kinds: Mapping[str, str], keys: KeyRing | None = None
) -> AsyncIterator[Bench]:
    """While inside, a gateway and a mock live; `kinds` gives each connection its type."""
    spans = InMemorySpanExporter()
    traces = TracerProvider()
    traces.add_span_processor(SimpleSpanProcessor(spans))
    async with AsyncExitStack() as stack:
        mock = await stack.enter_async_context(MockUpstream())
        connections = {
            name: (kind, mock.url if kind == "anthropic" else mock.url + "/v1") for name, kind in kinds.items()
        }
        gateway = await stack.enter_async_context(running(settings, connections, keys=keys, traces=traces))
        yield Bench(gateway=gateway, mock=mock, spans=spans, loop=asyncio.get_running_loop())
