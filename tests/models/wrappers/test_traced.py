from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from pilothouse.core.clock import FixedClock
from pilothouse.core.errors import ConnectionFault, ModelError
from pilothouse.models.secret import Secret
from pilothouse.models.settings import Retries
from pilothouse.models.types import (
    AudioPart,
    ChatRequest,
    CompletionRequest,
    EmbeddingRequest,
    FilePart,
    ImagePart,
    Message,
    TextPart,
    ToolCall,
)
from pilothouse.models.wrappers.retrying import RetryingClient
from pilothouse.models.wrappers.traced import TracedClient

KEY = "sk-very-secret-0123456789"
Wrap = Callable[..., TracedClient]


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def wrap(spans: InMemorySpanExporter, clock: FixedClock) -> Wrap:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))

    def make(client: Any, *, capture: bool = True) -> TracedClient:
        return TracedClient(
            client,
            provider.get_tracer("test"),
            clock=clock,
            connection="mine",
            capture=capture,
            secrets=[Secret(KEY)],
        )

    return make


def only(spans: InMemorySpanExporter) -> ReadableSpan:
    (span,) = spans.get_finished_spans()
    return span


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_a_chat_is_a_client_span_with_the_genai_attributes(inner: Any, wrap: Wrap, spans: InMemorySpanExporter) -> None:
    request = ChatRequest(
        model="m",
        messages=(Message(role="user", content="u"),),
        temperature=0.0,
        max_tokens=5,
        stop="x",
        seed=3,
        response_format={"type": "json_schema"},
    )
    asyncio.run(wrap(inner()).chat(request))
    span = only(spans)
    assert (span.name, span.kind) == ("chat m", trace.SpanKind.CLIENT)
    found = attributes(span)
    assert msgspec.json.decode(found.pop("gen_ai.input.messages")) == [
        {"role": "user", "parts": [{"type": "text", "content": "u"}]}
    ]
    assert msgspec.json.decode(found.pop("gen_ai.output.messages")) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "yes"}], "finish_reason": "stop"}
    ]
    assert found == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "inner",
        "gen_ai.request.model": "m",
        "gen_ai.request.temperature": 0.0,
        "gen_ai.request.max_tokens": 5,
        "gen_ai.request.stop_sequences": ("x",),
        "gen_ai.request.seed": 3,
        "gen_ai.output.type": "json",
        "gen_ai.response.model": "m-1",
        "gen_ai.response.id": "i",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 1,
        "gen_ai.usage.cache_read.input_tokens": 2,
        "gen_ai.usage.reasoning.output_tokens": 1,
        "pilothouse.connection.name": "mine",
    }


def test_without_capture_no_word_is_recorded(
    inner: Any, wrap: Wrap, spans: InMemorySpanExporter, question: ChatRequest
) -> None:
    asyncio.run(wrap(inner(), capture=False).chat(question))
    assert not [name for name in attributes(only(spans)) if "messages" in name or "tool" in name]


def test_a_stream_is_one_span_with_the_time_to_its_first_piece(
    inner: Any, wrap: Wrap, spans: InMemorySpanExporter, question: ChatRequest, clock: FixedClock
) -> None:
    class Slow(inner):  # type: ignore[misc, valid-type]
        async def stream(self, request: ChatRequest) -> Any:
            clock.advance(1.5)
            async for chunk in super().stream(request):
                yield chunk
                clock.advance(10)

    async def read() -> None:
        async for _ in wrap(Slow()).stream(question):
            assert trace.get_current_span() is trace.INVALID_SPAN

    asyncio.run(read())
    found = attributes(only(spans))
    assert found["gen_ai.response.time_to_first_chunk"] == 1.5
    assert found["gen_ai.request.stream"] is True
    assert found["gen_ai.usage.output_tokens"] == 3
    assert "abc" in found["gen_ai.output.messages"]


def test_a_stream_that_breaks_keeps_what_had_come(
    inner: Any, wrap: Wrap, spans: InMemorySpanExporter, question: ChatRequest
) -> None:
    client = inner()
    client.break_after = 2

    async def read() -> None:
        async for _ in wrap(client).stream(question):
            pass

    with pytest.raises(ModelError):
        asyncio.run(read())
    span = only(spans)
    assert span.status.status_code is trace.StatusCode.ERROR
    assert "ab" in attributes(span)["gen_ai.output.messages"]


def test_a_stream_that_is_left_is_no_error_and_closes_the_one_below(
    inner: Any, wrap: Wrap, spans: InMemorySpanExporter, question: ChatRequest
) -> None:
    client = inner()

    async def read() -> None:
        stream = wrap(client).stream(question)
        await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]

    asyncio.run(read())
    assert client.stream_closed
    assert only(spans).status.status_code is trace.StatusCode.UNSET


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ModelError(f"HTTP 429: slow, {KEY}", status=429), "429"),
        (ModelError("the connection failed"), "ModelError"),
        (ConnectionFault("names no model"), "ConnectionFault"),
        (KeyError(f"a defect {KEY}"), "KeyError"),
    ],
)
def test_errors_are_recorded_by_a_kind_of_few_values_and_without_secrets(
    inner: Any, wrap: Wrap, spans: InMemorySpanExporter, question: ChatRequest, error: Exception, kind: str
) -> None:
    with pytest.raises(type(error)):
        asyncio.run(wrap(inner(error)).chat(question))
    span = only(spans)
    assert attributes(span)["error.type"] == kind
    assert span.status.status_code is trace.StatusCode.ERROR
    assert KEY not in span.to_json()


