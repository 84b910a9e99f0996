"""The client's side of a call: what it is sent, in its own dialect."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from pilothouse.gateway.dialects.errors import error_body, error_event
from pilothouse.gateway.plane.call import Call
from pilothouse.gateway.refusals import Refusal

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_HARMLESS: Final = bytes(byte if 32 <= byte != 127 else 63 for byte in range(256))
_NO_STORE: Final = (b"cache-control", b"no-store")


class Client:
    """Sends one answer.

    Args:
        send: Where its pieces go.
        call: The call.

    Attributes:
        started: Whether anything was sent: then an error can only be told inside the answer.
    """

    __slots__ = ("_call", "_send", "started")

    def __init__(self, send: Send, call: Call) -> None:
        self._send = send
        self._call = call
        self.started = False

    async def whole(self, status: int, content_type: str, body: bytes, *extra: tuple[bytes, bytes]) -> None:
        """Send an answer in one piece."""
        headers = [*self._headers(content_type), (b"content-length", b"%d" % len(body)), *extra]
        self.started = True
        self._call.http_status = status
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})

    async def begin(self, content_type: str, *extra: tuple[bytes, bytes]) -> None:
        """Begin a stream."""
        self.started = True
        # No proxy on the way may hold frames back.
        headers = [*self._headers(content_type), _NO_STORE, (b"x-accel-buffering", b"no"), *extra]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    def piece(self, data: bytes) -> Awaitable[None]:
        """Send a piece of a stream."""
        return self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self) -> None:
        """End a stream."""
        await self._send({"type": "http.response.body", "body": b""})

    async def refuse(self, refusal: Refusal) -> None:
        """Tell an error: as the answer, or as the last event of a stream that has begun."""
        call = self._call
        call.code = refusal.code
        if self.started:
            await self.piece(error_event(call.endpoint.wire, refusal, call.id))
            await self.end()
            return
        extra: list[tuple[bytes, bytes]] = []
        if refusal.retry_after is not None:
            extra.append((b"retry-after", b"%d" % max(1, -int(-refusal.retry_after // 1))))
        await self.whole(
            refusal.status, "application/json", error_body(call.endpoint.dialect, refusal, call.id), *extra
        )

    def _headers(self, content_type: str) -> list[tuple[bytes, bytes]]:
        call = self._call
        found = [
            (b"content-type", _told(content_type)),
            (b"x-pilothouse-call", call.id.encode()),
            (b"x-pilothouse-overhead-us", b"%d" % (call.overhead_ns // 1000)),
            (b"x-pilothouse-config", call.snapshot.version.encode()),
        ]
        if call.deployment is not None:
            found.append((b"x-pilothouse-deployment", _told(call.deployment.id)))
        if call.arm:
            found.append((b"x-pilothouse-arm", _told(f"{call.experiment}:{call.arm}")))
        if call.cache:
            found.append((b"x-pilothouse-cache", call.cache.encode()))
        return found


def _told(text: str) -> bytes:
    """Return a text as the value of a header, which no letter in it can end."""
    return text.encode("latin-1", "replace").translate(_HARMLESS)
