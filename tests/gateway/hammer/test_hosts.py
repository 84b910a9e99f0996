"""Two hosts of one gateway: folders, processes and ledgers of their own, one PostgreSQL, one Redis."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import aiohttp
import pytest

from pilothouse.access.keys.service import KeyService
from pilothouse.access.keys.types import KeyDraft
from pilothouse.gateway.config.service import ConfigService
from pilothouse.gateway.ledger.service import LedgerService
from pilothouse.gateway.settings import LimitRule

from ...postgres import PostgresServer
from ..limits.redis_server import RedisServer
from ..mock.upstream import MockUpstream
from .callers import Crowd, Plan, plans
from .site import OWNERS, QUICK, Site
from .verdict import judge

RULES = (
    LimitRule(name="acme", match={"organisation": "acme"}, dollars=0.02, per="total"),
    LimitRule(name="user", each="user", dollars=1.0, per="day"),
    LimitRule(name="tokens", each="team", tokens=10**9, per="minute"),
    LimitRule(name="calls", match={"key": "cid"}, requests=50, per="total"),
    LimitRule(name="beta", match={"organisation": "beta"}, concurrency=10),
)


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    server = RedisServer()
    yield server
    server.close()


@pytest.fixture
def hosts(
    tmp_path: Path, postgres: PostgresServer, migrated_postgres: str, redis: RedisServer
) -> Iterator[Callable[[str], list[Site]]]:
    made: list[Site] = []
    name = f"hosts_{secrets.token_hex(4)}"
    url = postgres.create(name, migrated_postgres)

    def make(mock: str) -> list[Site]:
        (tmp_path / "a").mkdir()
        first = Site(tmp_path / "a", mock, RULES, redis=redis.url, patience=5.0, database=url)
        # As another host would: by another address of the same server.
        made.extend([first, first.twin(tmp_path / "b", f"{url}&port=5432&application_name=b")])
        return made

    yield make
    for site in made:
        site.kill()
    postgres.drop(name)


async def status(url: str, secret: str, name: str) -> tuple[int, str, str]:
    body = {"model": "bounded", "messages": [{"role": "user", "content": "hello"}], "user": f"mock-tokens=4-key={name}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/v1/chat/completions", json=body, headers={"authorization": f"Bearer {secret}"}) as answer,
    ):
        said = await answer.json()
        code = said["error"]["code"] if "error" in said else ""
        return answer.status, code, answer.headers.get("x-pilothouse-config", "")


async def until(wanted: Callable[[tuple[int, str, str]], bool], url: str, secret: str, name: str) -> int:
    """Call until an answer is as wanted; return how many calls that took. Without end it fails by its time-out."""
    for number in range(200):
        if wanted(await status(url, secret, f"{name}.{number}")):
            return number + 1
        await asyncio.sleep(0.05)
    raise AssertionError(f"{name} does not reach {url}")


def test_two_hosts_are_one_gateway(hosts: Callable[[str], list[Site]]) -> None:
    async def run() -> None:
        async with MockUpstream() as mock:
            a, b = hosts(mock.url)
            urls = await asyncio.gather(*(asyncio.to_thread(site.start, before=QUICK) for site in (a, b)))
            await changes_reach(a, urls[1])
            crowd = Crowd(list(urls), a.secrets, 200)
            await crowd.make(plans(11, 400, owners=len(OWNERS), faults=False))
            assert crowd.most[3] <= 10
            assert [site.stop() for site in (a, b)] == [[0], [0]]
            rows = a.rows()
            assert rows == b.rows()
            verdict = judge(crowd.outcomes, rows, mock.bill.lines, RULES)
            assert (verdict.lost, verdict.twice, verdict.outside, verdict.overshoot) == ([], [], [], 0)
            assert verdict.counted.calls > 30
            assert verdict.refused["budget_exceeded"] > 0

    asyncio.run(run())


async def changes_reach(a: Site, url: str) -> None:
    """Change keys and configuration on one host, and wait until the other obeys."""
    with a.workspace() as there:
        secret = there.get(KeyService).create(KeyDraft(name="new", organisation="beta")).secret.reveal()
        await until(lambda seen: seen[0] == 200, url, secret, "made")
        config = there.get(ConfigService)
        before = config.active().version.number
        changed = config.edit(("limits",), [], note="no limit").version.number
        await until(lambda seen: seen[2] == str(changed), url, secret, "changed")
        config.rollback()
        await until(lambda seen: seen[2] == str(before), url, secret, "back")
        there.get(KeyService).revoke("new")
        await until(lambda seen: seen[1] == "key_revoked", url, secret, "revoked")


def test_a_host_that_is_killed_leaves_its_budgets(hosts: Callable[[str], list[Site]], redis: RedisServer) -> None:
    async def run() -> None:
        async with MockUpstream() as mock:
            a, b = hosts(mock.url)
            urls = await asyncio.gather(*(asyncio.to_thread(site.start, before=QUICK) for site in (a, b)))
            crowd = Crowd([urls[0]], a.secrets, 50)
            await crowd.make(
                [Plan(words=f"mock-tokens=150-key=y{n}", owner=0, form="chat", stream=False) for n in range(10)]
            )
            spent = sum(line.cost for line in mock.bill.lines)
            with a.workspace() as there:
                assert sum(row.cost for row in there.get(LedgerService).spend()) == spent  # and sent, by the asking
            held = [
                Plan(words=f"mock-tokens=150-pace=50-key=z{n}", owner=0, form="chat", stream=True) for n in range(5)
            ]
            running = asyncio.ensure_future(Crowd([urls[0]], a.secrets, 5).make(held))
            while (mock.bill.lines[-1].status != "open" or len(mock.bill.lines) < 15) and not running.done():
                await asyncio.sleep(0.01)
            a.kill()
            await running
            redis.kill()
            redis.start()
            await until(lambda seen: seen[0] == 200, urls[1], a.secrets[3], "joined")
            used = {f"{state.rule} {state.value}".strip(): state.used for state in await b.shared()}
            assert used["acme"] >= spent
            late = Crowd([urls[1]], a.secrets, 60)
            await late.make(
                [Plan(words=f"mock-tokens=150-key=l{n}", owner=1, form="chat", stream=False) for n in range(60)]
            )
            assert {outcome.status for outcome in late.outcomes} == {200, 429}
            whole = [line.cost for line in mock.bill.lines if "-key=z" not in line.told and "joined" not in line.told]
            assert sum(whole) <= 0.02 * 10**9

    asyncio.run(run())
