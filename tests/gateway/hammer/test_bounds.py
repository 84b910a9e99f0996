"""What was set aside is the most that a call costs: bounds that upstreams are told, and streams that are ended by them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from pilothouse.gateway.dialects.codecs import codec
from pilothouse.gateway.plane.admission import CHUNK
from pilothouse.gateway.plane.asking.relays import TranslatingRelay
from pilothouse.gateway.settings import DeploymentSettings, GatewaySettings, LimitRule, RouteSettings
from pilothouse.gateway.types import NANO
from pilothouse.models.types import Usage

from ..mock.bill import STANDARD
from ..mock.upstream import MockUpstream
from ..running import Gateway, running
from .callers import FORMS

WORDS = [{"role": "user", "content": "hello"}]
Scene = Callable[[Gateway, MockUpstream, aiohttp.ClientSession], Awaitable[None]]


def play(scene: Scene, routes: dict[str, tuple[str, int | None]], *rules: LimitRule) -> None:
    """Run a scene against routes of a model and a bound each; `.anthropic` in a name chooses the upstream."""

    async def played() -> None:
        async with MockUpstream() as mock:
            made = {
                name: RouteSettings(
                    deployments=(
                        DeploymentSettings(connection="anthropic" if ".anthropic" in name else "openai", model=model),
                    ),
                    max_output_tokens=most,
                )
                for name, (model, most) in routes.items()
            }
            settings = GatewaySettings(access="open", routes=made, limits=rules)
            connections = {"openai": ("open_ai", mock.url + "/v1"), "anthropic": ("anthropic", mock.url)}
            async with running(settings, connections) as gateway, aiohttp.ClientSession() as session:
                await scene(gateway, mock, session)

    asyncio.run(played())


async def ask(session: aiohttp.ClientSession, url: str, form: str, **more: Any) -> tuple[int, str]:
    body = {"messages": WORDS, "stream": True, **more}
    async with session.post(url + FORMS[form], json=body) as answer:
        return answer.status, await answer.text()


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]


async def standing(gateway: Gateway) -> tuple[int, int]:
    """Return what is used and held of the only budget."""
    assert gateway.limiter is not None
    found = [state for state in await gateway.limiter.usage() if state.resource == "dollars"]
    return (found[0].used, found[0].held) if found else (0, 0)


@pytest.mark.parametrize("pace", ["", "-pace=0.1"], ids=["in one piece", "paced"])
@pytest.mark.parametrize("upstream", ["openai", "anthropic"])
def test_a_stream_without_a_bound_ends_politely_where_the_budget_does(upstream: str, pace: str) -> None:
    name, budget = f"long.{upstream}", 3 * CHUNK * STANDARD["output"]

    async def scene(gateway: Gateway, mock: MockUpstream, session: aiohttp.ClientSession) -> None:
        status, text = await ask(session, gateway.url, "chat", model=name, stream_options={"include_usage": True})
        await gateway.settled()
        assert status == 200
        assert text.endswith("data: [DONE]\n\n")
        told = events(text)
        finishes = [choice["finish_reason"] for event in told for choice in event["choices"] if choice["finish_reason"]]
        assert finishes == ["length"]
        assert not any("error" in event for event in told)
        written = sum(bool(choice["delta"].get("content")) for event in told for choice in event["choices"])
        usages = [event["usage"] for event in told if event.get("usage")]
        assert len(usages) == 1
        row = gateway.entry(name)
        assert (row.status, row.code, row.usage_source) == ("cut", "budget_exceeded", "estimated")
        assert row.usage is not None
        assert row.usage.output_tokens <= usages[0]["completion_tokens"], "the row has what is sure"
        assert CHUNK < written <= row.usage.output_tokens < 3 * CHUNK
        assert row.cost is not None
        assert row.cost <= budget
        # How much the upstream had written ahead is known to nobody: the budget keeps all that was set aside.
        assert (row.given_up, row.may_cost, row.attempts[0].given_up) == (1, None, True)
        assert row.charged is not None
        assert row.cost <= row.charged <= budget
        assert await standing(gateway) == (row.charged, 0)
        while mock.bill.lines[0].status == "open":  # the mock learns with its next write that nobody reads
            await asyncio.sleep(0.005)
        assert mock.bill.lines[0].status in ("aborted", "served")

    play(scene, {name: (f"mock-tokens=9000{pace}", None)}, LimitRule(dollars=budget / NANO, per="total"))


def test_a_cut_stream_ends_in_the_form_of_responses() -> None:
    async def scene(gateway: Gateway, _mock: MockUpstream, session: aiohttp.ClientSession) -> None:
        form = {"model": "long.anthropic", "input": "hello", "stream": True}
        async with session.post(gateway.url + "/v1/responses", json=form) as answer:
            text = await answer.text()
        await gateway.settled()
        told = events(text)
        assert told[-1]["type"] == "response.incomplete"
        assert told[-1]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
        assert gateway.entry("long.anthropic").status == "cut"

    play(scene, {"long.anthropic": ("mock-tokens=9000", None)}, LimitRule(dollars=0.01, per="total"))


@pytest.mark.parametrize("form", ["chat", "responses"])
@pytest.mark.parametrize("upstream", ["openai", "anthropic"])
@pytest.mark.parametrize("named", [None, 100_000])
def test_an_upstream_is_told_the_bound_in_its_own_form(upstream: str, form: str, named: int | None) -> None:
    name, field = f"bounded.{upstream}", {"chat": "max_tokens", "responses": "max_output_tokens"}[form]

    async def scene(gateway: Gateway, _mock: MockUpstream, session: aiohttp.ClientSession) -> None:
        body: dict[str, Any] = {"model": name, "messages" if form == "chat" else "input": WORDS}
        path = "/v1/chat/completions" if form == "chat" else "/v1/responses"
        if named is not None:
            body[field] = named
        async with session.post(gateway.url + path, json=body) as answer:
            assert answer.status == 200, await answer.text()
        await gateway.settled()
        row = gateway.entry(name)
        assert row.usage is not None
        assert row.usage.output_tokens == 20

    play(scene, {name: ("mock-tokens=9000", 20)}, LimitRule(dollars=0.001, per="total"))


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_without_usage_costs_what_was_delivered(stream: bool) -> None:
    async def scene(gateway: Gateway, _mock: MockUpstream, session: aiohttp.ClientSession) -> None:
        status, _ = await ask(session, gateway.url, "chat", model="silent", stream=stream)
        await gateway.settled()
        row = gateway.entry("silent")
        assert (status, row.status, row.usage_source) == (200, "ok", "estimated")
        assert row.usage is not None
        assert 20 <= row.usage.output_tokens <= 34
        assert (await standing(gateway))[0] == row.cost

    play(scene, {"silent": ("mock-tokens=30-fault=nousage", 100)}, LimitRule(dollars=1, per="total"))


def test_an_answer_that_is_cut_has_its_end_in_anthropics_form() -> None:
    relay = TranslatingRelay(
        codec("openai.chat"), codec("anthropic.messages"), call_id="c", model="m", include_usage=True, keep_text=False
    )
    begun = relay.feed(b'data: {"id":"x","choices":[{"index":0,"delta":{"content":"so far"}}]}\n\n').decode()
    ended = relay.cut("length", Usage(input_tokens=5, output_tokens=2)).decode() + relay.finish().decode()
    told = events(begun + ended)
    assert [event["type"] for event in told] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert told[-2]["delta"]["stop_reason"] == "max_tokens"
    assert told[-2]["usage"]["output_tokens"] == 2
