"""A flow served on the loopback inside of a test, and a client of it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from pilothouse.flows.loader import load_flow
from pilothouse.flows.runner import FlowRunner
from pilothouse.flows.serving.app import FlowApp
from pilothouse.flows.serving.server import FlowServer
from pilothouse.flows.serving.types import Site
from pilothouse.flows.settings import FlowSettings, ServingSettings
from pilothouse.models.secret import Secret

STREAM = {"accept": "text/event-stream"}


class Served:
    """A running server."""

    def __init__(
        self, address: str, session: aiohttp.ClientSession, server: FlowServer, spans: InMemorySpanExporter
    ) -> None:
        self.address = address
        self.session = session
        self.server = server
        self._spans = spans

    async def score(self, data: Any, **headers: str) -> tuple[int, Any, Any]:
        """Return status, body and headers; underscores in header names stand for dashes."""
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        sent = {"content-type": "application/json", **{key.replace("_", "-"): value for key, value in headers.items()}}
        async with self.session.post(f"{self.address}/score", data=body, headers=sent) as response:
            text = await response.text()
            return response.status, json.loads(text) if "json" in response.content_type else text, response.headers

    async def get(self, path: str, **headers: str) -> tuple[int, Any, Any]:
        async with self.session.get(f"{self.address}{path}", headers=headers) as response:
            text = await response.text()
            return response.status, json.loads(text) if "json" in response.content_type else text, response.headers

    def spans(self, name: str = "") -> list[ReadableSpan]:
        return [span for span in self._spans.get_finished_spans() if name in span.name]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something holds, half a minute at most."""
        async with asyncio.timeout(30):
            while not condition():
                await asyncio.sleep(0.01)

    async def raw(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, _, port = self.address.removeprefix("http://").partition(":")
        return await asyncio.open_connection(host, int(port))


@asynccontextmanager
async def served(
    path: Path,
    *,
    models: Any = None,
    site: Site | None = None,
    limits: ServingSettings | None = None,
    settings: FlowSettings | None = None,
    secrets: tuple[str, ...] = (),
    **runner: Any,
) -> AsyncIterator[Served]:
    limits = limits or ServingSettings(drain=20)
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with FlowRunner(load_flow(path), models=models, tracer=tracer, settings=settings, **runner) as made:
            app = FlowApp(
                made, tracer=tracer, settings=limits, site=site or Site(), secrets=tuple(map(Secret, secrets))
            )
            server = FlowServer(app, limits, lambda: None)
            running = asyncio.create_task(server.serve([listener]))
            try:
                async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
                    yield Served(address, session, server, exporter)
            finally:
                server.should_exit = True
                await asyncio.wait_for(running, 60)


def run(test: Coroutine[Any, Any, Any] | Awaitable[Any]) -> Any:
    async def go() -> Any:
        return await asyncio.wait_for(test, 60)

    return asyncio.run(go())


def frames(text: str) -> list[Any]:
    """Return the data of the plain frames of an event stream."""
    return [json.loads(part.removeprefix("data: ")) for part in text.split("\n\n") if part.startswith("data: ")]
