"""Streams over HTTP: whole ones, accented ones, and those that break."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from pilothouse.core.errors import ModelError
from pilothouse.models.client import StreamCollector, collect
from pilothouse.models.settings import ModelSettings, Timeouts
from pilothouse.models.types import ChatChunk, ChatRequest, ChatResponse, ToolCall, Usage


def event(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return b"data: " + msgspec.json.encode({"id": "s1", "model": "m-1", "choices": choices, **more}) + b"\n\n"


DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 5, "completion_tokens": 2}


def chunks(serve: Any, upstream: Any, open_ai: Any, request: ChatRequest, **options: Any) -> list[ChatChunk]:
    async def call() -> list[ChatChunk]:
        async with serve(upstream):
            client = open_ai(upstream.url, **options)
            try:
                return [chunk async for chunk in client.stream(request)]
            finally:
                await client.aclose()

    return asyncio.run(call())


def test_a_stream_arrives_in_pieces_with_its_usage_once_at_the_end(
    serve: Any, upstream: Any, open_ai: Any, question: ChatRequest
) -> None:
    whole = b"".join(
        (
            event({"role": "assistant", "content": ""}),
            b": keep-alive\n\n",
            event({"content": "It "}),
            event({"content": "rains."}, usage=USAGE),
            event({}, "stop"),
            event(usage=USAGE),
            DONE,
        )
    )
    upstream.sse(*(whole[start : start + 7] for start in range(0, len(whole), 7)))
    found = chunks(serve, upstream, open_ai, question)
    assert "".join(chunk.text for chunk in found) == "It rains."
    assert [chunk.usage for chunk in found if chunk.usage] == [Usage(input_tokens=5, output_tokens=2)]
    assert found[-1].usage is not None
    assert upstream.seen[0].body["stream"] is True
    assert upstream.seen[0].body["stream_options"] == {"include_usage": True}


def test_tool_calls_are_put_together_from_their_fragments(
    serve: Any, upstream: Any, open_ai: Any, question: ChatRequest
) -> None:
    def call(index: int, **parts: Any) -> dict[str, Any]:
        return {"tool_calls": [{"index": index, **parts}]}

    upstream.sse(
        event(call(0, id="a", type="function", function={"name": "look", "arguments": ""})),
        event(call(0, function={"arguments": '{"where"'})),
        event(call(1, id="b", function={"name": "hear", "arguments": "{}"})),
        event(call(0, function={"arguments": ': "out"}'})),
        event({}, "tool_calls"),
        DONE,
    )
    collector = StreamCollector()
    for chunk in chunks(serve, upstream, open_ai, question):
        collector.add(chunk)
    response = collector.response()
    assert response.finish_reason == "tool_calls"
    assert response.message.tool_calls == (
        ToolCall(id="a", name="look", arguments='{"where": "out"}'),
        ToolCall(id="b", name="hear", arguments="{}"),
    )


def test_answers_refusals_thoughts_and_probabilities_are_collected(
    serve: Any, upstream: Any, open_ai: Any, question: ChatRequest
) -> None:
    def choice(index: int, delta: dict[str, Any], finish: str | None = None, logprobs: Any = None) -> bytes:
        item = {"index": index, "delta": delta, "finish_reason": finish, "logprobs": logprobs}
        return b"data: " + msgspec.json.encode({"id": "s", "model": "m", "choices": [item]}) + b"\n\n"

    upstream.sse(
        choice(1, {"content": "second"}),
        choice(0, {"content": "fir", "reasoning_content": "h"}, logprobs={"content": [{"token": "fir"}]}),
        choice(0, {"content": "st", "reasoning": "m"}, logprobs={"content": [{"token": "st"}], "refusal": None}),
        choice(0, {"refusal": "no"}, "stop"),
        choice(1, {}, "length"),
        DONE,
    )

    async def call() -> ChatResponse:
        async with serve(upstream):
            client = open_ai(upstream.url)
            try:
                return await collect(client.stream(question))
            finally:
                await client.aclose()

    response = asyncio.run(call())
    assert [answer.text for answer in response.choices] == ["first", "second"]
    assert response.message.reasoning == "hm"
    assert response.message.refusal == "no"
    assert response.logprobs == {"content": [{"token": "fir"}, {"token": "st"}]}
    assert (response.id, response.model, response.usage) == ("s", "m", None)


def test_old_function_calls_stream_as_tool_calls(
    serve: Any, upstream: Any, open_ai: Any, question: ChatRequest
) -> None:
    upstream.sse(
        event({"function_call": {"name": "look", "arguments": "{"}}),
        event({"function_call": {"arguments": "}"}}),
        event({}, "function_call"),
        DONE,
    )
    collector = StreamCollector()
    for chunk in chunks(serve, upstream, open_ai, question):
        collector.add(chunk)
    assert collector.response().message.tool_calls == (ToolCall(id="", name="look", arguments="{}"),)


def test_a_server_that_does_not_stream_answers_in_one_piece(
    serve: Any, upstream: Any, open_ai: Any, question: ChatRequest, answer: Any
) -> None:
    upstream.json(answer)
    found = chunks(serve, upstream, open_ai, question)
    assert "".join(chunk.text for chunk in found) == "Yes."


def test_a_stream_without_done_is_whole_when_a_reason_was_given(
    serve: Any, upstream: Any, open_ai: Any, question: ChatRequest
) -> None:
    upstream.sse(event({"content": "a"}), event({}, "stop"))
    assert "".join(chunk.text for chunk in chunks(serve, upstream, open_ai, question)) == "a"


@pytest.mark.parametrize(
    "pieces",
    [
        (event({"content": "half"}),),
        (event({"content": "half"}), b'data: {"choices": [{"ind'),
        (event({"content": "half"}), b"data"),
        (b": only a comment\n\n",),
        (b"<html><body>Bad gateway</body></html>\n\n",),
        (),
    ],
)
def test_a_stream_that_is_cut_is_an_error_and_never_a_short_answer(
    serve: Any, upstream: Any, open_ai: Any, question: ChatRequest, pieces: tuple[bytes, ...]
) -> None:
    upstream.sse(*pieces)
    with pytest.raises(ModelError) as caught:
        chunks(serve, upstream, open_ai, question)
    assert caught.value.retryable


def test_a_connection_that_breaks_within_a_chunk_is_an_error(
    send_bytes: Any, open_ai: Any, question: ChatRequest
) -> None:
    piece = event({"content": "half"}) + event({}, "stop")
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"

    async def call() -> list[ChatChunk]:
        async with send_bytes(head + b"%x\r\n%s\r\n" % (len(piece) + 50, piece)) as url:
            client = open_ai(url)
            try:
                return [chunk async for chunk in client.stream(question)]
            finally:
                await client.aclose()

    with pytest.raises(ModelError, match="the connection failed") as caught:
        asyncio.run(call())
    assert caught.value.retryable


@pytest.mark.parametrize(
    ("error", "status", "retryable"),
    [
        ({"message": "overloaded", "code": 529}, 529, True),
        ({"message": "slow down", "code": "429"}, 429, True),
        ({"message": "bad", "code": "invalid_prompt"}, 500, True),
        ("just a text", 500, True),
    ],
)
def test_an_error_inside_a_stream_is_raised(
    serve: Any, upstream: Any, open_ai: Any, question: ChatRequest, error: Any, status: int, retryable: bool
) -> None:
    upstream.sse(event({"content": "half"}), b"data: " + msgspec.json.encode({"error": error}) + b"\n\n", DONE)
    with pytest.raises(ModelError) as caught:
        chunks(serve, upstream, open_ai, question)
    assert (caught.value.status, caught.value.retryable) == (status, retryable)


def test_broken_json_in_an_event_is_an_error(serve: Any, upstream: Any, open_ai: Any, question: ChatRequest) -> None:
    upstream.sse(event({"content": "a"}), b"data: {oops\n\n", DONE)
    with pytest.raises(ModelError, match="cannot be read"):
        chunks(serve, upstream, open_ai, question)


def test_a_stream_that_stalls_is_an_error(serve: Any, upstream: Any, open_ai: Any, question: ChatRequest) -> None:
    from aiohttp import web

    async def stall(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(event({"content": "half"}))
        await asyncio.Event().wait()
        return response

    upstream.answers.append(stall)
    settings = ModelSettings(timeouts=Timeouts(idle=0.05))
    with pytest.raises(ModelError, match="did not answer in time"):
        chunks(serve, upstream, open_ai, question, settings=settings)


def test_a_reader_who_leaves_early_closes_the_connection(
    serve: Any, upstream: Any, open_ai: Any, question: ChatRequest
) -> None:
    from aiohttp import web

    gone = asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        try:
            while True:
                await response.write(event({"content": "on and "}))
                await asyncio.sleep(0.001)
        finally:
            gone.set()

    upstream.answers.append(endless)

    async def call() -> None:
        async with serve(upstream):
            client = open_ai(upstream.url)
            stream = client.stream(question)
            async for chunk in stream:
                if chunk.text:
                    break
            await stream.aclose()
            await asyncio.wait_for(gone.wait(), 10)
            await client.aclose()

    asyncio.run(call())
    assert gone.is_set()
