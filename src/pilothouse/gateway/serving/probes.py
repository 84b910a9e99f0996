"""What those who watch a gateway ask: whether it lives, whether it is ready, what it counted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

from pilothouse.gateway.assembly import Gateway

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class ProbedGateway:
    """The gateway's application with `/healthz`, `/readyz` and `/metrics`.

    Args:
        gateway: The gateway.
        exposition: Returns all figures, of every process where there are several.
    """

    def __init__(self, gateway: Gateway, exposition: Callable[[], bytes]) -> None:
        self._gateway = gateway
        self._exposition = exposition

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        path: str = scope["path"]
        if path.startswith("/v1/"):
            await self._gateway.plane(scope, receive, send)
        elif path == "/healthz":
            await _answer(send, 200, b'{"status":"alive"}', "application/json")
        elif path == "/readyz":
            await self._ready(send)
        elif path == "/metrics":
            await _answer(send, 200, self._exposition(), "text/plain; version=0.0.4; charset=utf-8")
        else:
            await self._gateway.plane(scope, receive, send)

    async def _ready(self, send: Send) -> None:
        gateway = self._gateway
        body = {
            "status": "ready" if gateway.is_taking else "draining" if gateway.is_leaving else "not ready",
            "config": gateway.plane.snapshot.version,
            "routes": len(gateway.table.routes) + len(gateway.table.open_routes),
            "in_flight": gateway.plane.in_flight,
            "faults": sorted(gateway.faults),
        }
        await _answer(send, 200 if gateway.is_taking else 503, msgspec.json.encode(body), "application/json")


async def _answer(send: Send, status: int, body: bytes, content_type: str) -> None:
    headers = [(b"content-type", content_type.encode()), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
