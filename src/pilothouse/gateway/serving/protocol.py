"""One client connection: uvicorn's protocol, with bounded heads, a deadline for slow ones, and word of clients that go.

uvicorn takes heads of any length and waits for them for ever; both are bounded here.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from pilothouse.gateway.plane.app import DISCONNECT, RECEIVED

MOST_HEAD: Final = 65_536
"""Bytes of the longest head of a request."""

MOST_HEADERS: Final = 128

MOST_UNREAD: Final = 65_536
"""Bytes that may come without being a part of anything, such as a header that does not end."""

_EXTENSIONS: Final[dict[str, Any]] = {DISCONNECT: {}}
_TOO_LARGE: Final = (
    b'{"error":{"message":"the head of the request is longer than 65,536 bytes or 128 headers",'
    b'"type":"invalid_request_error","param":null,"code":"headers_too_large"}}'
)
_TOO_SLOW: Final = (
    b'{"error":{"message":"the head of the request did not come in time",'
    b'"type":"invalid_request_error","param":null,"code":"body_timeout"}}'
)
_MALFORMED: Final = (
    b'{"error":{"message":"this is not a request of HTTP/1.1",'
    b'"type":"invalid_request_error","param":null,"code":"invalid_request"}}'
)


def _forget(_kind: str) -> None:
    """Count nothing."""


class HeadJoiner:
    """A transport that holds the head of an answer until its first bytes: both leave in one segment."""

    __slots__ = ("_head", "_transport", "close", "get_extra_info", "is_closing", "pause_reading", "resume_reading")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""
        self.close = transport.close
        self.get_extra_info = transport.get_extra_info
        self.is_closing = transport.is_closing
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write, or wait for what belongs to it."""
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 100 "):
            self._head = data
            return
        self._transport.write(data)

    def flush(self) -> None:
        """Write what was held."""
        if self._head:
            data, self._head = self._head, b""
            self._transport.write(data)


def _until_close(cycle: RequestResponseCycle) -> Callable[[Any], Awaitable[None]]:
    """Return how to answer a client that knows no chunks: what has no length ends with the connection."""
    send = cycle.send
    is_endless = False

    async def sent(message: Any) -> None:
        nonlocal is_endless
        if message["type"] == "http.response.start":
            is_endless = all(name != b"content-length" for name, _ in message["headers"])
            if is_endless:
                cycle.chunked_encoding = False
        elif is_endless:
            cycle.expected_content_length = len(message.get("body", b""))
        await send(message)

    return sent


class GatewayProtocol(HttpToolsProtocol):
    """Closes connections whose head does not come in time or is too long; tells calls of clients that went away."""

    head_timeout = 15.0
    incident: Callable[[str], None] = staticmethod(_forget)
    _deadline: asyncio.TimerHandle | None = None
    _head = 0
    _unread = 0
    _is_coming = False
    _running: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        found = transport.get_extra_info("socket")
        if found is not None and found.family in (socket.AF_INET, socket.AF_INET6):
            # Frames are small: none may wait for the client to acknowledge the one before.
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._joiner = HeadJoiner(transport)
        super().connection_made(self._joiner)  # type: ignore[arg-type]
        self._deadline = self.loop.call_later(self.head_timeout, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the call under way, if there is one."""
        self._stop_waiting()
        super().connection_lost(exc)
        # Not the newest request, which may stand behind the one that is being answered.
        cycle = self._running
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
            gone = cycle.scope.get("pilothouse.gone")
            if gone is not None:
                gone()
        while self.pipeline:  # requests behind it that nobody waits for any more
            self.pipeline.pop()

    def data_received(self, data: bytes) -> None:
        """Take bytes; too many that are no part of anything end the connection."""
        self._unread += len(data)
        super().data_received(data)
        if self._unread > MOST_UNREAD:
            self._refuse("headers_too_large", b"431 Request Header Fields Too Large", _TOO_LARGE)

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._head = 0
        self._is_coming = True
        self.scope["extensions"] = _EXTENSIONS  # type: ignore[typeddict-item]
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.head_timeout, self._too_slow)

    def on_url(self, url: bytes) -> None:
        """Take a part of the address."""
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        super().on_header(name, value)
        self._count(len(name) + len(value))

    def on_headers_complete(self) -> None:
        """Begin to answer."""
        self._unread = 0
        self._stop_waiting()
        super().on_headers_complete()
        if self.scope["http_version"] != "1.1":
            self.cycle.send = _until_close(self.cycle)  # type: ignore[method-assign]

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        self._unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Take the end of a request."""
        self._unread = 0
        self._is_coming = False
        self._stop_waiting()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Send what is left of the answer; whoever was refused may not go on sending for ever."""
        self._joiner.flush()
        if self._is_coming and self.cycle.response_complete and not self.transport.is_closing():
            if self.expect_100_continue:
                # What comes next may be the body or another request: nobody can tell.
                self.transport.close()
            elif self._deadline is None:
                self._deadline = self.loop.call_later(self.head_timeout, self.transport.close)
        super().on_response_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        cycle.scope[RECEIVED] = cycle  # type: ignore[typeddict-unknown-key]
        super()._start_asgi_task(cycle, app)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no request."""
        self._refuse("malformed_request", b"400 Bad Request", _MALFORMED)

    def _count(self, size: int) -> None:
        self._head += size
        if self._head > MOST_HEAD or len(self.headers) > MOST_HEADERS:
            self._refuse("headers_too_large", b"431 Request Header Fields Too Large", _TOO_LARGE)
            raise ValueError("the head is too long")

    def _too_slow(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self._refuse("slow_head", b"408 Request Timeout", _TOO_SLOW)

    def _refuse(self, kind: str, status: bytes, body: bytes) -> None:
        if self.transport.is_closing():
            return
        self.incident(kind)
        head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self._joiner.flush()
        self._joiner.write(head % (status, len(body)) + body)
        self._joiner.flush()
        self.transport.close()

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
