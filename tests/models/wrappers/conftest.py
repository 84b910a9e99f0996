from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from pilothouse.core.errors import ModelError
from pilothouse.models.types import ChatChunk, ChatRequest, ChatResponse, EmbeddingResponse, Message, Usage


class Inner:
    """A client that does what it is told, one thing a call: an exception to raise, or None to answer."""

    provider = "inner"

    def __init__(self, *script: BaseException | None) -> None:
        self.script = list(script)
        self.calls = 0
        self.closed = False
        self.stream_closed = False
        self.break_after: int | None = None

    def _next(self) -> None:
        self.calls += 1
        step = self.script.pop(0) if self.script else None
        if step is not None:
            raise step

    async def chat(self, request: ChatRequest) -> ChatResponse:
        self._next()
        return ChatResponse(
            id="i",
            model="m-1",
            message=Message(role="assistant", content="yes"),
            finish_reason="stop",
            usage=Usage(input_tokens=3, output_tokens=1, cached_input_tokens=2, reasoning_tokens=1),
        )

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        self._next()
        try:
            for index, text in enumerate(("a", "b", "c")):
                if index == self.break_after:
                    raise ModelError("cut", retryable=True)
                yield ChatChunk(text=text, id="i", model="m-1")
            yield ChatChunk(finish_reason="stop", usage=Usage(input_tokens=3, output_tokens=3))
        finally:
            self.stream_closed = True

    async def complete(self, request: Any) -> ChatResponse:
        return await self.chat(request)

    async def embed(self, request: Any) -> EmbeddingResponse:
        self._next()
        return EmbeddingResponse(vectors=((1.0,),), usage=Usage(input_tokens=2), model="e-1")

    async def aclose(self) -> None:
        self.closed = True


@pytest.fixture
def inner() -> Callable[..., Inner]:
    return Inner
