"""Many calls of all manners through real gateways, and what is left of them.

`python -m tests.gateway.hammer --calls 20000 --gateways 2 --redis --kill-redis 2`

`python -m tests.gateway.hammer --calls 5000 --hosts --redis --kill-redis 1 --kill-host`
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from pilothouse.gateway.settings import LimitRule

from ...postgres import PostgresServer
from ..limits.redis_server import RedisServer
from ..mock.upstream import MockUpstream
from .callers import Crowd, plans
from .site import OWNERS, QUICK, Site
from .verdict import Verdict, judge


def rules(acme: float, user: float) -> tuple[LimitRule, ...]:
    """Return limits of every kind; two budgets in dollars that are to run out."""
    return (
        LimitRule(name="acme", match={"organisation": "acme"}, dollars=acme, per="total"),
        LimitRule(name="user", each="user", dollars=user, per="day"),
        LimitRule(name="tokens", each="team", tokens=10**9, per="minute"),
        LimitRule(name="calls", each="key", requests=10**6, per="hour"),
        LimitRule(name="beta", match={"organisation": "beta"}, concurrency=40),
    )


async def hammer(folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Run; return figures."""
    server = RedisServer() if given.redis else None
    server_of_rows = PostgresServer() if given.hosts else None
    site: Site | None = None
    twin: Site | None = None
    try:
        async with MockUpstream() as mock:
            site = Site(
                folder,
                mock.url,
                rules(given.acme, given.user),
                redis=server.url if server else "",
                patience=3.0,
                database=server_of_rows.create("hammer") if server_of_rows else "",
            )
            urls = site.start_all(given.gateways, workers=given.workers, before=QUICK)
            if server_of_rows is not None:
                twin = site.twin(folder / "twin", server_of_rows.url("hammer"))
                urls += twin.start_all(given.gateways, workers=given.workers, before=QUICK)
            crowd = Crowd(urls, site.secrets, given.at_once)
            begun = time.monotonic()
            running = asyncio.ensure_future(
                crowd.make(plans(given.seed, given.calls, owners=len(OWNERS), faults=not given.no_faults))
            )
            await _disturb(site, server, given, crowd, running)
            if twin is not None and given.kill_host:
                while crowd.begun < given.blow_after * (given.kill_redis + 1) and not running.done():
                    await asyncio.sleep(0.01)
                twin.kill()
            await running
            took = time.monotonic() - begun
            left = await site.quiet(60.0) if server else []
            codes = [*(twin.stop() if twin is not None else []), *site.stop()]
            alike = twin is None or twin.rows() == site.rows() == twin.rows()
            rows, budgets = site.rows(), site.budgets()
            verdict = judge(crowd.outcomes, rows, mock.bill.lines, site.limits)
            return _figures(verdict, crowd, took) | {
                "held": sum(state.held for state in left),
                "used": {f"{state.rule} {state.value}".strip(): state.used for state in left},
                "exits": codes,
                "ledgers_alike": alike,
                "budgets": {f"{one['name']} {one['value']}".strip(): one["used"] for one in budgets},
                "stderr": (folder / "stderr.txt").read_text()[-2000:],
            }
    finally:
        for one in (site, twin):
            if one is not None:
                one.kill()
        if server_of_rows is not None:
            server_of_rows.stop()
        if server is not None:
            server.close()


async def _disturb(
    site: Site, server: RedisServer | None, given: argparse.Namespace, crowd: Crowd, running: asyncio.Future[None]
) -> None:
    """Kill what is to be killed, each time when so many answers have begun."""
    blows = ["redis"] * given.kill_redis + ["worker"] * given.kill_worker
    for number, blow in enumerate(blows, 1):
        while crowd.begun < given.blow_after * number and not running.done():
            await asyncio.sleep(0.01)
        if blow == "worker":
            os.kill(site.workers()[0], signal.SIGKILL)
        elif server is not None:
            server.kill()
            await asyncio.sleep(0.5)
            server.start()


def _figures(verdict: Verdict, crowd: Crowd, took: float) -> dict[str, Any]:
    told = msgspec.to_builtins(verdict)
    for name in ("without_row", "twice", "unequal", "misjudged"):
        told[name] = {"count": len(told[name]), "first": told[name][:5]}
    return told | {"most_at_once": crowd.most, "seconds": round(took, 1)}


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--at-once", type=int, default=1000)
    parser.add_argument("--gateways", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--redis", action="store_true")
    parser.add_argument("--hosts", action="store_true", help="two hosts over one PostgreSQL, each with these gateways")
    parser.add_argument("--kill-host", action="store_true")
    parser.add_argument("--kill-redis", type=int, default=0)
    parser.add_argument("--kill-worker", type=int, default=0)
    parser.add_argument("--blow-after", type=int, default=200)
    parser.add_argument("--no-faults", action="store_true")
    parser.add_argument("--acme", type=float, default=0.1)
    parser.add_argument("--user", type=float, default=0.06)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(asyncio.run(hammer(Path(folder), given)), indent=1))


if __name__ == "__main__":
    main()
