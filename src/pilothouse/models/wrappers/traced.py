"""A span around every model call, by OpenTelemetry's GenAI conventions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractContextManager
from typing import Final

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer

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
        with self._span(names.CHAT, request.model) as span:
            self._asked(span, request)
            with _current(span):
                response = await self._inner.chat(request)
            self._answered(span, response)
            return response

    async def complete(self, request: CompletionRequest) -> ChatResponse:
        """Continue a text."""
        with self._span(names.TEXT_COMPLETION, request.model) as span:
            _describe(span, request)
            if self._capture:
                self._say(span, names.INPUT_MESSAGES, content.prompt_message(request.prompt))
            with _current(span):
                response = await self._inner.complete(request)
            self._answered(span, response)
            return response

    async def embed(self, request: EmbeddingRequest) -> EmbeddingResponse:
        """Turn texts into vectors."""
        with self._span(names.EMBEDDINGS, request.model) as span:
            if request.dimensions is not None:
                span.set_attribute("gen_ai.embeddings.dimension.count", request.dimensions)
            with _current(span):
                response = await self._inner.embed(request)
            span.set_attribute(names.RESPONSE_MODEL, response.model)
            _spend(span, response.usage)
            return response

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        """Continue a conversation, piece by piece; the span ends with the stream."""
        with self._span(names.CHAT, request.model) as span:
            self._asked(span, request)
            span.set_attribute(names.REQUEST_STREAM, value=True)
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

    def _span(self, operation: str, model: str) -> _CallSpan:
        attributes = {
            names.OPERATION: operation,
            names.PROVIDER: self._inner.provider,
            names.REQUEST_MODEL: model,
            CONNECTION: self._connection,
        }
        name = f"{operation} {model}".strip()
        return _CallSpan(self._tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes), self._secrets)

    def _asked(self, span: Span, request: ChatRequest) -> None:
        _describe(span, request)
        if request.response_format is not None:
            kind = "json" if "json" in str(request.response_format.get("type")) else "text"
            span.set_attribute(names.OUTPUT_TYPE, kind)
        if self._capture:
            self._say(span, names.INPUT_MESSAGES, content.input_messages(request))
            self._say(span, names.TOOL_DEFINITIONS, content.tool_definitions(request))

    def _answered(self, span: Span, response: ChatResponse) -> None:
        for name, value in ((names.RESPONSE_MODEL, response.model), (names.RESPONSE_ID, response.id)):
            if value:
                span.set_attribute(name, value)
        if response.finish_reason:
            span.set_attribute(names.FINISH_REASONS, (response.finish_reason,))
        _spend(span, response.usage)
        if self._capture:
            self._say(span, names.OUTPUT_MESSAGES, content.output_messages(response))

    def _say(self, span: Span, name: str, text: str | None) -> None:
        if text is not None and span.is_recording():
            span.set_attribute(name, redact(text, self._secrets))


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


def _current(span: Span) -> AbstractContextManager[Span]:
    """Make the span current, so that retries and what a provider records hang on it."""
    return trace.use_span(span, end_on_exit=False, record_exception=False, set_status_on_exception=False)


async def _next(span: Span, stream: AsyncIterator[ChatChunk]) -> ChatChunk | None:
    # Current only while the next piece is awaited: a generator must not leave its context behind when it pauses.
    with _current(span):
        return await anext(stream, None)


def _describe(span: Span, request: Sampling) -> None:
    for name, field in _SAMPLING.items():
        value = getattr(request, field)
        if value is not None:
            span.set_attribute(name, value)
    if request.stop is not None:
        span.set_attribute(names.REQUEST_STOP, (request.stop,) if isinstance(request.stop, str) else request.stop)


def _spend(span: Span, usage: Usage | None) -> None:
    if usage is None:
        return
    span.set_attribute(names.INPUT_TOKENS, usage.input_tokens)
    span.set_attribute(names.OUTPUT_TOKENS, usage.output_tokens)
    if usage.cached_input_tokens:
        span.set_attribute(names.CACHED_INPUT_TOKENS, usage.cached_input_tokens)
    if usage.reasoning_tokens:
        span.set_attribute(names.REASONING_TOKENS, usage.reasoning_tokens)
