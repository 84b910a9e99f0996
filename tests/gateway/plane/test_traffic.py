"""What a route does with its traffic: copies, hedges, splits, caches, guards and continuations, over real sockets."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import msgspec
import pytest

from pilothouse.core.structs import convert
from pilothouse.gateway.settings import GatewaySettings

from ..mock.upstream import MockUpstream
from ..running import Gateway, running

MAIL = "reach me at jane.doe@example.org please"


def settings(route: dict[str, Any], **more: Any) -> GatewaySettings:
    return convert({"routes": {"chat": route}, **more}, GatewaySettings, where="test")


def deployment(model: str, name: str, **more: Any) -> dict[str, Any]:
    return {"connection": "mock", "model": model, "name": name, **more}


def request(text: str = "hello", **more: Any) -> dict[str, Any]:
    return {"model": "chat", "messages": [{"role": "user", "content": text}], **more}


async def post(gateway: Gateway, body: dict[str, Any], **headers: str) -> tuple[int, dict[str, str], str]:
    async with (
        aiohttp.ClientSession() as client,
        client.post(f"{gateway.url}/v1/chat/completions", json=body, headers=headers) as answer,
    ):
        return answer.status, dict(answer.headers), await answer.text()


def text_of(stream: str) -> str:
    events = [line[6:] for line in stream.split("\n") if line.startswith("data: {")]
    choices = [msgspec.json.decode(event).get("choices") for event in events]
    return "".join(choice[0]["delta"].get("content") or "" for choice in choices if choice)


def run(test: Any, configuration: GatewaySettings, **more: Any) -> None:
    async def inside() -> None:
        async with (
            MockUpstream() as mock,
            running(configuration, {"mock": ("open_ai", f"{mock.url}/v1")}, **more) as gateway,
        ):
            await test(gateway, mock)
            await gateway.settled()

    asyncio.run(inside())


@pytest.mark.parametrize("stream", [False, True])
def test_a_shadow_gets_a_copy_that_nobody_sees(stream: bool) -> None:
    route = {
        "deployments": [deployment("mock-tokens=3", "live"), deployment("mock-tokens=9", "trial", weight=0)],
        "shadow": {"deployment": "trial", "share": 1.0},
    }

    async def test(gateway: Gateway, mock: MockUpstream) -> None:
        status, headers, _ = await post(gateway, request(stream=stream))
        assert (status, headers["x-pilothouse-deployment"]) == (200, "live")
        while len(gateway.entries("chat")) < 2:
            await asyncio.sleep(0.005)
        copy = next(row for row in gateway.entries("chat") if row.shadow)
        assert (copy.deployment, copy.tenant.use_case, copy.status) == ("trial", "shadow", "ok")
        assert copy.usage is not None
        assert copy.usage.output_tokens == 9

    run(test, settings(route))


def test_a_hedge_answers_for_a_slow_deployment() -> None:
    route = {
        "deployments": [deployment("mock-first=5000", "slow"), deployment("mock", "quick", priority=1)],
        "hedge": {"after": 0.05, "share": 1.0},
    }

    async def test(gateway: Gateway, mock: MockUpstream) -> None:
        status, headers, _ = await post(gateway, request())
        assert (status, headers["x-pilothouse-deployment"]) == (200, "quick")
        await gateway.settled()
        row = gateway.entry("chat")
        assert [(item.deployment, item.hedge, item.failure) for item in row.attempts if item.hedge] == [
            ("quick", True, None)
        ]
        assert row.usage is not None

    run(test, settings(route))


def test_a_user_keeps_its_arm_and_the_row_names_it() -> None:
    route = {
        "deployments": [deployment("mock-tokens=3", "old"), deployment("mock-tokens=4", "new")],
        "experiment": {
            "name": "trial",
            "arms": {"control": 0.5, "treatment": 0.5},
            "deployments": {"control": ["old"], "treatment": ["new"]},
        },
    }

    async def test(gateway: Gateway, mock: MockUpstream) -> None:
        arms: dict[str, set[str]] = {}
        for number in range(40):
            user = f"user-{number % 10}"
            _, headers, _ = await post(gateway, request(user=user))
            arms.setdefault(user, set()).add(headers["x-pilothouse-arm"])
        assert all(len(found) == 1 for found in arms.values())
        assert set.union(*arms.values()) == {"trial:control", "trial:treatment"}
        served = {(row.arm, row.deployment) for row in gateway.entries("chat")}
        assert served == {("control", "old"), ("treatment", "new")}

    run(test, settings(route))


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_is_given_again_and_costs_nothing(stream: bool) -> None:
    route = {"deployments": [deployment("mock", "only")], "cache": {}}

    async def test(gateway: Gateway, mock: MockUpstream) -> None:
        first = await post(gateway, request(stream=stream))
        again = await post(gateway, request(stream=stream))
        other = await post(gateway, request("something else", stream=stream))
        assert first[2] == again[2]
        assert [found[1]["x-pilothouse-cache"] for found in (first, again, other)] == ["miss", "exact", "miss"]
        assert "age" in {name.lower() for name in again[1]}
        assert len(mock.requests) == 2
        await gateway.settled()
        assert [row.cost == 0 for row in gateway.entries("chat")] == [False, True, False]

    run(test, settings(route))


def test_a_semantic_hit_is_compared_with_a_fresh_answer() -> None:
    async def embed(text: str) -> list[float]:
        return [1.0, 0.0] if "tide" in text else [0.0, 1.0]

    semantic = {"connection": "mock", "threshold": 0.9, "verify": 1.0}
    route = {"deployments": [deployment("mock-echo=1", "only")], "semantic_cache": semantic}

    async def test(gateway: Gateway, mock: MockUpstream) -> None:
        await post(gateway, request("when is the tide"))
        status, headers, _ = await post(gateway, request("tell me when the tide is"))
        assert (status, headers["x-pilothouse-cache"]) == (200, "semantic")
        cache = gateway.plane.snapshot.caches["chat"].semantic
        assert cache is not None
        while not cache.false_hits.checked:
            await asyncio.sleep(0.005)
        assert len(mock.requests) == 2

    run(test, settings(route), embed=embed)


@pytest.mark.parametrize("stream", [False, True])
def test_a_guard_takes_out_what_must_not_pass_in_either_direction(stream: bool) -> None:
    route = {"deployments": [deployment("mock-echo=1", "only")], "guards": ["pii"]}
    guards = {"pii": {"type": "redact"}}

    async def test(gateway: Gateway, mock: MockUpstream) -> None:
        status, _, body = await post(gateway, request(MAIL, stream=stream))
        assert status == 200
        assert b"jane.doe" not in mock.requests[-1].body
        assert "jane.doe" not in body
        await gateway.settled()

    run(test, settings(route, guards=guards))


@pytest.mark.parametrize("stream", [False, True])
def test_a_blocked_call_tells_the_client_in_its_dialect(stream: bool) -> None:
    route = {"deployments": [deployment("mock", "only")], "guards": ["pii"]}
    guards = {"pii": {"type": "redact", "options": {"action": "block"}}}

    async def test(gateway: Gateway, mock: MockUpstream) -> None:
        status, _, body = await post(gateway, request(MAIL, stream=stream))
        assert status == 400
        assert msgspec.json.decode(body)["error"]["code"] == "guard_blocked"
        assert "jane" not in body
        assert not mock.requests

    run(test, settings(route, guards=guards))


def test_another_deployment_goes_on_with_what_was_written() -> None:
    route = {
        "deployments": [
            deployment("mock-tokens=8-fault=cut@4", "torn"),
            deployment("mock-tokens=8", "well", priority=1),
        ],
        "continuation": True,
    }

    async def test(gateway: Gateway, mock: MockUpstream) -> None:
        status, _, body = await post(gateway, request(stream=True, stream_options={"include_usage": True}))
        assert status == 200
        assert body.count("[DONE]") == 1
        assert body.count('"finish_reason":"stop"') == 1
        asked = [msgspec.json.decode(item.body)["messages"] for item in mock.requests]
        assert asked[1][-1]["role"] == "assistant"
        assert text_of(body).startswith(asked[1][-1]["content"])
        await gateway.settled()
        row = gateway.entry("chat")
        assert (row.status, row.deployment, len(row.attempts)) == ("ok", "well", 2)

    run(test, settings(route))
