"""Providers on loopback: a well-behaved one (aiohttp), and one that sends exactly the bytes it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from pilothouse.core.clock import Clock, SystemClock
from pilothouse.models.client import ProviderContext
from pilothouse.models.secret import Secret
from pilothouse.models.settings import ModelSettings
from pilothouse.models.types import ChatRequest, Connection, Message

KEY = "sk-very-secret-0123456789"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Seen:
    """One request as the provider saw it."""

    def __init__(self, request: web.Request, body: Any) -> None:
        self.path = request.path_qs
        self.headers = request.headers
        self.body = body


class Upstream:
    """A provider that remembers what it was asked and answers with what it was given, the last answer for ever."""

    def __init__(self) -> None:
        self.url = ""
        self.seen: list[Seen] = []
        self.answers: list[Callable[[web.Request], Any]] = []

    def json(self, data: Any, status: int = 200, headers: dict[str, str] | None = None) -> Upstream:
        self.answers.append(lambda request: web.json_response(data, status=status, headers=headers))
        return self

    def text(self, text: str, status: int = 200, kind: str = "text/html") -> Upstream:
        self.answers.append(lambda request: web.Response(text=text, status=status, content_type=kind))
        return self

    def sse(self, *pieces: bytes) -> Upstream:
        async def send(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"content-type": "text/event-stream"})
            await response.prepare(request)
            for piece in pieces:
                await response.write(piece)
            return response

        self.answers.append(send)
        return self

    def hang(self) -> Upstream:
        async def wait(request: web.Request) -> web.Response:
            await asyncio.Event().wait()
            raise AssertionError

        self.answers.append(wait)
        return self

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(Seen(request, await request.json()))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        made = answer(request)
        return await made if asyncio.iscoroutine(made) else made


Serve = Callable[[Upstream], AbstractAsyncContextManager[Upstream]]


@asynccontextmanager
async def serving(upstream: Upstream) -> AsyncIterator[Upstream]:
    """Serve on a free port of 127.0.0.1."""
    app = web.Application()
    app.router.add_post("/{rest:.*}", upstream.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    upstream.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield upstream
    finally:
        await runner.cleanup()


@asynccontextmanager
async def sending(answer: bytes) -> AsyncIterator[str]:
    """Serve these bytes to whoever connects and sends a request, then close; yields the address."""

    async def answer_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer_one, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()


@pytest.fixture
def upstream() -> Upstream:
    return Upstream()


@pytest.fixture
def serve() -> Serve:
    return serving


@pytest.fixture
def send_bytes() -> Callable[[bytes], AbstractAsyncContextManager[str]]:
    return sending


@pytest.fixture
def key() -> str:
    return KEY


@pytest.fixture
def context(tmp_path: Path) -> Callable[..., ProviderContext]:
    def make(settings: ModelSettings | None = None, clock: Clock | None = None) -> ProviderContext:
        return ProviderContext(
            settings=settings or ModelSettings(), root=tmp_path, cache=tmp_path / "cache", clock=clock or SystemClock()
        )

    return make


@pytest.fixture
def open_ai(context: Callable[..., ProviderContext]) -> Callable[..., Any]:
    """From an address to a client of type open_ai."""
    from pilothouse.models.providers.openai import build

    def make(url: str, settings: ModelSettings | None = None, clock: Clock | None = None) -> Any:
        connection = Connection(
            name="mine", type="open_ai", configs={"base_url": f"{url}/v1"}, secrets={"api_key": Secret(KEY)}
        )
        return build(connection, context(settings, clock))

    return make


@pytest.fixture
def question() -> ChatRequest:
    return ChatRequest(model="gpt-4o-mini", messages=(Message(role="user", content="Is it raining?"),))


@pytest.fixture
def answer() -> dict[str, Any]:
    """An answer as OpenAI sends it."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Yes.", "refusal": None, "annotations": []},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 20,
            "completion_tokens": 9,
            "total_tokens": 29,
            "prompt_tokens_details": {"cached_tokens": 12, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 5},
        },
        "system_fingerprint": "fp_1",
    }
