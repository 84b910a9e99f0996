"""Connections without files, providers of them, and a server on the loopback that remembers what it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from msgspec import Struct

from pilothouse.core.clock import FixedClock
from pilothouse.gateway.providers.interface import Outgoing, Provider
from pilothouse.gateway.providers.registry import build_provider
from pilothouse.models.client import ProviderContext
from pilothouse.models.connection_types import TYPES
from pilothouse.models.secret import Secret
from pilothouse.models.settings import ModelSettings
from pilothouse.models.types import Connection

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
def context(clock: FixedClock, tmp_path: Path) -> ProviderContext:
    return ProviderContext(settings=ModelSettings(), root=tmp_path, cache=tmp_path, clock=clock)


@pytest.fixture
def connect() -> Callable[..., Connection]:
    """Makes a connection of a type; secret fields are told by the type."""

    def make(kind: str, **fields: str) -> Connection:
        rules = TYPES[kind].fields
        given = {**{name: rule.default for name, rule in rules.items() if rule.default}, **fields}
        return Connection(
            name="mine",
            type=kind,
            configs={name: value for name, value in given.items() if not rules[name].secret},
            secrets={name: Secret(value) for name, value in given.items() if rules[name].secret},
        )

    return make


@pytest.fixture
def provide(connect: Callable[..., Connection], context: ProviderContext) -> Callable[..., Provider]:
    def make(kind: str, **fields: str) -> Provider:
        return build_provider(connect(kind, **fields), context)

    return make


class Sent(Struct):
    """What the server got."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Answer = Callable[[Sent], tuple[int, dict[str, str], bytes]]


@pytest.fixture
def exchange() -> Callable[..., Any]:
    """Sends one request of a provider to a server on the loopback and returns what it got and what it answered."""
    from pyreqwest.client import ClientBuilder

    async def run(
        make: Callable[[str], Awaitable[Outgoing]], answer: Answer
    ) -> tuple[Sent, int, dict[str, str], bytes]:
        seen: list[Sent] = []

        async def handle(request: web.Request) -> web.Response:
            sent = Sent(
                method=request.method,
                path=request.raw_path,
                headers={name.lower(): value for name, value in request.headers.items()},
                body=await request.read(),
            )
            seen.append(sent)
            status, headers, body = answer(sent)
            return web.Response(status=status, headers=headers, body=body)

        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", handle)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        try:
            outgoing = await make(f"http://127.0.0.1:{port}")
            async with ClientBuilder().http1_only().build() as client:
                request = client.request(outgoing.method, outgoing.url).body_bytes(outgoing.body)
                for name, value in outgoing.headers:
                    request = request.header(name, value.reveal() if isinstance(value, Secret) else value)
                response = await request.build().send()
                body = bytes(await response.bytes())
                headers = dict(response.headers.items())
                return seen[0], response.status, headers, body
        finally:
            await runner.cleanup()

    return lambda make, answer: asyncio.run(run(make, answer))
