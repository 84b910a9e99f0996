"""A connection of type open_ai against a provider on loopback: what is sent, what is read."""

from __future__ import annotations

import asyncio
import base64
import struct
from collections.abc import Callable
from typing import Any

import pytest

from pilothouse.core.errors import ConnectionFault, ModelError
from pilothouse.models.client import ProviderContext
from pilothouse.models.providers.openai import PROVIDERS, adapt, build, build_serverless
from pilothouse.models.secret import Secret
from pilothouse.models.types import (
    AudioPart,
    ChatRequest,
    ChatResponse,
    CompletionRequest,
    Connection,
    EmbeddingRequest,
    FilePart,
    ImagePart,
    Message,
    TextPart,
    ToolCall,
    Usage,
)


@pytest.fixture
def ask(serve: Any, upstream: Any, open_ai: Any) -> Callable[..., ChatResponse]:
    """Make one chat call and return what came back."""

    def run(request: ChatRequest) -> ChatResponse:
        async def call() -> ChatResponse:
            async with serve(upstream):
                client = open_ai(upstream.url)
                try:
                    return await client.chat(request)
                finally:
                    await client.aclose()

        return asyncio.run(call())

    return run


def test_an_answer_is_read_whole(ask: Any, upstream: Any, question: ChatRequest, answer: Any, key: str) -> None:
    upstream.json(answer)
    response = ask(question)
    assert response.text == "Yes."
    assert response.finish_reason == "stop"
    assert response.model == "gpt-4o-mini-2024-07-18"
    assert response.usage == Usage(input_tokens=20, output_tokens=9, cached_input_tokens=12, reasoning_tokens=5)
    assert upstream.seen[0].path == "/v1/chat/completions"
    assert upstream.seen[0].headers["authorization"] == f"Bearer {key}"
    assert upstream.seen[0].body == {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "Is it raining?"}],
    }


def test_every_parameter_is_sent_and_what_is_unset_is_not(ask: Any, upstream: Any, answer: Any) -> None:
    upstream.json(answer)
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    ask(
        ChatRequest(
            model="m",
            messages=(Message(role="system", content="s"), Message(role="user", content="u", name="ann")),
            temperature=0.0,
            top_p=0.5,
            max_tokens=7,
            stop=("a", "b"),
            seed=0,
            n=1,
            presence_penalty=0.1,
            frequency_penalty=-0.1,
            logit_bias={"50256": -100},
            user="u1",
            tools=(tool,),
            tool_choice="auto",
            response_format={"type": "json_object"},
            extra={"top_k": 3, "seed": 5, "user": None},
        )
    )
    body = upstream.seen[0].body
    assert body == {
        "model": "m",
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u", "name": "ann"}],
        "temperature": 0.0,
        "top_p": 0.5,
        "max_tokens": 7,
        "stop": ["a", "b"],
        "seed": 5,
        "n": 1,
        "presence_penalty": 0.1,
        "frequency_penalty": -0.1,
        "logit_bias": {"50256": -100},
        "tools": [tool],
        "tool_choice": "auto",
        "response_format": {"type": "json_object"},
        "top_k": 3,
    }


def test_parts_of_every_kind_are_sent(ask: Any, upstream: Any, answer: Any) -> None:
    upstream.json(answer)
    parts = (
        TextPart(text="look"),
        ImagePart(url="https://example.org/a.png", detail="low"),
        ImagePart(data=b"\x89PNG", media_type="image/png"),
        AudioPart(data=b"RIFF", format="wav"),
        FilePart(name="a.pdf", data=b"%PDF"),
        FilePart(file_id="file-1"),
    )
    ask(ChatRequest(model="m", messages=(Message(role="user", content=parts),)))
    assert upstream.seen[0].body["messages"][0]["content"] == [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}},
        {"type": "file", "file": {"file_id": "file-1"}},
    ]


