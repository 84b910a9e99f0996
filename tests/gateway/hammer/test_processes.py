"""Real processes: replicas over one Redis that is killed, and a process that begins anew inside a window."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from pilothouse.gateway.settings import LimitRule

from ..limits.redis_server import RedisServer
from ..mock.upstream import MockUpstream
from .callers import Crowd, Plan, plans
from .site import OWNERS, QUICK, Site
from .verdict import judge

RULES = (
    LimitRule(name="acme", match={"organisation": "acme"}, dollars=0.03, per="total"),
    LimitRule(name="user", each="user", dollars=1.0, per="day"),
    LimitRule(name="tokens", each="team", tokens=10**9, per="minute"),
    LimitRule(name="beta", match={"organisation": "beta"}, concurrency=10),
)


@pytest.fixture
def sites() -> Iterator[list[Site]]:
    made: list[Site] = []
    yield made
    for site in made:
        site.kill()


def figures(url: str, name: str) -> float:
    with urllib.request.urlopen(url + "/metrics", timeout=20) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"pilothouse_gateway_{name}"))


async def shown(url: str, figure: str, value: float) -> None:
    """Wait until a gauge, which is set each second, shows a value; a test that waits for ever fails by its time-out."""
    for _ in range(400):
        if await asyncio.to_thread(figures, url, figure) == value:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{figure} does not come to {value}")


def test_replicas_over_a_redis_that_is_killed(tmp_path: Path, sites: list[Site]) -> None:
    server = RedisServer()

    async def run() -> None:
        async with MockUpstream() as mock:
            site = Site(tmp_path, mock.url, RULES, redis=server.url, patience=5.0)
            sites.append(site)
            urls = site.start_all(2, before=QUICK)
            crowd = Crowd(urls, site.secrets, 200)
            running = asyncio.ensure_future(crowd.make(plans(7, 500, owners=len(OWNERS), faults=False)))
            while crowd.begun < 60 and not running.done():
                await asyncio.sleep(0.005)
            server.kill()
            server.start()
            await running
            for url in urls:
                await shown(url, "limits_joined", 1)
                await shown(url, "reservations", 0)
            left = await site.quiet(20.0)
            assert [state for state in left if state.held] == []
            assert sum([await asyncio.to_thread(figures, url, 'limit_refusals_total{rule="acme"}') for url in urls]) > 0
            assert site.stop() == [0, 0]
            verdict = judge(crowd.outcomes, site.rows(), mock.bill.lines, RULES)
            assert (verdict.lost, verdict.twice, verdict.outside) == ([], [], [])
            assert verdict.overshoot == 0
            assert verdict.counted.calls > 60
            assert crowd.most[3] <= 10
            used = {f"{state.rule} {state.value}".strip(): state.used for state in left if state.resource == "dollars"}
            taken = {name: scope.taken for name, scope in verdict.scopes.items() if scope.taken}
            assert used.keys() == taken.keys()
            assert all(used[name] >= spent for name, spent in taken.items()), (used, taken)

    try:
        asyncio.run(run())
    finally:
        server.close()


def test_a_budget_outlives_its_process(tmp_path: Path, sites: list[Site]) -> None:
    async def run() -> None:
        async with MockUpstream() as mock:
            rules = (LimitRule(name="money", dollars=0.0015, per="total"),)
            site = Site(tmp_path, mock.url, rules)
            sites.append(site)
            first = Crowd([site.start()], site.secrets, 2)
            await first.make([told(number) for number in range(20)])
            assert {outcome.status for outcome in first.outcomes} == {200, 429}
            assert site.stop() == [0]
            spent = sum(line.cost for line in mock.bill.lines)
            assert spent == sum(row.cost or 0 for row in site.rows())
            again = Crowd([site.start()], site.secrets, 2)
            await again.make([told(number) for number in range(20, 30)])
            assert {(outcome.status, outcome.code) for outcome in again.outcomes} == {(429, "budget_exceeded")}
            assert sum(line.cost for line in mock.bill.lines) == spent
            assert [row["used"] for row in site.budgets()] == [spent]

    asyncio.run(run())


def told(number: int) -> Plan:
    return Plan(words=f"mock-tokens=150-key={number}", owner=number % len(OWNERS), form="chat", stream=number % 2 == 0)
