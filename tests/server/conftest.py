"""A client that speaks ASGI to the API of a project."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import pytest

from pilothouse.access.keys.service import KeyService
from pilothouse.access.keys.types import KeyDraft
from pilothouse.server.api import build


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    @property
    def code(self) -> str:
        return self.body["error"]["code"]


class Client:
    """Asks an ASGI application, as from the loopback unless told otherwise."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.address = ("127.0.0.1", 50000)

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        given = {"host": "127.0.0.1:4000", **(headers or {})}
        if token is not None:
            given["authorization"] = f"Bearer {token}"
        parts = urlsplit(path)
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        if data and "content-type" not in given:
            given["content-type"] = "application/json"
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": parts.path,
            "raw_path": quote(parts.path).encode(),
            "query_string": parts.query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in given.items()],
            "client": self.address,
            "server": ("127.0.0.1", 4000),
        }
        return asyncio.run(self._ask(scope, data))

    async def _ask(self, scope: dict[str, Any], data: bytes) -> Answer:
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": data, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        head = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Answer(sent[0]["status"], head, b"".join(message.get("body", b"") for message in sent[1:]))


@pytest.fixture
def keys(services: Any) -> KeyService:
    return services.get(KeyService)


@pytest.fixture
def api(services: Any) -> Client:
    return Client(build(services, "127.0.0.1"))


@pytest.fixture
def make(keys: KeyService) -> Callable[..., str]:
    """Make a key and return its secret."""

    def made(name: str, **draft: Any) -> str:
        return keys.create(KeyDraft(name=name, **draft)).secret.reveal()

    return made
