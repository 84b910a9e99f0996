"""The client of every server that speaks OpenAI's dialect; what differs is the address and the headers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Struct

from pilothouse.core.errors import ConnectionFault, ModelError
from pilothouse.models.providers import wire
from pilothouse.models.providers.http import HttpTransport
from pilothouse.models.secret import Secret
from pilothouse.models.types import (
    ChatChunk,
    ChatRequest,
    ChatResponse,
    CompletionRequest,
    EmbeddingRequest,
    EmbeddingResponse,
    Usage,
)

T = TypeVar("T")
Operation = Literal["chat/completions", "completions", "embeddings"]

_DONE = "[DONE]"


class Endpoint(Struct, frozen=True, kw_only=True):
    """Where and how a server is called.

    Attributes:
        provider: Who answers, by OpenTelemetry's name.
        address: The address of an operation for a model.
        headers: Sent with each call.
        adapt: A last change to a body before it is sent.
        stream_usage: Whether the server can be asked to report usage in a stream.
    """

    provider: str
    address: Callable[[Operation, str], str]
    headers: Mapping[str, Secret | str]
    adapt: Callable[[dict[str, Any]], dict[str, Any]] = dict
    stream_usage: bool = True


class DialectClient:
    """Calls one server that speaks OpenAI's dialect.

    Args:
        endpoint: Where and how it is called.
        transport: The HTTP client.
        name: The connection, for messages.
    """

    def __init__(self, endpoint: Endpoint, transport: HttpTransport, name: str) -> None:
        self._endpoint = endpoint
        self._transport = transport
        self._name = name
        self._encode = msgspec.json.Encoder().encode

    @property
    def provider(self) -> str:
        """Who answers."""
        return self._endpoint.provider

    @property
    def concurrency(self) -> int | None:
        """Only the provider knows."""
        return None

    async def chat(self, request: ChatRequest) -> ChatResponse:
        """Continue a conversation."""
        data = await self._post("chat/completions", request.model, wire.chat_body(request), request.extra)
        return self._response(data)

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        """Continue a conversation, piece by piece; the usage comes once, at the end."""
        body = {**wire.chat_body(request), "stream": True}
        if self._endpoint.stream_usage:
            body["stream_options"] = {"include_usage": True}
        url, payload = self._prepared("chat/completions", request.model, body, request.extra)
        usage: Usage | None = None
        finished = False
        events = self._transport.events(url, self._endpoint.headers, payload)
        try:
            async for event in events:
                if event.strip() == _DONE:
                    finished = True
                    break
                answer = self._answer(event)
                usage = wire.usage_of(answer) or usage
                for chunk in self._read(lambda answer=answer: wire.chunks_of(answer)):
                    finished = finished or chunk.finish_reason is not None
                    yield chunk
        finally:
            await events.aclose()
        if not finished:
            raise self._transport.error("the stream ended before the answer was complete", retryable=True)
        if usage is not None:
            yield ChatChunk(usage=usage)

    async def complete(self, request: CompletionRequest) -> ChatResponse:
        """Continue a text."""
        data = await self._post("completions", request.model, wire.completion_body(request), request.extra)
        return self._response(data)

    async def embed(self, request: EmbeddingRequest) -> EmbeddingResponse:
        """Turn texts into vectors."""
        data = await self._post("embeddings", request.model, wire.embedding_body(request), {})
        self._answer(data)
        return self._read(lambda: wire.embeddings_of(data, len(request.inputs)))

    async def aclose(self) -> None:
        """Close the connections to the server."""
        await self._transport.aclose()

    def check(self, model: str) -> None:
        """Refuse a call without a model."""
        if not model:
            raise ConnectionFault(
                "the call names no model",
                where=f"connection '{self._name}'",
                fix="name the model (for Azure: the deployment) in the node or request",
            )

    def close(self) -> None:
        """Nothing lives outside the event loop."""

    async def _post(self, operation: Operation, model: str, body: dict[str, Any], extra: dict[str, Any]) -> bytes:
        url, payload = self._prepared(operation, model, body, extra)
        return await self._transport.post(url, self._endpoint.headers, payload)

    def _prepared(
        self, operation: Operation, model: str, body: dict[str, Any], extra: dict[str, Any]
    ) -> tuple[str, bytes]:
        self.check(model)
        body = self._endpoint.adapt({**body, **extra})
        # A None among the extra keys takes a key out: some servers refuse one they do not know.
        payload = self._encode({key: value for key, value in body.items() if value is not None})
        return self._endpoint.address(operation, model), payload

    def _response(self, data: bytes) -> ChatResponse:
        answer = self._answer(data)
        return self._read(lambda: wire.response_of(answer))

    def _answer(self, data: bytes | str) -> wire.Answer:
        answer = self._read(lambda: wire.decode_answer(data))
        if answer.error is not None:
            raise self._failure(data)
        return answer

    def _failure(self, data: bytes | str) -> ModelError:
        """Return the error for an answer whose body reports one behind a status that does not."""
        body = data.encode() if isinstance(data, str) else data
        code = wire.error_code(body)
        return self._transport.refusal(code if 400 <= code < 600 else 500, body)

    def _read(self, read: Callable[[], T]) -> T:
        try:
            return read()
        except wire.WireError as error:
            raise self._transport.error(str(error), retryable=error.torn) from error
