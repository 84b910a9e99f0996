"""A project whose gateway asks the mock upstream, and calls that it made and recorded."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from pilothouse.core.environment import Environment
from pilothouse.core.settings import Settings
from pilothouse.gateway.assembly import Gateway
from pilothouse.gateway.ledger.service import LedgerService
from pilothouse.gateway.ledger.types import CallFilter, LedgerCall
from pilothouse.gateway.settings import GatewaySettings
from pilothouse.models.rates.card import RateCard

from .mock.upstream import MockUpstream
from .running import UPSTREAM_SECRET, FlatRates


class Answered(NamedTuple):
    """What a client got."""

    status: int
    call: str
    body: bytes
    cache: str


class Prices(FlatRates):
    """The mock's prices, which need no reading."""

    def warm(self, models: Iterable[tuple[str, str]] = (), at_ns: int = 0) -> None:
        """Do nothing."""


class Project:
    """A project, its upstream and its gateway."""

    def __init__(self, services: Any, upstream: MockUpstream) -> None:
        self.services = services
        self.upstream = upstream
        folder: Path = services.root / "connections"
        folder.mkdir()
        (folder / "up.yaml").write_text(
            f"name: up\ntype: open_ai\napi_key: ${{env:KEY_HERE}}\nbase_url: {upstream.url}/v1\n"
        )
        services.environment = Environment({"KEY_HERE": UPSTREAM_SECRET})
        services.put(Prices(), RateCard)

    def configure(self, **section: Any) -> None:
        """Say what `pilothouse.yaml` says."""
        made = msgspec.convert({"capture": {"mode": "full"}, **section}, GatewaySettings)
        self.services.settings = Settings(self.services.root, self.services.environment, {"gateway": made})

    def call(
        self, *bodies: dict[str, Any], path: str = "/v1/chat/completions", headers: dict[str, str] | None = None
    ) -> list[Answered]:
        """Let a gateway answer calls, one after the other."""

        async def run() -> list[Answered]:
            async with self.serving() as ask:
                return [await ask(body, path, headers) for body in bodies]

        return asyncio.run(run())

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Callable[..., Awaitable[Answered]]]:
        """While inside, a gateway answers what is given: body, path, headers."""
        gateway = Gateway(self.services, "127.0.0.1")

        async def ask(
            body: dict[str, Any], path: str = "/v1/chat/completions", headers: dict[str, str] | None = None
        ) -> Answered:
            return await _ask(gateway, path, json.dumps(body).encode(), headers or {})

        try:
            await gateway.open()
            yield ask
        finally:
            await gateway.aclose()

    def rows(self) -> list[LedgerCall]:
        """Return all rows of the ledger, the oldest first."""
        return list(reversed(self.services.get(LedgerService).calls(CallFilter()).calls))


async def ask_of(gateway: Gateway, body: dict[str, Any]) -> Answered:
    """Let a gateway that is open answer one call."""
    return await _ask(gateway, "/v1/chat/completions", json.dumps(body).encode(), {})


async def _ask(gateway: Gateway, path: str, body: bytes, headers: dict[str, str]) -> Answered:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        if not sent:
            return {"type": "http.request", "body": body, "more_body": False}
        return await asyncio.Future()

    async def send(message: Any) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": path,
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "extensions": {"pilothouse.disconnect": {}},
    }
    await gateway.plane(scope, receive, send)
    head = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    data = b"".join(message.get("body", b"") for message in sent[1:])
    return Answered(sent[0]["status"], head["x-pilothouse-call"], data, head.get("x-pilothouse-cache", ""))


@pytest.fixture
def upstream() -> Iterator[MockUpstream]:
    """The mock in a loop of its own: commands run loops of theirs."""
    ready, ended = threading.Event(), threading.Event()
    made = MockUpstream()

    async def serve() -> None:
        async with made:
            ready.set()
            await asyncio.to_thread(ended.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(30)
        yield made
    finally:
        ended.set()
        thread.join()


@pytest.fixture
def project(services: Any, upstream: MockUpstream) -> Project:
    return Project(services, upstream)
