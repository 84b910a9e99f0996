"""The ledger and the upstream's own bill agree to the nano-dollar, call for call, whatever form the call had."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import product
from typing import Any

import aiohttp

from pilothouse.gateway.settings import CallRetries, DeploymentSettings, GatewaySettings, LimitRule, RouteSettings

from ..mock.upstream import MockUpstream
from ..running import running

USED = {
    "plain": "in=31-tokens=7",
    "cached": "in=1000-cached=800-tokens=5",
    "written": "in=1000-cached=100-write=300-writelong=200-tokens=3",
    "thought": "in=12-tokens=4-reasoning=90",
    "failed-first": "in=31-tokens=7-fault=500-times=1",
}
FORMS = {
    "chat": ("/v1/chat/completions", "messages"),
    "responses": ("/v1/responses", "input"),
    "messages": ("/v1/messages", "messages"),
}
WORDS: list[dict[str, str]] = [{"role": "user", "content": "hello"}]
TIMES = 6


def route_name(kind: str, upstream: str, form: str, stream: bool) -> str:
    return f"{kind}.{upstream}.{form}.{'stream' if stream else 'whole'}"


def told(kind: str, upstream: str, name: str) -> str:
    """OpenAI counts no writing into its cache; what cannot be said on the wire cannot be billed."""
    words = USED[kind]
    if upstream == "openai":
        words = words.replace("-write=300-writelong=200", "")
    return f"mock-{words}-key={name}"


CALLS = [
    (kind, upstream, form, stream)
    for kind, upstream, form, stream in product(USED, ("openai", "anthropic"), FORMS, (False, True))
]


def settings() -> GatewaySettings:
    routes = {}
    for kind, upstream, form, stream in CALLS:
        name = route_name(kind, upstream, form, stream)
        deployment = DeploymentSettings(connection=upstream, model=told(kind, upstream, name))
        routes[name] = RouteSettings(deployments=(deployment,), retries=CallRetries(base=0.0, budget=1.0))
    limits = (
        LimitRule(name="money", dollars=1000, per="total"),
        LimitRule(name="tokens", tokens=10**9),
        LimitRule(name="at-once", concurrency=10_000),
    )
    return GatewaySettings(access="open", routes=routes, limits=limits)


async def call(session: aiohttp.ClientSession, url: str, name: str, form: str, *, stream: bool) -> None:
    path, field = FORMS[form]
    body: dict[str, Any] = {"model": name, field: WORDS, "stream": stream}
    if form == "messages":
        body["max_tokens"] = 100
    async with session.post(url + path, json=body) as answer:
        text = await answer.read()
        assert answer.status == 200, text


async def served() -> tuple[Counter[tuple[str, int | None]], Counter[tuple[str, int | None]], int, int, list[Any]]:
    async with MockUpstream() as mock:
        connections = {"openai": ("open_ai", mock.url + "/v1"), "anthropic": ("anthropic", mock.url)}
        async with running(settings(), connections) as gateway, aiohttp.ClientSession() as session:
            await asyncio.gather(
                *(
                    call(session, gateway.url, route_name(kind, upstream, form, stream), form, stream=stream)
                    for kind, upstream, form, stream in CALLS * TIMES
                )
            )
            await gateway.settled()
            lines = Counter(
                (line.model.partition("-key=")[2], line.cost) for line in mock.bill.lines if line.status != "fault"
            )
            rows = Counter((entry.route, entry.cost) for entry in gateway.ledger.entries)
            assert gateway.limiter is not None
            spent = [state for state in await gateway.limiter.usage() if state.resource == "dollars"]
            return lines, rows, mock.bill.total, spent[0].used, [state.held for state in spent]


def test_the_ledger_is_the_upstreams_bill() -> None:
    lines, rows, billed, spent, held = asyncio.run(served())
    assert sum(lines.values()) == len(CALLS) * TIMES
    assert rows == lines
    assert spent == billed, "the budget has taken what the upstream charges"
    assert held == [0]
