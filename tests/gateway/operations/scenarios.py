"""What operators do to a gateway, done while clients ask it without a pause.

`python -m tests.gateway.operations` prints what was found.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

from msgspec import Struct

from pilothouse.access.keys.service import KeyService
from pilothouse.gateway.config.service import ConfigService
from pilothouse.gateway.ledger.types import LedgerCall

from ..limits.redis_server import RedisServer
from ..mock.upstream import MockUpstream
from .client import Clients, Outcome, Spec
from .gateways import TOKENS, Running, asking, ledger, make_keys, on_project, serving, settings, until, write_project

CAPTURES = Path(".pilothouse", "capture", "incoming")
SOME = 25  # calls between two changes


class Found(Struct, kw_only=True):
    """What was seen.

    Attributes:
        outcomes: Of every call.
        rows: The ledger.
        code: How the gateway ended.
        said: What it said.
        seconds: What took how long.
        seen: What readiness said, by moment.
        at: When something was done, seconds since 1970.
        bill: The mock's.
    """

    outcomes: list[Outcome] = []
    rows: list[LedgerCall] = []
    code: int = -1
    said: str = ""
    seconds: dict[str, float] = {}
    seen: dict[str, dict[str, Any]] = {}
    at: dict[str, float] = {}
    bill: dict[str, Any] = {}

    @property
    def answered(self) -> list[Outcome]:
        """Calls that were answered well and wholly."""
        return [outcome for outcome in self.outcomes if outcome.status == 200 and outcome.whole]

    @property
    def lost(self) -> list[Outcome]:
        """Calls that were neither answered nor, at the end, turned away before anything was answered."""
        return [
            outcome for outcome in self.outcomes if not outcome.whole and (outcome.status or not outcome.turned_away)
        ]


def spec(running: Running, keys: dict[str, str], streams: int = 12, plain: int = 6) -> Spec:
    """Return clients of every kind for every key."""
    clients: list[Clients] = []
    for name, key in keys.items():
        clients.append(Clients(name=f"{name}-paced", route="paced", key=key, number=streams, tokens=TOKENS))
        clients.append(Clients(name=f"{name}-quick", route="quick", key=key, number=plain))
    return Spec(url=f"{running.url}/v1", clients=clients)


async def served(mock: MockUpstream, more: int = SOME) -> None:
    """Wait until the mock has served so many further calls."""
    wanted = mock.bill.count("served") + more
    await until(lambda: mock.bill.count("served") >= wanted, lambda: f"{wanted} calls: {mock.bill.count('served')}")


async def changes(folder: Path) -> Found:
    """Change everything that can be changed, one after the other, and end; one process."""
    found = Found()
    limits = [{"name": "money", "dollars": 100, "per": "total"}, {"name": "at-once", "concurrency": 1000}]
    content = settings(limits=limits)
    async with MockUpstream() as mock:
        write_project(folder, mock.url, content)
        keys = make_keys(folder, "ann", "bob")
        async with serving(folder) as gateway, asking(spec(gateway, keys, 6, 3)) as clients:
            await served(mock)
            gateway.process.send_signal(signal.SIGHUP)
            await gateway.heard("says what it said before: version 1")
            await _weights(gateway, found, mock)
            await on_project(folder, lambda project: project.get(KeyService).revoke("bob"))
            found.at["revoked"] = time.time()
            await served(mock)
            await _broken_file(gateway, found, mock)
            await _new_file(gateway, found, mock, content)
            await on_project(folder, lambda project: project.get(ConfigService).rollback(2))
            found.seconds["rollback"] = await gateway.readiness(200, config="2")
            found.at["rolled back"] = time.time()
            await served(mock)
            found.seen["captures"] = {"before": (folder / CAPTURES).exists()}
            await on_project(folder, lambda project: project.get(ConfigService).edit("capture.mode", "full"))
            await gateway.readiness(200, config="4")
            await served(mock, SOME // 4)
            await clients.tell_leaving()
            found.code = await gateway.end()
            found.seen["captures"]["after"] = (folder / CAPTURES).exists()
            found.outcomes = await clients.outcomes()
            found.said = gateway.said
        found.bill = mock.bill.report()
    found.rows = ledger(folder)
    return found


async def _weights(gateway: Running, found: Found, mock: MockUpstream) -> None:
    await gateway.command("route", "weights", "quick", "quick-first=0", "quick-second=1")
    found.at["weights"] = time.time()
    found.seconds["weights"] = await gateway.readiness(200, config="2")
    found.at["weights in force"] = time.time()
    await served(mock)


async def _broken_file(gateway: Running, found: Found, mock: MockUpstream) -> None:
    gateway.write("gateway:\n  access: keys\n  rutes: {}\n")
    gateway.process.send_signal(signal.SIGHUP)
    await gateway.heard("all stays as it was")
    found.seen["broken file"] = (await gateway.ready())[1]
    await served(mock)


async def _new_file(gateway: Running, found: Found, mock: MockUpstream, content: dict[str, Any]) -> None:
    routes = content["gateway"]["routes"] | {"quick": content["gateway"]["routes"]["quick"] | {"aliases": ["fast"]}}
    gateway.write(content | {"gateway": content["gateway"] | {"routes": routes, "drain": 30}})
    gateway.process.send_signal(signal.SIGHUP)
    await gateway.heard("was taken in: version 3")
    await gateway.heard("had become 0.0")
    found.at["new file"] = time.time()
    found.seen["new file"] = (await gateway.ready())[1]
    await served(mock)


async def workers(folder: Path) -> Found:
    """Kill one of two processes without a warning, reload the others, end; the clients ask all the while."""
    found = Found()
    content = settings()
    async with MockUpstream() as mock:
        write_project(folder, mock.url, content)
        keys = make_keys(folder, "ann")
        async with serving(folder, "--workers", "2") as gateway, asking(spec(gateway, keys)) as clients:
            await served(mock)
            first = gateway.children()
            found.at["killed"] = time.time()
            os.kill(first[0], signal.SIGKILL)
            await gateway.heard("a worker died")
            await until(lambda: len(gateway.children()) == 2, gateway.children)
            await served(mock, 3 * SOME)
            await gateway.command("route", "weights", "quick", "quick-first=0", "quick-second=1")
            found.at["weights"] = time.time()
            await _everywhere(gateway, "2", found)
            await served(mock)
            await clients.tell_leaving()
            gateway.process.send_signal(signal.SIGTERM)
            found.outcomes = await clients.outcomes()
            found.code = await gateway.end()
            found.said = gateway.said
        found.bill = mock.bill.report()
    found.rows = ledger(folder)
    return found


async def _everywhere(gateway: Running, version: str, found: Found) -> None:
    """Wait until every process serves with a version.

    New connections reach each of them by chance, and on a busy machine one for long: so it is asked for several times
    as long as a process waits before it looks for a new version.
    """
    begun = since = time.monotonic()
    row = 0
    while row < 20 or time.monotonic() - since < 2.0:
        answer = await gateway.ready()
        row = row + 1 if answer[1].get("config") == version else 0
        since = since if row else time.monotonic()
        assert time.monotonic() - begun < 30, f"readiness says {answer}"
    found.seconds["weights"] = since - begun
    found.at["weights in force"] = time.time()


async def joining(folder: Path, server: RedisServer) -> float:
    """Serve while Redis is away, then bring it; return the seconds until calls were taken."""
    async with MockUpstream() as mock:
        limits = [{"name": "money", "each": "key", "dollars": 100, "per": "total"}]
        write_project(folder, mock.url, settings(limits=limits, redis=server.url))
        keys = make_keys(folder, "ann")
        server.kill()
        async with serving(folder) as gateway:
            await gateway.readiness(503, status="not ready")
            await asyncio.to_thread(server.start)
            took = await gateway.readiness(200, status="ready")
            async with asking(spec(gateway, keys)) as clients:
                await served(mock)
                await clients.tell_leaving()
                await gateway.end()
                assert {one.status for one in await clients.outcomes()} == {200, 0}
    return took


async def both(folder: Path) -> dict[str, Found]:
    """Run both, one after the other."""
    found: dict[str, Found] = {}
    for name, scenario in (("changes", changes), ("workers", workers)):
        (folder / name).mkdir()
        found[name] = await scenario(folder / name)
    return found


def run(scenario: Any, folder: Path) -> Found:
    """Run a scenario in a loop of its own."""
    return asyncio.run(scenario(folder))
