"""Retries: the same call again when it may succeed, after the time the provider asked for or a drawn one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from opentelemetry import trace

from pilothouse.core.errors import ModelError
from pilothouse.models.client import ModelClient, close_stream
from pilothouse.models.settings import Retries
from pilothouse.models.types import (
    ChatChunk,
    ChatRequest,
    ChatResponse,
    CompletionRequest,
    EmbeddingRequest,
    EmbeddingResponse,
)

T = TypeVar("T")

Sleep = Callable[[float], Awaitable[None]]


class RetryingClient:
    """Repeats a failed call: exponential waits with full jitter (each is drawn evenly below a bound that doubles).

    Only errors marked ``retryable`` are repeated; a stream only until its first piece has been handed on. A wait the
    provider asked for is kept, if it fits into the budget; otherwise the error is raised at once.

    Args:
        inner: The client that calls.
        settings: How often and how patiently.
        sleep: How to wait.
        draw: A number from 0 to 1.
    """

    def __init__(
        self,
        inner: ModelClient,
        settings: Retries,
        *,
        sleep: Sleep = asyncio.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._inner = inner
        self._settings = settings
        self._sleep = sleep
        self._draw = draw

    @property
    def provider(self) -> str:
        """Who serves the model."""
        return self._inner.provider

    async def chat(self, request: ChatRequest) -> ChatResponse:
        """Continue a conversation."""
        return await self._repeat(lambda: self._inner.chat(request))

    async def complete(self, request: CompletionRequest) -> ChatResponse:
        """Continue a text."""
        return await self._repeat(lambda: self._inner.complete(request))

    async def embed(self, request: EmbeddingRequest) -> EmbeddingResponse:
        """Turn texts into vectors."""
        return await self._repeat(lambda: self._inner.embed(request))

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        """Continue a conversation, piece by piece."""
        first, stream = await self._repeat(lambda: self._begin(request))
        try:
            if first is not None:
                yield first
            async for chunk in stream:
                yield chunk
        finally:
            await close_stream(stream)

    async def aclose(self) -> None:
        """Close the client below."""
        await self._inner.aclose()

    async def _begin(self, request: ChatRequest) -> tuple[ChatChunk | None, AsyncIterator[ChatChunk]]:
        stream = self._inner.stream(request)
        return await anext(stream, None), stream

    async def _repeat(self, call: Callable[[], Awaitable[T]]) -> T:
        waited = 0.0
        for attempt in range(1, self._settings.attempts):
            try:
                return await call()
            except ModelError as error:
                wait = self._wait(attempt, error.retry_after)
                if not error.retryable or waited + wait > self._settings.budget:
                    raise
                waited += wait
                _record(attempt, wait, error)
                await self._sleep(wait)
        return await call()

    def _wait(self, attempt: int, asked: float | None) -> float:
        bound = min(self._settings.longest, self._settings.base * 2 ** (attempt - 1))
        # Jitter goes on top of what was asked: else all who were refused together come back together.
        drawn = self._draw() * bound
        return drawn if asked is None else asked + drawn


def _record(attempt: int, wait: float, error: ModelError) -> None:
    trace.get_current_span().add_event(
        "retry", {"attempt": attempt, "wait_seconds": wait, "status": error.status or 0, "reason": error.message}
    )
