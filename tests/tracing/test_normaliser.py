"""Golden payloads of four dialects: one call, told in four ways, gives the same columns."""

from __future__ import annotations

from typing import Any

import pytest

from pilothouse.tracing.normaliser import COLUMNS, content
from pilothouse.tracing.stores.duckdb import SpanStore
from pilothouse.tracing.types import Span

from .recording import Capture, span_id, trace_id

CURRENT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "azure.ai.openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.response.finish_reasons": ["stop"],
    "gen_ai.response.time_to_first_chunk": 0.25,
    "gen_ai.usage.input_tokens": 120,
    "gen_ai.usage.output_tokens": 30,
    "gen_ai.usage.cache_read.input_tokens": 100,
    "gen_ai.usage.cache_write.input_tokens": 20,
    "gen_ai.usage.reasoning.output_tokens": 10,
    "gen_ai.conversation.id": "c-1",
    "user.id": "u-1",
    "gen_ai.input.messages": '[{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}]',
    "gen_ai.output.messages": '[{"role": "assistant", "parts": [{"type": "text", "content": "Hello"}]}]',
}
UP_TO_1_36 = {
    "gen_ai.operation.name": "chat",
    "gen_ai.system": "az.ai.openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.response.finish_reasons": ["stop"],
    "gen_ai.usage.prompt_tokens": 120,
    "gen_ai.usage.completion_tokens": 30,
    "gen_ai.prompt": '[{"role": "user", "content": "Hi"}]',
    "gen_ai.completion": '[{"role": "assistant", "content": "Hello"}]',
    "session.id": "c-1",
    "enduser.id": "u-1",
}
OPENINFERENCE = {
    "openinference.span.kind": "LLM",
    "llm.provider": "azure",
    "llm.system": "openai",
    "llm.model_name": "gpt-4o",
    "llm.response.model_name": "gpt-4o-2024-08-06",
    "llm.finish_reason": "stop",
    "llm.token_count.prompt": 120,
    "llm.token_count.completion": 30,
    "llm.token_count.total": 150,
    "llm.token_count.prompt_details.cache_read": 100,
    "llm.token_count.prompt_details.cache_write": 20,
    "llm.token_count.completion_details.reasoning": 10,
    "session.id": "c-1",
    "user.id": "u-1",
    "llm.input_messages.0.message.role": "user",
    "llm.input_messages.0.message.content": "Hi",
    "llm.output_messages.0.message.role": "assistant",
    "llm.output_messages.0.message.content": "Hello",
}
OPENLLMETRY = {
    "llm.request.type": "chat",
    "gen_ai.system": "Azure",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.completion.0.finish_reason": "stop",
    "gen_ai.usage.prompt_tokens": 120,
    "gen_ai.usage.completion_tokens": 30,
    "gen_ai.usage.cache_read_input_tokens": 100,
    "gen_ai.usage.cache_creation_input_tokens": 20,
    "gen_ai.usage.reasoning_tokens": 10,
    "llm.usage.total_tokens": 150,
    "traceloop.association.properties.session_id": "c-1",
    "traceloop.association.properties.user_id": "u-1",
    "gen_ai.prompt.0.role": "user",
    "gen_ai.prompt.0.content": "Hi",
    "gen_ai.completion.0.role": "assistant",
    "gen_ai.completion.0.content": "Hello",
}
DIALECTS = {
    "current": CURRENT,
    "up to 1.36": UP_TO_1_36,
    "OpenInference": OPENINFERENCE,
    "OpenLLMetry": OPENLLMETRY,
}
ALL = {
    "operation": "chat",
    "provider": "azure.ai.openai",
    "request_model": "gpt-4o",
    "response_model": "gpt-4o-2024-08-06",
    "finish_reason": "stop",
    "input_tokens": 120,
    "output_tokens": 30,
    "conversation": "c-1",
    "user": "u-1",
}
DETAILS = {"cached_input_tokens": 100, "cache_write_tokens": 20, "reasoning_tokens": 10}


def columns(capture: Capture, **attributes: Any) -> Span:
    span = capture.span("call", **attributes)
    capture.ingest()
    with SpanStore(capture.folder) as store:
        return store.trace(trace_id(span), 1).spans[0].span


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_gives_the_same_columns(capture: Capture, dialect: str) -> None:
    span = columns(capture, **DIALECTS[dialect])
    assert {name: getattr(span, name) for name in ALL} == ALL
    details = {name: getattr(span, name) for name in DETAILS}
    assert details == (DETAILS if dialect != "up to 1.36" else dict.fromkeys(DETAILS))
    assert span.time_to_first_chunk == (0.25 if dialect == "current" else None)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_raw_attributes_stay_as_they_came(capture: Capture, dialect: str) -> None:
    span = capture.span("call", **DIALECTS[dialect])
    capture.ingest()
    with SpanStore(capture.folder) as store:
        assert store.payload(trace_id(span), span_id(span)).attributes == DIALECTS[dialect]


