"""What the tables do not show: synchronous clients, lists of models, errors inside streams of vendors' own forms."""

from __future__ import annotations

import asyncio
from typing import Any

import anthropic
import openai
import pytest

from pilothouse.gateway.settings import CallRetries, DeploymentSettings, ExactCache, GatewaySettings, RouteSettings

from ..running import Gateway
from .matrix import OWN_FORMS, clients_of, gateway_of_all

SPOKEN: list[Any] = [{"role": "user", "content": "hello"}]


def _settings() -> GatewaySettings:
    def route(connection: str, told: str = "mock-tokens=8", **further: Any) -> RouteSettings:
        deployment = DeploymentSettings(connection=connection, model=told)
        return RouteSettings(deployments=(deployment,), retries=CallRetries(attempts=1), **further)

    failing = {f"{name}.failing": route(name, "mock-tokens=8-fault=error-in-stream@3") for name in OWN_FORMS}
    routes = {"one": route("openai"), "two": route("anthropic"), "kept": route("openai", cache=ExactCache())}
    return GatewaySettings(access="open", routes={**routes, **failing})


def _ask_by_synchronous_clients(url: str) -> None:
    with (
        openai.OpenAI(api_key="no-key", base_url=f"{url}/v1", max_retries=0) as first,
        anthropic.Anthropic(api_key="no-key", base_url=url, max_retries=0) as second,
    ):
        for model in ("one", "two"):
            done = first.chat.completions.create(model=model, messages=SPOKEN)
            assert (done.choices[0].message.content or "").endswith(" 7")
            with first.responses.stream(model=model, input="hello") as stream:
                assert stream.get_final_response().output_text.endswith(" 7")
            with second.messages.stream(model=model, max_tokens=50, messages=SPOKEN) as spoken:
                assert "".join(spoken.text_stream).endswith(" 7")
        with pytest.raises(openai.NotFoundError, match="did you mean 'one'"):
            first.completions.create(model="onee", prompt="hello")


def test_synchronous_clients_are_served() -> None:
    async def run() -> None:
        async with gateway_of_all(_settings()) as (gateway, _):
            await asyncio.to_thread(_ask_by_synchronous_clients, gateway.url)

    asyncio.run(run())


def test_both_clients_list_the_models() -> None:
    async def run() -> None:
        async with gateway_of_all(_settings()) as (gateway, _), clients_of(gateway) as clients:
            named = [model.id async for model in clients.openai.models.list()]
            shown = [model async for model in clients.anthropic.models.list()]
            assert named == [model.id for model in shown] == sorted(_settings().routes)
            assert shown[0].type == "model"
            assert shown[0].created_at.year == 1970
            assert (await clients.openai.models.retrieve("one")).owned_by == "pilothouse"
            assert (await clients.anthropic.models.retrieve("two")).display_name == "two"

    asyncio.run(run())


@pytest.mark.parametrize("vendor", OWN_FORMS)
def test_an_error_inside_a_vendors_own_stream_is_raised_after_what_came(vendor: str) -> None:
    async def run() -> None:
        async with gateway_of_all(_settings()) as (gateway, _), clients_of(gateway) as clients:
            given: Any = {"model": f"{vendor}.failing", "messages": SPOKEN, "stream": True}
            texts: list[str] = []
            with pytest.raises(openai.APIError, match="told to fail"):  # noqa: PT012 - what came before is looked at
                async for chunk in await clients.openai.chat.completions.create(**given):
                    texts += [choice.delta.content or "" for choice in chunk.choices]
            assert "".join(texts).endswith(" 1 2")
            with pytest.raises(anthropic.APIStatusError, match="told to fail"):
                async for _ in await clients.anthropic.messages.create(max_tokens=50, **given):
                    pass
            await gateway.settled()
            rows = gateway.entries(f"{vendor}.failing")
            assert [(row.status, row.code) for row in rows] == [("cut", "upstream_error")] * 2
            assert all(row.first_ns > 0 for row in rows)

    asyncio.run(run())


async def _row(gateway: Gateway, clients: Any, *, stream: bool) -> Any:
    answer = await clients.openai.chat.completions.create(model="kept", messages=SPOKEN, stream=stream)
    if stream:
        assert [chunk async for chunk in answer]
    await gateway.settled()
    return gateway.entries("kept")[-1]


@pytest.mark.parametrize("stream", [False, True])
def test_the_first_byte_of_a_cached_answer_is_told_too(stream: bool) -> None:
    async def run() -> None:
        async with gateway_of_all(_settings()) as (gateway, _), clients_of(gateway) as clients:
            rows = [await _row(gateway, clients, stream=stream) for _ in range(2)]
            assert [row.cache for row in rows] == ["miss", "exact"]
            assert all(0 < row.first_ns <= row.duration_ns for row in rows)

    asyncio.run(run())
