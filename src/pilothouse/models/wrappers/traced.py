"""A span around every model call, by OpenTelemetry's GenAI conventions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Final

from opentelemetry import trace
from opentelemetry.context import attach, detach
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.util.types import AttributeValue

from pilothouse.core.clock import Clock
from pilothouse.core.errors import ModelError, PilothouseError
from pilothouse.models.client import ModelClient, StreamCollector, close_stream
from pilothouse.models.secret import Secret, redact
from pilothouse.models.types import (
    ChatChunk,
    ChatRequest,
    ChatResponse,
    CompletionRequest,
    EmbeddingRequest,
    EmbeddingResponse,
    Sampling,
    Usage,
)
from pilothouse.models.wrappers import content
from pilothouse.tracing import conventions as names

CONNECTION: Final = "pilothouse.connection.name"

Told = dict[str, AttributeValue]
"""Attributes of a span."""

_SAMPLING: Final = {
    names.REQUEST_TEMPERATURE: "temperature",
    names.REQUEST_TOP_P: "top_p",
    names.REQUEST_MAX_TOKENS: "max_tokens",
    names.REQUEST_SEED: "seed",
    names.REQUEST_CHOICES: "n",
    "gen_ai.request.presence_penalty": "presence_penalty",
    "gen_ai.request.frequency_penalty": "frequency_penalty",
}


class TracedClient:
    """Records each call as a span of kind CLIENT, from the first attempt to the last.

    Args:
        inner: The client that calls.
        tracer: Who makes spans.
        clock: For the time to the first piece of a stream.
        connection: The connection's name.
        capture: Whether messages are recorded.
        secrets: What must not be recorded even when it stands in a message.
    """

    def __init__(
        self,
        inner: ModelClient,
        tracer: Tracer,
        *,
        clock: Clock,
        connection: str,
        capture: bool,
        secrets: Iterable[Secret] = (),
    ) -> None:
        self._inner = inner
        self._tracer = tracer
        self._clock = clock
        self._connection = connection
        self._capture = capture
        self._secrets = tuple(secrets)

    @property
    def provider(self) -> str:
        """Who serves the model."""
        return self._inner.provider

    async def chat(self, request: ChatRequest) -> ChatResponse:
        """Continue a conversation."""
        with self._span(names.CHAT, request.model, self._asked(request)) as span:
            with _Current(span):
                response = await self._inner.chat(request)
            self._answered(span, response)
            return response

    async def complete(self, request: CompletionRequest) -> ChatResponse:
        """Continue a text."""
        asked = _described(request)
        if self._capture:
            asked[names.INPUT_MESSAGES] = redact(content.prompt_message(request.prompt), self._secrets)
        with self._span(names.TEXT_COMPLETION, request.model, asked) as span:
            with _Current(span):
                response = await self._inner.complete(request)
            self._answered(span, response)
            return response

    async def embed(self, request: EmbeddingRequest) -> EmbeddingResponse:
        """Turn texts into vectors."""
        size = request.dimensions
        asked: Told = {} if size is None else {"gen_ai.embeddings.dimension.count": size}
        with self._span(names.EMBEDDINGS, request.model, asked) as span:
            with _Current(span):
                response = await self._inner.embed(request)
            span.set_attributes({names.RESPONSE_MODEL: response.model, **_spent(response.usage)})
            return response

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        """Continue a conversation, piece by piece; the span ends with the stream."""
        with self._span(names.CHAT, request.model, {**self._asked(request), names.REQUEST_STREAM: True}) as span:
            begun = self._clock.monotonic()
            collector = StreamCollector()
            stream = self._inner.stream(request)
            first = True
            try:
                while (chunk := await _next(span, stream)) is not None:
                    if first:
                        span.set_attribute(names.TIME_TO_FIRST_CHUNK, self._clock.monotonic() - begun)
                        first = False
                    collector.add(chunk)
                    yield chunk
            finally:
                if not first:
                    # Also a stream that broke off, or that nobody read to its end, tells how far it came.
                    self._answered(span, collector.response())
                await close_stream(stream)

    async def aclose(self) -> None:
        """Close the client below."""
        await self._inner.aclose()

    def _span(self, operation: str, model: str, asked: Told) -> _CallSpan:
        # All that is known of a call is said at once, at its begin: samplers see it, and it costs the least.
        attributes = {
            names.OPERATION: operation,
            names.PROVIDER: self._inner.provider,
            names.REQUEST_MODEL: model,
            CONNECTION: self._connection,
            **asked,
        }
        name = f"{operation} {model}".strip()
        return _CallSpan(self._tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes), self._secrets)

    def _asked(self, request: ChatRequest) -> Told:
        told = _described(request)
        if request.response_format is not None:
            told[names.OUTPUT_TYPE] = "json" if "json" in str(request.response_format.get("type")) else "text"
        if self._capture:
            told[names.INPUT_MESSAGES] = redact(content.input_messages(request), self._secrets)
            tools = content.tool_definitions(request)
            if tools is not None:
                told[names.TOOL_DEFINITIONS] = redact(tools, self._secrets)
        return told

    def _answered(self, span: Span, response: ChatResponse) -> None:
        if not span.is_recording():
            return
        told: Told = {}
        if response.model:
            told[names.RESPONSE_MODEL] = response.model
        if response.id:
            told[names.RESPONSE_ID] = response.id
        if response.finish_reason:
            told[names.FINISH_REASONS] = (response.finish_reason,)
        told.update(_spent(response.usage))
        if self._capture:
            told[names.OUTPUT_MESSAGES] = redact(content.output_messages(response), self._secrets)
        span.set_attributes(told)


class _CallSpan:
    """Ends a span, with what went wrong where something did."""

    def __init__(self, span: Span, secrets: tuple[Secret, ...]) -> None:
        self._span = span
        self._secrets = secrets

    def __enter__(self) -> Span:
        return self._span

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, asyncio.CancelledError):
            self._fail("cancelled", "the caller gave up")
        elif isinstance(error, PilothouseError):
            status = error.status if isinstance(error, ModelError) else None
            self._fail(str(status or type(error).__name__), error.message)
        elif isinstance(error, Exception):
            self._fail(type(error).__name__, str(error))
        self._span.end()

    def _fail(self, kind: str, message: str) -> None:
        self._span.set_attribute(names.ERROR_TYPE, kind)
        self._span.set_status(Status(StatusCode.ERROR, redact(message, self._secrets)))


class _Current:
    """Makes a span current while inside, so that retries and what a provider records hang on it."""

    __slots__ = ("_span", "_token")

    def __init__(self, span: Span) -> None:
        self._span = span

    def __enter__(self) -> None:
        self._token = attach(trace.set_span_in_context(self._span))

    def __exit__(self, *_: object) -> None:
        detach(self._token)


async def _next(span: Span, stream: AsyncIterator[ChatChunk]) -> ChatChunk | None:
    # Current only while the next piece is awaited: a generator must not leave its context behind when it pauses.
    with _Current(span):
        return await anext(stream, None)


def _described(request: Sampling) -> Told:
    told: Told = {}
    for name, field in _SAMPLING.items():
        value = getattr(request, field)
        if value is not None:
            told[name] = value
    if request.stop is not None:
        told[names.REQUEST_STOP] = (request.stop,) if isinstance(request.stop, str) else request.stop
    return told


def _spent(usage: Usage | None) -> Told:
    if usage is None:
        return {}
    told: Told = {names.INPUT_TOKENS: usage.input_tokens, names.OUTPUT_TOKENS: usage.output_tokens}
    if usage.cached_input_tokens:
        told[names.CACHED_INPUT_TOKENS] = usage.cached_input_tokens
    if usage.reasoning_tokens:
        told[names.REASONING_TOKENS] = usage.reasoning_tokens
    return told
