"""Tokens are fetched once for many calls, renewed before they end, and never on the event loop."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from pilothouse.core.clock import FixedClock
from pilothouse.core.errors import ConnectionFault, ModelError
from pilothouse.gateway.providers.interface import Outgoing, Provider
from pilothouse.gateway.providers.tokens import Renewed
from pilothouse.models.secret import Secret


class Source:
    """Counts its fetches; each holds an hour."""

    def __init__(self, clock: FixedClock) -> None:
        self.clock = clock
        self.count = 0
        self.threads: set[int] = set()
        self.fault: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self) -> tuple[str, float]:
        self.threads.add(threading.get_ident())
        assert self.gate.wait(10)
        self.count += 1
        if self.fault is not None:
            raise self.fault
        return f"token-{self.count}", self.clock.now().timestamp() + 3600

    def renewed(self) -> Renewed[str]:
        return Renewed(
            self, faults=(OSError,), where="connection 'mine'", secrets=(Secret("hidden-secret"),), clock=self.clock
        )


@pytest.fixture
def source(clock: FixedClock) -> Source:
    return Source(clock)


def test_many_calls_share_one_fetch_beside_the_event_loop(source: Source) -> None:
    async def run() -> None:
        token = source.renewed()
        await asyncio.gather(*(token.ready() for _ in range(50)))
        await token.ready()
        assert token.value == "token-1"

    asyncio.run(run())
    assert source.count == 1
    assert threading.get_ident() not in source.threads


def test_a_token_near_its_end_is_renewed_while_calls_go_on_with_it(source: Source, clock: FixedClock) -> None:
    async def run() -> None:
        token = source.renewed()
        await token.ready()
        clock.advance(3600 - 200)
        source.gate.clear()
        await asyncio.wait_for(token.ready(), 5)
        assert token.value == "token-1"
        source.gate.set()
        while token.value == "token-1":
            await asyncio.sleep(0.001)
        assert token.value == "token-2"

    asyncio.run(run())


def test_a_token_that_ends_within_a_minute_is_waited_for(source: Source, clock: FixedClock) -> None:
    async def run() -> None:
        token = source.renewed()
        await token.ready()
        clock.advance(3600 - 30)
        await token.ready()
        assert token.value == "token-2"

    asyncio.run(run())


def test_a_token_that_was_refused_is_fetched_anew(source: Source) -> None:
    async def run() -> None:
        token = source.renewed()
        await token.ready()
        token.forget()
        await token.ready()
        assert token.value == "token-2"

    asyncio.run(run())


def test_a_fetch_that_fails_is_told_without_secrets_and_tried_again(source: Source) -> None:
    async def run() -> None:
        token = source.renewed()
        source.fault = OSError("refused hidden-secret")
        with pytest.raises(ModelError) as caught:
            await token.ready()
        assert "hidden-secret" not in str(caught.value)
        assert caught.value.__cause__ is None
        source.fault = None
        await token.ready()
        assert token.value == "token-2"

    asyncio.run(run())


def test_a_caller_who_leaves_does_not_end_the_fetch_of_the_others(source: Source) -> None:
    async def run() -> None:
        token = source.renewed()
        source.gate.clear()
        first, second = asyncio.create_task(token.ready()), asyncio.create_task(token.ready())
        await asyncio.sleep(0.01)
        first.cancel()
        source.gate.set()
        await second
        assert (token.value, source.count) == ("token-1", 1)
        await token.close()

    asyncio.run(run())


def test_entra_is_asked_with_the_default_chain(
    provide: Callable[..., Provider], monkeypatch: pytest.MonkeyPatch, clock: FixedClock
) -> None:
    import azure.identity

    asked: list[str] = []

    class Chain:
        def get_token(self, scope: str) -> Any:
            asked.append(scope)
            return SimpleNamespace(token=f"entra-{len(asked)}", expires_on=int(clock.now().timestamp()) + 3600)

    monkeypatch.setattr(azure.identity, "DefaultAzureCredential", Chain)
    provider = provide("azure_open_ai", auth_mode="entra", api_base="https://a")

    async def run() -> Outgoing:
        await provider.prepare()
        provider.refused(401, {}, b"")
        await provider.prepare()
        return provider.outgoing("openai.chat", "d", b"{}", stream=False, headers={})

    headers = dict(asyncio.run(run()).headers)

    assert headers["authorization"] == Secret("Bearer entra-2")
    assert "api-key" not in headers
    assert asked == ["https://cognitiveservices.azure.com/.default"] * 2


@pytest.fixture
def token_server() -> Any:
    """Gives out tokens of Google for signed assertions."""
    seen: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.rfile.read(int(self.headers["content-length"])))
            body = json.dumps({"access_token": "google-token", "expires_in": 3600, "token_type": "Bearer"}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield SimpleNamespace(url=f"http://127.0.0.1:{server.server_port}/token", seen=seen)
        server.shutdown()
        thread.join()


def account(url: str) -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return json.dumps(
        {
            "type": "service_account",
            "client_email": "a@p.iam.gserviceaccount.com",
            "private_key_id": "1",
            "private_key": key.private_bytes(*form).decode(),
            "token_uri": url,
        }
    )


def test_a_service_account_of_google_gets_a_token(provide: Callable[..., Provider], token_server: Any) -> None:
    provider = provide("vertex", project="p", service_account=account(token_server.url))

    async def run() -> Outgoing:
        await provider.prepare()
        outgoing = provider.outgoing("gemini.generate", "g", b"{}", stream=False, headers={})
        await provider.aclose()
        return outgoing

    assert dict(asyncio.run(run()).headers)["authorization"] == Secret("Bearer google-token")
    assert b"assertion=" in token_server.seen[0]


def test_a_token_server_that_is_away_is_told(provide: Callable[..., Provider]) -> None:
    provider = provide("vertex", project="p", service_account=account("http://127.0.0.1:9/token"))

    with pytest.raises(ModelError, match="no credential can be had"):
        asyncio.run(provider.prepare())


@pytest.mark.parametrize("text", ["{", "[]", '{"private_key":"PRIVATE"}', "7"])
def test_an_account_that_cannot_be_read_is_refused_without_showing_it(
    provide: Callable[..., Provider], text: str
) -> None:
    with pytest.raises(ConnectionFault) as caught:
        provide("vertex", project="p", service_account=text)
    assert "PRIVATE" not in str(caught.value)
    assert caught.value.__cause__ is None
