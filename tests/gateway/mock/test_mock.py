"""The mock says what its models' names tell it to, and its bill holds what it served."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import anthropic
import openai
import pytest

from .behaviour import behaviour
from .bill import Used, cost
from .upstream import MockProcess, MockUpstream

PRICES = {"input": 1000, "output": 4000, "cached": 100, "reasoning": 5000}


def chat(model: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "hello"}], **more}


async def ask(url: str, body: dict[str, Any], path: str = "/v1/chat/completions") -> tuple[int, bytes]:
    async with aiohttp.ClientSession() as session, session.post(url + path, json=body) as answer:
        return answer.status, await answer.read()


def run(test: Any) -> Any:
    """Run a test against a mock in the same loop."""

    async def within() -> Any:
        async with MockUpstream() as mock:
            return await test(mock)

    return asyncio.run(within())


async def frames(url: str, body: dict[str, Any], path: str = "/v1/chat/completions") -> AsyncIterator[dict[str, Any]]:
    async with aiohttp.ClientSession() as session, session.post(url + path, json=body) as answer:
        async for line in answer.content:
            if line.startswith(b"data: {"):
                yield json.loads(line[6:])


def test_a_name_is_read() -> None:
    told = behaviour("mock-tokens=64-pace=20-first=5-fault=error-in-stream@7-times=2-retry-after=1.5-key=a-b")
    assert (told.tokens, told.pace, told.first) == (64, 0.02, 0.005)
    assert (told.fault, told.at, told.times, told.retry_after) == ("error-in-stream", 7, 2, 1.5)
    with pytest.raises(ValueError, match="no such fault"):
        behaviour("mock-fault=sulk")


def test_the_price_counts_parts_in_their_whole() -> None:
    used = Used(input=100, cached=40, output=20, reasoning=5)
    assert cost(PRICES, used) == 60 * 1000 + 40 * 100 + 15 * 4000 + 5 * 5000


def test_official_clients_read_every_form() -> None:
    """What the vendors' own clients accept is said as the vendors say it."""
    tool = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}

    async def test(mock: MockUpstream) -> None:
        async with openai.AsyncOpenAI(base_url=mock.url + "/v1", api_key="k") as client:
            messages: Any = [{"role": "user", "content": "hello"}]
            whole = await client.chat.completions.create(model="mock-tokens=3-in=9-cached=4", messages=messages)
            assert (whole.choices[0].message.content or "").endswith(" 1 2")
            assert whole.usage
            assert whole.usage.prompt_tokens_details
            assert (whole.usage.prompt_tokens, whole.usage.prompt_tokens_details.cached_tokens) == (9, 4)
            async with client.chat.completions.stream(
                model="mock", messages=messages, tools=[tool], stream_options={"include_usage": True}
            ) as stream:
                final = await stream.get_final_completion()
            assert final.choices[0].message.tool_calls
            assert json.loads(final.choices[0].message.tool_calls[0].function.arguments) == {"city": "text", "days": 7}
            answered = await client.responses.create(model="mock-tokens=2", input="hello")
            assert answered.output_text.endswith(" 1")
            async with client.responses.stream(model="mock-tokens=5", input="hello") as events:
                assert (await events.get_final_response()).output_text.endswith(" 3 4")
            vectors = await client.embeddings.create(model="mock-dims=4", input=["a", "b"])
            assert [len(one.embedding) for one in vectors.data] == [4, 4]
            assert (await client.moderations.create(model="mock", input="violence")).results[0].flagged
            assert (await client.images.generate(model="mock", prompt="a cat", n=2)).usage
            assert (await client.audio.transcriptions.create(model="mock", file=("a.wav", b"sound"))).text
            assert len((await client.audio.speech.create(model="mock", voice="a", input="hi")).content)
            assert "mock" in [model.id async for model in client.models.list()]
        async with anthropic.AsyncAnthropic(base_url=mock.url, api_key="k") as client:
            counted = await client.messages.count_tokens(
                model="mock-in=12", messages=[{"role": "user", "content": "x"}]
            )
            assert counted.input_tokens == 12
            async with client.messages.stream(
                model="mock-in=50-cached=20-write=10-tokens=4-think=2",
                max_tokens=99,
                messages=[{"role": "user", "content": "hello"}],
            ) as events:
                final = await events.get_final_message()
            assert [block.type for block in final.content] == ["thinking", "text"]
            assert (final.usage.input_tokens, final.usage.cache_read_input_tokens, final.usage.output_tokens) == (
                20,
                20,
                6,
            )
        assert mock.bill.report()["open"] == 0

    run(test)


SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}


def test_structured_output_follows_its_schema() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}

    async def test(mock: MockUpstream) -> None:
        _, body = await ask(mock.url, chat("mock", response_format=form))
        assert json.loads(json.loads(body)["choices"][0]["message"]["content"]) == {"city": "text", "days": 7}

    run(test)