def test_a_call_that_is_given_up_ends_its_span(
    inner: Any, wrap: Wrap, spans: InMemorySpanExporter, question: ChatRequest
) -> None:
    class Hanging(inner):  # type: ignore[misc, valid-type]
        async def chat(self, request: ChatRequest) -> Any:
            await asyncio.Event().wait()

    async def give_up() -> None:
        task = asyncio.create_task(wrap(Hanging()).chat(question))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(give_up())
    assert attributes(only(spans))["error.type"] == "cancelled"


def test_a_secret_in_a_message_is_not_recorded(inner: Any, wrap: Wrap, spans: InMemorySpanExporter) -> None:
    asyncio.run(wrap(inner()).chat(ChatRequest(model="m", messages=(Message(role="user", content=f"key {KEY}"),))))
    assert KEY not in only(spans).to_json()
    assert "key ***" in attributes(only(spans))["gen_ai.input.messages"]


def test_retries_hang_on_the_span_as_events(
    inner: Any, wrap: Wrap, spans: InMemorySpanExporter, question: ChatRequest
) -> None:
    async def sleep(_: float) -> None: ...

    refused = ModelError("no", status=503, retryable=True)
    client = inner(refused, refused)

    async def run() -> None:
        wrapped = wrap(RetryingClient(client, Retries(), sleep=sleep, draw=lambda: 0.0))
        await wrapped.chat(question)
        client.script = [refused]
        async for _ in wrapped.stream(question):
            pass
        await wrapped.aclose()

    asyncio.run(run())
    assert [[event.name for event in span.events] for span in spans.get_finished_spans()] == [
        ["retry", "retry"],
        ["retry"],
    ]


def test_completions_and_vectors_are_recorded(inner: Any, wrap: Wrap, spans: InMemorySpanExporter) -> None:
    async def run() -> None:
        client = wrap(inner())
        await client.complete(CompletionRequest(model="m", prompt="Once"))
        await client.embed(EmbeddingRequest(model="e", inputs=("a",), dimensions=8))

    asyncio.run(run())
    completion, embedding = spans.get_finished_spans()
    assert completion.name == "text_completion m"
    assert "Once" in attributes(completion)["gen_ai.input.messages"]
    assert embedding.name == "embeddings e"
    assert attributes(embedding)["gen_ai.embeddings.dimension.count"] == 8
    assert attributes(embedding)["gen_ai.usage.input_tokens"] == 2


def test_parts_tools_and_thoughts_are_recorded_without_megabytes(
    inner: Any, wrap: Wrap, spans: InMemorySpanExporter
) -> None:
    parts = (
        TextPart(text="look"),
        ImagePart(url="https://example.org/a.png"),
        ImagePart(data=b"\x00" * 5000),
        AudioPart(data=b"123", format="mp3"),
        FilePart(file_id="f1"),
        FilePart(data=b"1234"),
    )
    call = ToolCall(id="c", name="look", arguments="{}")
    messages = (
        Message(role="user", content=parts, name="ann"),
        Message(role="assistant", tool_calls=(call,), function_call=call, reasoning="hm", refusal="no"),
        Message(role="tool", content="rain", tool_call_id="c"),
    )
    tools = ({"type": "function", "function": {"name": "look"}},)
    asyncio.run(wrap(inner()).chat(ChatRequest(model="m", messages=messages, tools=tools)))
    found = attributes(only(spans))
    called = {"type": "tool_call", "id": "c", "name": "look", "arguments": "{}"}
    assert msgspec.json.decode(found["gen_ai.tool.definitions"]) == list(tools)
    assert msgspec.json.decode(found["gen_ai.input.messages"]) == [
        {
            "role": "user",
            "name": "ann",
            "parts": [
                {"type": "text", "content": "look"},
                {"type": "uri", "modality": "image", "uri": "https://example.org/a.png"},
                {"type": "blob", "modality": "image", "mime_type": "image/png", "size": 5000},
                {"type": "blob", "modality": "audio", "mime_type": "audio/mp3", "size": 3},
                {"type": "file", "file_id": "f1"},
                {"type": "blob", "modality": "document", "mime_type": "application/pdf", "size": 4},
            ],
        },
        {
            "role": "assistant",
            "parts": [
                {"type": "reasoning", "content": "hm"},
                {"type": "refusal", "content": "no"},
                called,
                called,
            ],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c", "response": "rain"}]},
    ]