@pytest.mark.parametrize(
    ("dialect", "went_in", "came_out"),
    [
        (
            "current",
            [{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}],
            [{"role": "assistant", "parts": [{"type": "text", "content": "Hello"}]}],
        ),
        ("up to 1.36", [{"role": "user", "content": "Hi"}], [{"role": "assistant", "content": "Hello"}]),
        ("OpenInference", [{"role": "user", "content": "Hi"}], [{"role": "assistant", "content": "Hello"}]),
        (
            "OpenLLMetry",
            [{"role": "user", "content": "Hi"}],
            [{"finish_reason": "stop", "role": "assistant", "content": "Hello"}],
        ),
    ],
)
def test_content_of_every_dialect(dialect: str, went_in: Any, came_out: Any) -> None:
    assert content(DIALECTS[dialect]) == (went_in, came_out)


def test_content_told_by_events() -> None:
    events = [
        {"name": "gen_ai.user.message", "attributes": {"content": "Hi"}},
        {"name": "gen_ai.choice", "attributes": {"message": "Hello"}},
        {"name": "exception", "attributes": {}},
    ]
    assert content({}, events) == (
        [{"event": "gen_ai.user.message", "content": "Hi"}],
        [{"event": "gen_ai.choice", "message": "Hello"}],
    )


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"traceloop.entity.input": '{"inputs": 1}', "traceloop.entity.output": "plain"}, ({"inputs": 1}, "plain")),
        ({"input.value": "{broken", "output.value": ""}, ("{broken", None)),
        ({"pilothouse.function.arguments": '{"x": 1}', "pilothouse.function.result": "[2]"}, ({"x": 1}, [2])),
        (
            {"gen_ai.prompt.10.content": "b", "gen_ai.prompt.9.content": "a"},
            ([{"content": "a"}, {"content": "b"}], None),
        ),
        ({}, (None, None)),
    ],
)
def test_content_in_other_shapes(attributes: dict[str, Any], expected: Any) -> None:
    assert content(attributes) == expected


@pytest.mark.parametrize(
    ("attributes", "column", "value"),
    [
        ({"openinference.span.kind": "EMBEDDING"}, "operation", "embeddings"),
        ({"openinference.span.kind": "CHAIN"}, "operation", "invoke_workflow"),
        ({"traceloop.span.kind": "tool"}, "operation", "execute_tool"),
        ({"llm.request.type": "completion"}, "operation", "text_completion"),
        ({"gen_ai.operation.name": "something new"}, "operation", "something new"),
        ({"gen_ai.system": "OpenAI"}, "provider", "openai"),
        ({"gen_ai.system": "o'neill"}, "provider", "o'neill"),
        ({"gen_ai.response.finish_reasons": "length"}, "finish_reason", "length"),
        ({"gen_ai.response.finish_reasons": []}, "finish_reason", None),
        ({"gen_ai.usage.input_tokens": "12"}, "input_tokens", 12),
        ({"gen_ai.usage.input_tokens": "many"}, "input_tokens", None),
        ({"gen_ai.usage.input_tokens": 1 << 70}, "input_tokens", None),
        ({"gen_ai.usage.input_tokens": 3.0}, "input_tokens", 3),
        ({"gen_ai.response.model": "", "llm.response.model_name": "m"}, "response_model", "m"),
        ({"gen_ai.request.model": None, "llm.model_name": "m"}, "request_model", "m"),
        ({"gen_ai.request.model": ["a", "b"]}, "request_model", '["a","b"]'),
        ({"pilothouse.cache.hit": True}, "cache_hit", True),
        ({"pilothouse.line.id": 7}, "line", "7"),
        ({"gen_ai.request.model": "m\x00\U0001f600"}, "request_model", "m\x00\U0001f600"),
    ],
)
def test_single_values(capture: Capture, attributes: dict[str, Any], column: str, value: Any) -> None:
    assert getattr(columns(capture, **attributes), column) == value


def test_the_columns_are_fields_of_a_span() -> None:
    assert Span.__struct_fields__[12:] == tuple(column.name for column in COLUMNS)
