"""`gateway budget list` shows what is set aside now: in the process that serves, or through Redis from anywhere."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from click.testing import Result

from pilothouse.core.settings import Settings
from pilothouse.core.storage.sql import Database
from pilothouse.gateway.limiting import LiveLimits, shared_name
from pilothouse.gateway.limits.memory import LimiterState, MemoryLimiter
from pilothouse.gateway.limits.shared.limiter import SharedLimiter
from pilothouse.gateway.limits.shared.link import Link
from pilothouse.gateway.limits.shared.state import SharedState
from pilothouse.gateway.limits.types import Ask
from pilothouse.gateway.settings import GatewaySettings
from pilothouse.gateway.types import Tenant

from ..limits.redis_server import RedisServer

Run = Callable[..., Result]
LIMITS = [
    {"name": "house", "dollars": 5, "per": "total"},
    {"name": "teams", "tokens": 1000, "each": "team"},
    {"name": "at once", "concurrency": 9},
]
ACME = Tenant(key="k", organisation="acme", team="red", user="ann")


def settle(services: Any, **more: Any) -> GatewaySettings:
    section = msgspec.convert({"limits": LIMITS, **more}, GatewaySettings)
    services.settings = Settings(services.root, services.environment, {"gateway": section})
    return section


def ask() -> Ask:
    return Ask(call_id="c1", tenant=ACME, route="x", tokens=100, cost=10**9, at_ns=time.time_ns())


def listed(run: Run) -> dict[str, tuple[str, int | None, int | None]]:
    found = json.loads(run("budget", "list", "--json").output)
    return {item["name"]: (item["value"], item["used"], item["held"]) for item in found}


HELD = {"house": ("", 0, 10**9), "teams": ("acme/red", 0, 100), "at once": ("", 0, 1)}


def test_nobody_here_knows(services: Any, run: Run) -> None:
    settle(services)
    assert listed(run) == {"house": ("", 0, None), "teams": ("", None, None), "at once": ("", None, None)}


def test_in_the_process_that_serves(services: Any, run: Run) -> None:
    settings = settle(services)
    limiter = services.get(LiveLimits).limiter = MemoryLimiter(settings.limits, LimiterState())
    held = asyncio.run(limiter.reserve(ask()))
    assert listed(run) == HELD
    said = " ".join(run("budget", "list").output.split())
    assert "limit whose used held of" in said
    assert "house all $0.00 $1.00 $5.00" in said
    asyncio.run(limiter.settle(held, tokens=70, cost=1))
    assert listed(run)["house"] == ("", 0, 0)  # what is used is the ledger's word
    assert listed(run)["at once"] == ("", 0, 0)


def test_through_redis_and_while_it_is_away(services: Any, run: Run) -> None:
    server = RedisServer()
    try:
        settings = settle(services, redis=server.url)

        async def reserve() -> None:
            link = Link(server.url, name=shared_name(services.get(Database)), timeout=5.0)
            state = SharedState(link, gather=0.05)
            limiter = SharedLimiter(settings.limits, state)
            assert await limiter.start()
            await limiter.reserve(ask())
            seen.update(await asyncio.to_thread(listed, run))
            await state.aclose()

        seen: dict[str, Any] = {}
        asyncio.run(reserve())
        assert seen == HELD
    finally:
        server.close()
    assert listed(run)["house"] == ("", 0, None)


@pytest.fixture(autouse=True)
def _now(services: Any) -> None:
    services.clock.advance(time.time() - services.clock.now().timestamp())