def test_alike_requests_are_answered_alike() -> None:
    async def test(mock: MockUpstream) -> None:
        first = await ask(mock.url, chat("mock-tokens=4"))
        assert await ask(mock.url, chat("mock-tokens=4", temperature=0)) == first
        other = {"model": "mock-tokens=4", "messages": [{"role": "user", "content": "other"}]}
        assert await ask(mock.url, other) != first

    run(test)


def test_faults_stop_after_so_many_times() -> None:
    async def test(mock: MockUpstream) -> None:
        body = chat("mock-fault=429-times=2-retry-after=3")
        assert [(await ask(mock.url, body))[0] for _ in range(3)] == [429, 429, 200]
        assert [mock.bill.count(name) for name in ("requests", "fault", "served")] == [3, 2, 1]

    run(test)


@pytest.mark.parametrize(
    ("fault", "status", "holds"),
    [
        ("500", 500, b"server_error"),
        ("html", 200, b"<html>"),
        ("emptybody", 200, b""),
        ("contextlength", 400, b"context_length_exceeded"),
        ("contentfilter", 400, b"content_filter"),
        ("badutf8", 200, b"\xff\xfe"),
        ("slow", 200, b'"usage"'),
    ],
)
def test_faults_of_whole_answers(fault: str, status: int, holds: bytes) -> None:
    async def test(mock: MockUpstream) -> None:
        got, body = await ask(mock.url, chat(f"mock-fault={fault}"))
        assert got == status
        assert holds in body

    run(test)


@pytest.mark.parametrize("fault", ["disconnect", "cut", "lielength"])
@pytest.mark.parametrize("stream", [True, False])
def test_a_broken_connection_is_seen(fault: str, stream: bool) -> None:
    async def test(mock: MockUpstream) -> None:
        with pytest.raises(aiohttp.ClientError):
            await ask(mock.url, chat(f"mock-fault={fault}", stream=stream))

    run(test)


def test_a_cut_stream_is_charged_for_what_was_sent() -> None:
    async def test(mock: MockUpstream) -> None:
        seen: list[Any] = []

        async def read() -> None:
            async for frame in frames(mock.url, chat("mock-tokens=9-in=10-fault=cut@4", stream=True)):
                seen.append(frame)

        with pytest.raises(aiohttp.ClientError):
            await read()
        assert len(seen) == 5
        line = mock.bill.lines[0]
        assert (line.status, line.used.input, line.used.output) == ("cut", 10, 4)
        assert line.cost == 10 * 1000 + 4 * 4000 == mock.bill.total

    run(test)


def test_an_abandoned_stream_is_charged_for_what_was_sent() -> None:
    async def test(mock: MockUpstream) -> None:
        stream = frames(mock.url, chat("mock-tokens=500-pace=2", stream=True))
        async for _ in stream:
            break
        await stream.aclose()
        while mock.bill.count("aborted") == 0:
            await asyncio.sleep(0.001)
        assert 0 < mock.bill.lines[0].used.output < 500

    run(test)


def test_streams_number_their_frames() -> None:
    async def test(mock: MockUpstream) -> None:
        found = [
            frame["choices"][0]["delta"].get("content", "")
            async for frame in frames(mock.url, chat("mock-tokens=20-pace=1", stream=True))
        ]
        assert found[2:-1] == [f" {number}" for number in range(1, 20)]

    run(test)


def test_usage_is_said_as_often_as_told() -> None:
    async def test(mock: MockUpstream) -> None:
        counts = []
        for fault in ("nousage", "usagetwice"):
            body = chat(f"mock-fault={fault}", stream=True, stream_options={"include_usage": True})
            counts.append(len([one async for one in frames(mock.url, body) if one.get("usage")]))
        assert counts == [0, 2]

    run(test)


def test_an_error_may_come_within_a_stream() -> None:
    async def test(mock: MockUpstream) -> None:
        found = [one async for one in frames(mock.url, chat("mock-fault=error-in-stream@2", stream=True))]
        assert "error" in found[-1]
        assert len(found) == 4
        said = [one async for one in frames(mock.url, chat("mock-fault=529", stream=True), "/v1/messages")]
        assert said == []

    run(test)


def test_the_process_tells_its_bill() -> None:
    with MockProcess() as mock:
        mock.price({"mock-in=3": {"input": 7, "output": 11}})
        status, _ = asyncio.run(ask(mock.url, chat("mock-in=3")))
        bill = mock.bill()
        assert status == 200
        assert bill["cost"] == 3 * 7 + 8 * 11
        assert bill["lines"][0]["id"] == "req_000000000001"
        assert mock.requests()[0]["path"] == "/v1/chat/completions"
        mock.reset()
        assert mock.bill()["requests"] == 0