def test_a_round_of_tool_calls_goes_back_and_forth(ask: Any, upstream: Any, answer: Any) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"where": "out'}}
    answer["choices"][0] |= {
        "message": {"role": "assistant", "content": None, "tool_calls": [call]},
        "finish_reason": "tool_calls",
    }
    upstream.json(answer)
    first = ask(ChatRequest(model="m", messages=(Message(role="user", content="u"),)))
    assert first.message.tool_calls == (ToolCall(id="c1", name="look", arguments='{"where": "out'),)
    assert first.finish_reason == "tool_calls"
    ask(ChatRequest(model="m", messages=(first.message, Message(role="tool", content="rain", tool_call_id="c1"))))
    assert upstream.seen[1].body["messages"] == [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "rain", "tool_call_id": "c1"},
    ]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"content": [{"type": "text", "text": "a"}, {"type": "thinking"}, {"type": "text", "text": "b"}]}, "ab"),
        ({"content": None}, ""),
        ({}, ""),
        ({"content": "x", "role": None, "unknown": {"deep": [1]}}, "x"),
    ],
)
def test_accents_of_the_dialect_are_understood(
    ask: Any, upstream: Any, answer: Any, question: ChatRequest, message: Any, expected: str
) -> None:
    answer["choices"][0]["message"] = message
    upstream.json(answer)
    assert ask(question).text == expected


def test_refusal_reasoning_and_old_function_calls_are_kept(
    ask: Any, upstream: Any, answer: Any, question: ChatRequest
) -> None:
    answer["choices"][0]["message"] = {
        "content": None,
        "refusal": "I will not",
        "reasoning_content": "hm",
        "function_call": {"name": "look", "arguments": {"a": 1}},
    }
    upstream.json(answer)
    message = ask(question).message
    assert message.refusal == "I will not"
    assert message.reasoning == "hm"
    assert message.function_call == ToolCall(id="", name="look", arguments='{"a":1}')


def test_several_answers_come_in_their_order(ask: Any, upstream: Any, answer: Any, question: ChatRequest) -> None:
    answer["choices"] = [
        {"index": 1, "message": {"content": "b"}, "finish_reason": "stop"},
        {"index": 0, "message": {"content": "a"}, "finish_reason": "end_turn"},
    ]
    upstream.json(answer)
    response = ask(question)
    assert [choice.text for choice in response.choices] == ["a", "b"]
    assert response.finish_reason == "stop"


@pytest.mark.parametrize("usage", [None, {}, {"total_tokens": 3}])
def test_a_usage_that_is_not_reported_is_none_and_not_zero(
    ask: Any, upstream: Any, answer: Any, question: ChatRequest, usage: Any
) -> None:
    answer["usage"] = usage
    upstream.json(answer)
    assert ask(question).usage is None


def test_deepseek_counts_cached_tokens_in_its_own_field(
    ask: Any, upstream: Any, answer: Any, question: ChatRequest
) -> None:
    answer["usage"] = {"prompt_tokens": 10, "completion_tokens": 1, "prompt_cache_hit_tokens": 8}
    upstream.json(answer)
    assert ask(question).usage == Usage(input_tokens=10, output_tokens=1, cached_input_tokens=8)


def test_a_call_without_a_model_is_refused_before_it_is_sent(ask: Any, upstream: Any) -> None:
    with pytest.raises(ConnectionFault, match="names no model"):
        ask(ChatRequest(messages=(Message(role="user", content="u"),)))
    assert upstream.seen == []


def test_completions_and_their_probabilities(serve: Any, upstream: Any, open_ai: Any) -> None:
    probabilities = {"tokens": [" b"], "token_logprobs": [-0.1]}
    upstream.json(
        {"id": "c", "model": "m", "choices": [{"text": " b", "finish_reason": "stop", "logprobs": probabilities}]}
    )

    async def call() -> ChatResponse:
        async with serve(upstream):
            client = open_ai(upstream.url)
            try:
                return await client.complete(
                    CompletionRequest(model="m", prompt="a", suffix="c", logprobs=1, echo=False, best_of=2)
                )
            finally:
                await client.aclose()

    response = asyncio.run(call())
    assert response.text == " b"
    assert response.logprobs == probabilities
    assert upstream.seen[0].path == "/v1/completions"
    body = {"model": "m", "prompt": "a", "suffix": "c", "logprobs": 1, "echo": False, "best_of": 2}
    assert upstream.seen[0].body == body


