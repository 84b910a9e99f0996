"""Attempts that were given up: what may be billed for them stands in the row, and no budget is overspent by them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import msgspec
import pytest

from pilothouse.gateway.settings import GatewaySettings
from pilothouse.gateway.types import NANO

from ..mock.upstream import MockUpstream
from ..running import Gateway, running

MOST = 50
TIMES = {"first_token": 0.8, "idle": 0.8}
Scene = Callable[[Gateway, MockUpstream, aiohttp.ClientSession], Awaitable[None]]


def deployment(words: str, name: str, **more: Any) -> dict[str, Any]:
    return {"connection": "mock", "model": f"mock-{words}", "name": name, **more}


def play(scene: Scene, *deployments: dict[str, Any], dollars: float = 1.0, **route: Any) -> None:
    """Run a scene against one route under one budget."""

    async def played() -> None:
        async with MockUpstream() as mock:
            made = {"deployments": deployments, "max_output_tokens": MOST, "timeouts": TIMES, **route}
            limits = [{"name": "money", "dollars": dollars, "per": "total"}]
            settings = msgspec.convert({"access": "open", "routes": {"r": made}, "limits": limits}, GatewaySettings)
            connections = {"mock": ("open_ai", mock.url + "/v1")}
            async with running(settings, connections) as gateway, aiohttp.ClientSession() as session:
                await scene(gateway, mock, session)

    asyncio.run(played())


async def ask(session: aiohttp.ClientSession, gateway: Gateway, *, stream: bool = True) -> tuple[int, str]:
    body = {"model": "r", "messages": [{"role": "user", "content": "hello"}], "stream": stream}
    async with session.post(gateway.url + "/v1/chat/completions", json=body) as answer:
        text = await answer.text()
    await gateway.settled()
    return answer.status, text


async def agrees(gateway: Gateway, mock: MockUpstream) -> Any:
    """Return the only row, once it, the bill and the budget have been compared."""
    while any(line.status == "open" and line.stream for line in mock.bill.lines):
        await asyncio.sleep(0.005)
    row = gateway.entry("r")
    assert row.cost is not None
    assert row.may_cost is not None
    assert row.cost <= mock.bill.total <= row.cost + row.may_cost
    assert gateway.limiter is not None
    states = {state.rule: (state.used, state.held) for state in await gateway.limiter.usage()}
    assert states["money"] == (row.cost + row.may_cost, 0)
    return row


def test_a_time_out_before_another_attempt_is_beside_the_cost() -> None:
    async def scene(gateway: Gateway, mock: MockUpstream, session: aiohttp.ClientSession) -> None:
        status, _ = await ask(session, gateway)
        assert status == 200
        row = await agrees(gateway, mock)
        first, second = row.attempts
        assert (first.failure, first.given_up, second.given_up, row.given_up) == ("timeout", True, False, 1)
        assert row.usage_source == "provider"
        served, slow = mock.bill.lines[1].cost, mock.bill.lines[0].cost
        assert (row.cost, slow > 0) == (served, True), "the vendor bills both, the row is sure of one"
        assert first.may_cost == row.may_cost > slow

    play(scene, deployment("tokens=5-fault=hang@0", "slow"), deployment("tokens=5", "well", priority=1))


@pytest.mark.parametrize("stream", [False, True])
def test_no_attempt_follows_that_the_budget_cannot_hold_beside_the_one_given_up(stream: bool) -> None:
    async def scene(gateway: Gateway, mock: MockUpstream, session: aiohttp.ClientSession) -> None:
        status, text = await ask(session, gateway, stream=stream)
        assert (status, "upstream_timeout" in text) == (504, True)
        row = await agrees(gateway, mock)
        assert (row.cost, row.given_up, len(row.attempts), len(mock.bill.lines)) == (0, 1, 1, 1)
        assert row.may_cost <= 0.0006 * NANO

    # One attempt may cost some 0.0004 dollars: the budget holds one, not two.
    play(scene, deployment("fault=hang@0", "slow"), deployment("tokens=5", "well", priority=1), dollars=0.0006)


def test_a_budget_that_holds_one_attempt_hedges_none() -> None:
    async def scene(gateway: Gateway, mock: MockUpstream, session: aiohttp.ClientSession) -> None:
        assert (await ask(session, gateway))[0] == 200
        row = gateway.entry("r")
        assert (row.deployment, row.given_up, len(mock.bill.lines)) == ("slow", 0, 1)

    slow, quick = deployment("tokens=5-first=100", "slow"), deployment("tokens=5", "quick", priority=1)
    play(scene, slow, quick, dollars=0.0006, hedge={"after": 0.03, "share": 1.0})


def test_the_loser_of_a_hedge_may_be_billed() -> None:
    async def scene(gateway: Gateway, mock: MockUpstream, session: aiohttp.ClientSession) -> None:
        assert (await ask(session, gateway))[0] == 200
        row = await agrees(gateway, mock)
        assert (row.deployment, row.given_up) == ("quick", 1)
        assert {item.deployment: item.given_up for item in row.attempts} == {"slow": True, "quick": False}

    slow, quick = deployment("tokens=5-first=700", "slow"), deployment("tokens=5", "quick", priority=1)
    play(scene, slow, quick, hedge={"after": 0.03, "share": 1.0})


def test_both_of_a_hedge_answer_and_the_row_is_the_winners() -> None:
    async def scene(gateway: Gateway, mock: MockUpstream, session: aiohttp.ClientSession) -> None:
        await asyncio.gather(*(ask(session, gateway, stream=False) for _ in range(12)))
        while any(line.status == "open" and line.stream for line in mock.bill.lines):
            await asyncio.sleep(0.005)
        rows = gateway.entries("r")
        assert sum(row.cost or 0 for row in rows) <= mock.bill.total
        assert mock.bill.total <= sum((row.cost or 0) + (row.may_cost or 0) for row in rows)
        assert {row.given_up for row in rows} <= {0, 1}

    one, two = deployment("tokens=5-first=60", "one"), deployment("tokens=5-first=30", "two", priority=1)
    play(scene, one, two, hedge={"after": 0.03, "share": 1.0})


def test_a_stream_that_another_goes_on_with_is_paid_twice_at_most() -> None:
    async def scene(gateway: Gateway, mock: MockUpstream, session: aiohttp.ClientSession) -> None:
        assert (await ask(session, gateway))[0] == 200
        row = await agrees(gateway, mock)
        torn, well = row.attempts
        assert (torn.failure, torn.given_up, torn.delivered) == ("cut", True, 4)
        assert (well.given_up, row.usage_source, row.cost) == (False, "provider", mock.bill.lines[1].cost)

    torn, well = deployment("tokens=8-fault=cut@4", "torn"), deployment("tokens=8", "well", priority=1)
    play(scene, torn, well, continuation=True)


@pytest.mark.parametrize(("words", "pieces"), [("tokens=20-first=5000", 0), ("tokens=40-pace=10", 3)])
def test_a_client_that_leaves_may_be_billed_for_all_it_asked(words: str, pieces: int) -> None:
    async def scene(gateway: Gateway, mock: MockUpstream, session: aiohttp.ClientSession) -> None:
        body = {"model": "r", "messages": [{"role": "user", "content": "hello"}], "stream": True}
        got = 0
        try:
            async with asyncio.timeout(0.1 if not pieces else None):
                async with session.post(gateway.url + "/v1/chat/completions", json=body) as answer:
                    async for line in answer.content:
                        got += b'"content":"' in line
                        if got > pieces:
                            break
                    answer.close()
        except TimeoutError:
            pass
        while not gateway.entries("r"):
            await asyncio.sleep(0.005)
        await gateway.settled()
        row = await agrees(gateway, mock)
        assert (row.status, row.given_up) == ("cancelled", 1)
        assert row.usage.output_tokens >= pieces
        assert row.attempts[0].delivered == row.usage.output_tokens

    play(scene, deployment(words, "only"), timeouts={"first_token": 5, "idle": 5})


@pytest.mark.parametrize("words", ["fault=500", "fault=429", "tokens=5"])
def test_what_a_vendor_refused_or_served_is_not_given_up(words: str) -> None:
    async def scene(gateway: Gateway, mock: MockUpstream, session: aiohttp.ClientSession) -> None:
        await ask(session, gateway)
        row = gateway.entry("r")
        assert (row.given_up, row.may_cost, row.charged, row.cost) == (0, None, None, mock.bill.total)

    play(scene, deployment(words, "only"), retries={"attempts": 1})
