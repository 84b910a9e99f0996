"""The mock's HTTP: a bare asyncio protocol, several times cheaper than what it measures."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import httptools
import msgspec

from .bill import Line, Used
from .endpoints import Request, Served, faulty

if TYPE_CHECKING:
    from .upstream import MockUpstream

REASONS = {200: b"OK", 400: b"Bad Request", 401: b"Unauthorized", 404: b"Not Found", 429: b"Too Many Requests"}


class MockProtocol(asyncio.Protocol):
    """One connection of a client; requests are answered one after the other."""

    def __init__(self, mock: MockUpstream) -> None:
        self._mock = mock
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._stream: _Stream | None = None
        self._waiting: asyncio.TimerHandle | None = None
        self._held: Line | None = None
        self._new()

    def _new(self) -> None:
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._parts: list[bytes] = []

    # asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._mock.connections.add(self._transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._mock.connections.discard(self._transport)
        self._transport = None
        if self._waiting is not None:
            self._waiting.cancel()
        if self._stream is not None:
            self._stream.abandoned()
        if self._held is not None:
            self._mock.bill.close(self._held, "aborted", None)

    # httptools

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))
        if name.lower() == b"expect":
            self._write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)

    def on_message_complete(self) -> None:
        request = Request(
            method=self._parser.get_method().decode(),
            path=self._url.decode("latin-1"),
            headers=dict(self._headers),
            body=b"".join(self._parts),
        )
        self._new()
        served = self._mock.serve(request)
        self._held = served.line
        if served.behaviour.first and served.status == 200:
            loop = asyncio.get_running_loop()
            self._waiting = loop.call_later(served.behaviour.first, self._answer, served)
        else:
            self._answer(served)

    # answers

    def _answer(self, served: Served) -> None:
        """Write an answer, or do what the fault wants."""
        self._waiting = None
        told, made, line = served.behaviour, served.plan, served.line
        fault = told.fault
        if fault == "hang" and told.at is None:
            return
        if fault == "disconnect":
            self._close_line(line, "fault", None)
            self._end()
        elif made.frames is not None and served.status == 200:
            self._held = None
            self._stream = _Stream(self, self._mock, served)
            self._stream.begin()
        elif fault == "slow":
            self._drip(head(served, len(made.body)) + made.body, served)
        else:
            promised = len(made.body) + (100 if fault == "lielength" else 0)
            whole = head(served, promised) + made.body
            if fault in {"cut", "hang"}:
                whole = whole[: len(whole) - len(made.body) // 2]
            self._write(whole)
            if fault != "hang":
                ended = "fault" if served.status != 200 else "cut" if fault == "cut" else "served"
                self._close_line(line, ended, None if ended != "served" else made.used)
            if fault in {"cut", "lielength"}:
                self._end()

    def _drip(self, whole: bytes, served: Served) -> None:
        """Write an answer in 16 parts."""
        size = max(1, -(-len(whole) // 16))
        parts = [whole[start : start + size] for start in range(0, len(whole), size)]
        loop = asyncio.get_running_loop()
        pause = served.behaviour.pace or 0.005

        def step(number: int) -> None:
            self._write(parts[number])
            if number + 1 < len(parts):
                self._waiting = loop.call_later(pause, step, number + 1)
            else:
                self._close_line(served.line, "served", served.plan.used)

        step(0)

    def _close_line(self, line: Line | None, status: str, used: Used | None) -> None:
        self._held = None
        if line is not None:
            self._mock.bill.close(line, status, used)  # type: ignore[arg-type]

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _end(self) -> None:
        if self._transport is not None:
            self._transport.close()


class _Stream:
    """One streamed answer: its frames at their times, which do not drift."""

    def __init__(self, connection: MockProtocol, mock: MockUpstream, served: Served) -> None:
        assert served.plan.frames is not None
        self._connection = connection
        self._mock = mock
        self._served = served
        self._line = served.line
        self._told = served.behaviour
        self._frames, self._ending = faulty(served)
        self._pace = self._told.pace or (0.005 if self._told.fault == "slow" else 0.0)
        self._next = 0
        self._tokens = 0
        self._handle: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time()

    def begin(self) -> None:
        """Write the head and what is due at once."""
        self._step(head(self._served, None if self._told.fault != "lielength" else 1_000_000))

    def _step(self, before: bytes = b"") -> None:
        """Write up to the next frame that holds a token, and plan the one after it."""
        out = [before]
        frames, pace = self._frames, self._pace
        chunked = self._told.fault != "lielength"
        slow = self._told.fault == "slow"
        first = self._next
        while self._next < len(frames):
            text, tokens = frames[self._next]
            self._next += 1
            self._tokens += tokens
            out.append(b"%x\r\n%b\r\n" % (len(text), text) if chunked and text else text)
            if pace and (tokens or slow):
                break
        self._mock.bill.sent(self._next - first)
        if self._next < len(frames):
            self._connection._write(b"".join(out))
            self._due += pace
            self._handle = self._loop.call_at(self._due, self._step)
            return
        if self._ending == "end" and chunked:
            out.append(b"0\r\n\r\n")
        self._connection._write(b"".join(out))
        if self._ending == "hang":
            return
        self._finish("served" if self._ending == "end" else "cut")
        if self._ending == "cut" or not chunked:
            self._connection._end()

    def abandoned(self) -> None:
        """The client went away."""
        if self._handle is not None:
            self._handle.cancel()
        self._finish("aborted")

    def _finish(self, status: str) -> None:
        self._connection._stream = None
        used = self._served.plan.used
        if status != "served":
            used = partly(used, self._tokens, self._served.plan.thoughts)
        self._mock.bill.close(self._line, status, used)  # type: ignore[union-attr,arg-type]


def partly(used: Used, tokens: int, thoughts: int) -> Used:
    """Return what is charged where only so many tokens were sent: all that was read, and those."""
    return msgspec.structs.replace(used, output=tokens, reasoning=min(tokens, thoughts), audioout=0)


def head(served: Served, length: int | None) -> bytes:
    """Return the head of an answer; None for the length means chunks."""
    lines = [
        b"HTTP/1.1 %d %b\r\ncontent-type: %b" % (served.status, REASONS.get(served.status, b"Error"), served.plan.media)
    ]
    if served.line is not None:
        lines.append(b"x-request-id: " + served.line.id.encode())
    lines += [name + b": " + value for name, value in served.plan.headers]
    lines.append(b"transfer-encoding: chunked" if length is None else b"content-length: %d" % length)
    return b"\r\n".join(lines) + b"\r\n\r\n"