def embed(serve: Any, upstream: Any, open_ai: Any, *texts: str) -> Any:
    async def call() -> Any:
        async with serve(upstream):
            client = open_ai(upstream.url)
            try:
                return await client.embed(EmbeddingRequest(model="e", inputs=texts, dimensions=2))
            finally:
                await client.aclose()

    return asyncio.run(call())


def test_vectors_come_in_the_order_of_the_texts(serve: Any, upstream: Any, open_ai: Any) -> None:
    packed = base64.b64encode(struct.pack("<2f", 0.5, -1.0)).decode()
    data = [{"index": 1, "embedding": [1, 2.5]}, {"index": 0, "embedding": packed}]
    upstream.json({"data": data, "model": "e1", "usage": {"prompt_tokens": 4, "total_tokens": 4}})
    response = embed(serve, upstream, open_ai, "a", "b")
    assert response.vectors == ((0.5, -1.0), (1.0, 2.5))
    assert response.usage == Usage(input_tokens=4)
    assert upstream.seen[0].body == {
        "model": "e",
        "input": ["a", "b"],
        "encoding_format": "float",
        "dimensions": 2,
    }


def test_a_missing_vector_is_an_error(serve: Any, upstream: Any, open_ai: Any) -> None:
    upstream.json({"data": [{"index": 0, "embedding": [1]}]})
    with pytest.raises(ModelError, match="2 texts were sent, 1 vectors came back"):
        embed(serve, upstream, open_ai, "a", "b")


def test_reasoning_models_get_their_own_name_for_the_limit() -> None:
    assert adapt({"model": "o3-mini", "max_tokens": 5}) == {"model": "o3-mini", "max_completion_tokens": 5}
    assert adapt({"model": "gpt-5-nano", "max_tokens": 5})["max_completion_tokens"] == 5
    assert adapt({"model": "gpt-4o", "max_tokens": 5}) == {"model": "gpt-4o", "max_tokens": 5}


@pytest.mark.parametrize(("host", "provider"), [*PROVIDERS.items(), ("my.own.host", "openai_compatible")])
def test_the_host_tells_the_provider(context: Callable[..., ProviderContext], host: str, provider: str) -> None:
    connection = Connection(name="x", type="open_ai", configs={"base_url": f"https://{host}/v1"})
    assert build(connection, context()).provider == provider


def test_organisation_and_project_travel_as_headers(
    serve: Any, upstream: Any, context: Any, answer: Any, question: ChatRequest
) -> None:
    upstream.json(answer)

    async def call() -> None:
        async with serve(upstream):
            configs = {"base_url": upstream.url, "organization": "org-1", "project": "proj-1"}
            client = build(Connection(name="x", type="open_ai", configs=configs), context())
            await client.chat(question)
            await client.aclose()

    asyncio.run(call())
    headers = upstream.seen[0].headers
    assert headers["openai-organization"] == "org-1"
    assert headers["openai-project"] == "proj-1"
    assert "authorization" not in headers
    assert "ms-azure" not in " ".join(headers).lower()


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
def test_a_serverless_address_gets_its_version_once(
    serve: Any, upstream: Any, context: Any, answer: Any, question: ChatRequest, suffix: str
) -> None:
    upstream.json(answer)

    async def call() -> None:
        async with serve(upstream):
            connection = Connection(
                name="x",
                type="serverless",
                configs={"api_base": upstream.url + suffix},
                secrets={"api_key": Secret("key-1234")},
            )
            client = build_serverless(connection, context())
            await client.chat(question)
            await client.aclose()

    asyncio.run(call())
    assert upstream.seen[0].path == "/v1/chat/completions"
    assert upstream.seen[0].headers["authorization"] == "Bearer key-1234"
