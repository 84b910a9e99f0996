"""Adaptive concurrency: as many calls in flight as the provider bears, found by trying (AIMD)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

from opentelemetry import trace

from pilothouse.core.errors import ModelError
from pilothouse.models.client import ModelClient, close_stream
from pilothouse.models.types import (
    ChatChunk,
    ChatRequest,
    ChatResponse,
    CompletionRequest,
    EmbeddingRequest,
    EmbeddingResponse,
)

OVERLOADED: Final = frozenset({429, 503, 529})
"""Statuses by which providers say: fewer calls."""


class AdaptiveLimiter:
    """Permits for calls, first come, first served.

    When the provider says it is overloaded, the limit is halved, at most once for the calls that were under way
    together (their refusals are one piece of news). When a call succeeds during which the limit was used up, it grows
    by ``1 / limit``, so by one for each round of calls.

    Args:
        ceiling: The limit never exceeds this.
        start: Where it begins; the ceiling by default.
    """

    def __init__(self, ceiling: int, start: int | None = None) -> None:
        self._ceiling = float(max(ceiling, 1))
        self._limit = min(float(max(start or ceiling, 1)), self._ceiling)
        self._in_flight = 0
        self._window = 0
        self._given = 0
        self._last_full = 0
        self._waiting: deque[asyncio.Future[int]] = deque()

    @property
    def limit(self) -> int:
        """Calls that may be in flight now."""
        return int(self._limit)

    @property
    def in_flight(self) -> int:
        """Calls that are in flight now."""
        return self._in_flight

    def permit(self) -> Permit:
        """Return what waits for a permit and holds it while inside; how the body ends moves the limit."""
        return Permit(self)

    async def enter(self) -> tuple[int, int]:
        """Wait for a permit; return its number, and the window it belongs to."""
        return await self._acquire(), self._window

    def leave(self, number: int, window: int, error: BaseException | None) -> None:
        """Take a permit back and learn from how its call ended."""
        if isinstance(error, ModelError):
            if error.status in OVERLOADED and window == self._window:
                self._limit = max(self._limit / 2, 1.0)
                self._window += 1
        elif error is None and self._last_full >= number:
            self._limit = min(self._limit + 1 / self._limit, self._ceiling)
        self._in_flight -= 1
        self._wake()

    async def _acquire(self) -> int:
        if not self._waiting and self._in_flight < self.limit:
            return self._give()
        turn: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            number = await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                # The permit had been given in the same moment: it goes to the next.
                self._in_flight -= 1
                self._wake()
            else:
                with suppress(ValueError):  # already passed over
                    self._waiting.remove(turn)
            raise
        # Told on the span of the call: its time before this was spent in line, not at the provider.
        trace.get_current_span().add_event("permit")
        return number

    def _wake(self) -> None:
        while self._waiting and self._in_flight < self.limit:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(self._give())

    def _give(self) -> int:
        """Count one permit more and return its number."""
        self._in_flight += 1
        self._given += 1
        if self._in_flight >= self.limit:
            self._last_full = self._given
        return self._given


class Permit:
    """One permit of a limiter, held while inside. A class and no generator: every call of a model passes here.

    Args:
        limiter: Who gives it.
    """

    __slots__ = ("_given", "_limiter")

    def __init__(self, limiter: AdaptiveLimiter) -> None:
        self._limiter = limiter
        self._given = (0, 0)

    async def __aenter__(self) -> None:
        self._given = await self._limiter.enter()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        self._limiter.leave(*self._given, error)


class LimitedClient:
    """Makes each call under a permit; a stream holds its permit to its end.

    Args:
        inner: The client that calls.
        limiter: Who gives permits.
    """

    def __init__(self, inner: ModelClient, limiter: AdaptiveLimiter) -> None:
        self._inner = inner
        self._limiter = limiter

    @property
    def provider(self) -> str:
        """Who serves the model."""
        return self._inner.provider

    async def chat(self, request: ChatRequest) -> ChatResponse:
        """Continue a conversation."""
        async with self._limiter.permit():
            return await self._inner.chat(request)

    async def complete(self, request: CompletionRequest) -> ChatResponse:
        """Continue a text."""
        async with self._limiter.permit():
            return await self._inner.complete(request)

    async def embed(self, request: EmbeddingRequest) -> EmbeddingResponse:
        """Turn texts into vectors."""
        async with self._limiter.permit():
            return await self._inner.embed(request)

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        """Continue a conversation, piece by piece."""
        async with self._limiter.permit():
            stream = self._inner.stream(request)
            try:
                async for chunk in stream:
                    yield chunk
            finally:
                await close_stream(stream)

    async def aclose(self) -> None:
        """Close the client below."""
        await self._inner.aclose()
