"""Bytes to a gateway and back, over a bare socket: nothing between the test and the wire repairs a request."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterable
from typing import Any, NamedTuple

PATIENCE = 20.0
"""Seconds after which a gateway that says nothing hangs."""


class Reply(NamedTuple):
    """An answer as it came.

    Attributes:
        status: HTTP status; 0 where the connection ended without an answer.
        headers: Lower-case names.
        body: Without the framing of its transfer.
    """

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The stable code of an error in any dialect."""
        return self.json["error"]["code"]


class Wire:
    """One connection."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._reader = self.socket.makefile("rb")

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._reader.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Write; a peer that has closed is met when reading."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)

    def line(self) -> bytes:
        try:
            return self._reader.readline()
        except ConnectionResetError:
            return b""

    def reply(self, *, head: bool = False) -> Reply:
        """Read one answer; `head` where it has no body whatever it says."""
        first = self.line().split(b" ")
        if len(first) < 2:
            return Reply(0, {}, b"")
        headers: dict[str, str] = {}
        while line := self.line().rstrip(b"\r\n"):
            name, _, value = line.partition(b":")
            assert name.decode().lower() not in headers, f"{name!r} twice"
            headers[name.decode().lower()] = value.strip().decode("latin-1")
        status = int(first[1])
        if head or status < 200:
            return Reply(status, headers, b"")
        if headers.get("transfer-encoding") == "chunked":
            return Reply(status, headers, b"".join(self._chunks()))
        if "content-length" in headers:
            return Reply(status, headers, self._reader.read(int(headers["content-length"])))
        return Reply(status, headers, self._reader.read())

    def is_closed(self) -> bool:
        """Wait for the other side's end; False where it says something instead."""
        try:
            return self._reader.read(1) == b""
        except ConnectionResetError:
            return True

    def finish(self) -> None:
        """Say that nothing more will be sent."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def rest(self, most: int = -1) -> bytes:
        """Read until the other side ends, or so many bytes."""
        try:
            return self._reader.read(most)
        except ConnectionResetError:
            return b""

    def _chunks(self) -> Iterable[bytes]:
        while size := int(self.line() or b"0", 16):
            yield self._reader.read(size)
            self.line()
        self.line()


def request(
    method: str = "POST",
    path: str = "/v1/chat/completions",
    body: bytes | object = None,
    *,
    key: str = "",
    headers: Iterable[tuple[str, str | bytes]] = (),
    version: str = "1.1",
    length: int | None = None,
) -> bytes:
    """Return the bytes of a request; `body` is sent as JSON where it is not bytes."""
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    given: list[tuple[str, str | bytes]] = [("Host", "localhost"), *headers]
    if key:
        given.append(("Authorization", f"Bearer {key}"))
    names = {name.lower() for name, _ in given}
    if (data or length is not None) and not names & {"content-length", "transfer-encoding"}:
        given.append(("Content-Length", str(len(data) if length is None else length)))
    lines = [f"{method} {path} HTTP/{version}".encode()]
    lines += [name.encode() + b": " + (value if isinstance(value, bytes) else value.encode()) for name, value in given]
    return b"\r\n".join(lines) + b"\r\n\r\n" + data


def ask(port: int, data: bytes, *, head: bool = False) -> Reply:
    """Send bytes over a connection of their own and read one answer."""
    with Wire(port) as wire:
        wire.send(data)
        return wire.reply(head=head)


def chunked(pieces: Iterable[bytes]) -> bytes:
    """Return pieces framed for `Transfer-Encoding: chunked`."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
