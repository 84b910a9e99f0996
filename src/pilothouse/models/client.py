"""The one interface to a model, whoever serves it, and what every layer needs to work with streams."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from pathlib import Path
from typing import Any, Protocol, cast

from msgspec import Struct

from pilothouse.core.clock import Clock
from pilothouse.models.settings import ModelSettings
from pilothouse.models.types import (
    ChatChunk,
    ChatRequest,
    ChatResponse,
    CompletionRequest,
    Connection,
    EmbeddingRequest,
    EmbeddingResponse,
    Message,
    ToolCall,
    ToolCallDelta,
    Usage,
)


class ModelClient(Protocol):
    """A way to models. Every method raises ``ModelError`` when the provider refuses or fails.

    Attributes:
        provider: Who serves the model, by OpenTelemetry's name (``openai``, ``azure.ai.openai``, ``local`` ...).
    """

    @property
    def provider(self) -> str:
        """Who serves the model."""
        ...

    async def chat(self, request: ChatRequest) -> ChatResponse:
        """Continue a conversation."""
        ...

    def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        """Continue a conversation, piece by piece; a stream that breaks off raises, it never ends short."""
        ...

    async def complete(self, request: CompletionRequest) -> ChatResponse:
        """Continue a text."""
        ...

    async def embed(self, request: EmbeddingRequest) -> EmbeddingResponse:
        """Turn texts into vectors."""
        ...

    async def aclose(self) -> None:
        """Let go of connections and memory; closing twice does no harm."""
        ...


class Provider(ModelClient, Protocol):
    """What a plug-in of the group `pilothouse.providers` makes: a client without retries, limits or spans."""

    @property
    def concurrency(self) -> int | None:
        """Most calls it serves at once; None where only the provider knows."""
        ...

    def check(self, model: str) -> None:
        """Raise, before the first call, a ``UserError`` that every call to ``model`` would raise."""
        ...

    def close(self) -> None:
        """Let go of what lives outside any event loop, such as a model in memory."""
        ...


class ProviderContext(Struct, frozen=True, kw_only=True):
    """What a provider may need besides its connection.

    Attributes:
        settings: The section `models` of the settings.
        root: The project's folder, which relative paths start from.
        cache: The folder of pulled models.
        clock: Where the time comes from.
    """

    settings: ModelSettings
    root: Path
    cache: Path
    clock: Clock


ProviderFactory = Callable[[Connection, ProviderContext], Provider]


class StreamCollector:
    """Puts the pieces of a stream together again."""

    def __init__(self) -> None:
        self._answers: dict[int, _Answer] = {}
        self._id = ""
        self._model = ""
        self._usage: Usage | None = None

    def add(self, chunk: ChatChunk) -> None:
        """Take the next piece."""
        self._id = self._id or chunk.id
        self._model = self._model or chunk.model
        self._usage = chunk.usage or self._usage
        if chunk.text or chunk.tool_calls or chunk.finish_reason or chunk.refusal or chunk.reasoning or chunk.role:
            self._answers.setdefault(chunk.index, _Answer()).add(chunk)

    def response(self) -> ChatResponse:
        """Return the whole answer as far as it has come."""
        answers = [self._answers[index] for index in sorted(self._answers)] or [_Answer()]
        choices = tuple(answer.message() for answer in answers)
        return ChatResponse(
            id=self._id,
            model=self._model,
            message=choices[0],
            finish_reason=answers[0].finish_reason,
            usage=self._usage,
            choices=choices,
            logprobs=answers[0].logprobs,
        )


class _Answer:
    def __init__(self) -> None:
        self.finish_reason: str | None = None
        self.logprobs: dict[str, list[Any]] | None = None
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._reasoning: list[str] = []
        self._calls: dict[int, list[ToolCallDelta]] = {}

    def add(self, chunk: ChatChunk) -> None:
        self._text.append(chunk.text)
        self._refusal.append(chunk.refusal)
        self._reasoning.append(chunk.reasoning)
        self.finish_reason = chunk.finish_reason or self.finish_reason
        if isinstance(chunk.logprobs, dict):
            self._add_logprobs(cast("dict[str, Any]", chunk.logprobs))
        for delta in chunk.tool_calls:
            self._calls.setdefault(delta.index, []).append(delta)

    def _add_logprobs(self, piece: dict[str, Any]) -> None:
        self.logprobs = self.logprobs or {}
        for key, values in piece.items():
            if isinstance(values, list):
                self.logprobs.setdefault(key, []).extend(cast("list[Any]", values))

    def message(self) -> Message:
        calls = tuple(
            ToolCall(
                id=next((delta.id for delta in deltas if delta.id), ""),
                name="".join(delta.name for delta in deltas),
                arguments="".join(delta.arguments for delta in deltas),
            )
            for _, deltas in sorted(self._calls.items())
        )
        return Message(
            role="assistant",
            content="".join(self._text),
            tool_calls=calls,
            refusal="".join(self._refusal) or None,
            reasoning="".join(self._reasoning) or None,
        )


async def collect(stream: AsyncIterator[ChatChunk]) -> ChatResponse:
    """Read a stream to its end and return the whole answer."""
    collector = StreamCollector()
    async for chunk in stream:
        collector.add(chunk)
    return collector.response()


async def close_stream(stream: AsyncIterator[ChatChunk]) -> None:
    """End a stream early, so that the layers below let go of what they hold at once."""
    if isinstance(stream, AsyncGenerator):
        await stream.aclose()
