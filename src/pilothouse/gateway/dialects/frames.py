"""Server-sent events as bytes: cut at their ends without changing them, read, and written."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from pilothouse.models.types import ChatChunk

MAX_EVENT: Final = 16 << 20
"""Bytes of one event; beyond that the stream is broken or hostile."""

_END: Final = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r(?!\n))")
_FIELDS: Final = (b"data", b"event", b"id", b"retry", b":")


class StreamError(ValueError):
    """An error that the upstream reported inside its stream, in its words.

    Attributes:
        before: What the same bytes held before it.
    """

    before: tuple[ChatChunk, ...] = ()


def gathered(parts: Iterable[Iterable[ChatChunk]]) -> list[ChatChunk]:
    """Return the chunks of all events.

    Raises:
        StreamError: where an event reports an error, with the chunks before it.
    """
    chunks: list[ChatChunk] = []
    try:
        for part in parts:
            chunks.extend(part)
    except StreamError as error:
        error.before = tuple(chunks)
        raise
    return chunks


class FrameCutter:
    """Cuts bytes, as they come, into whole events; together these are the bytes that came.

    Lines end in LF, CRLF or CR, wherever the pieces are cut.
    """

    def __init__(self) -> None:
        self._rest = bytearray()
        self._is_begun = False

    def whole(self, data: bytes) -> bytes | None:
        """Return the data where the bytes are one whole plain event, as most are: a glance, nothing is kept."""
        if not self._is_begun or self._rest or b"\r" in data or not data.endswith(b"\n\n"):
            return None
        if data.startswith(b"data: "):
            return data[6:-2] if data.find(b"\n") == len(data) - 2 else None
        line = data.find(b"\n")
        if data.startswith(b"event: ") and data.startswith(b"data: ", line + 1):
            return data[line + 7 : -2] if data.find(b"\n", line + 1) == len(data) - 2 else None
        return None

    def cut(self, data: bytes) -> list[bytes]:
        """Return the events that the bytes complete, their blank lines included.

        Raises:
            ValueError: for what is no stream of events, or an event beyond ``MAX_EVENT``.
        """
        rest = self._rest
        if rest:
            # Only the seam and the new bytes can hold an end: a long event is not searched again and again.
            if not _END.search(bytes(rest[-3:]) + data) and len(rest) + len(data) <= MAX_EVENT:
                rest += data
                self._begin(bytes(rest[:64]))
                return []
            data = bytes(rest) + data
            rest.clear()
        if not self._is_begun:
            self._begin(data[:64])
        events = _with_returns(data) if b"\r" in data else _plain(data)
        rest += events.pop()
        if len(rest) > MAX_EVENT:
            raise ValueError(f"an event of the stream is longer than {MAX_EVENT} bytes")
        return events

    def _begin(self, start: bytes) -> None:
        """Refuse a page or an object in place of a stream, before the end of an event that it may never have."""
        if self._is_begun:
            return
        start = start.removeprefix(b"\xef\xbb\xbf").lstrip()
        if len(start) < 5:
            if start[:1] in {b"<", b"{", b"["}:
                raise ValueError("the answer is no stream of events: it begins with " + ascii(start.decode("latin-1")))
            return
        if not start.startswith(_FIELDS):
            shown = ascii(start.decode("latin-1"))
            raise ValueError(f"the answer is no stream of events: it begins with {shown}")
        self._is_begun = True


def _plain(data: bytes) -> list[bytes]:
    pieces = data.split(b"\n\n")
    last = pieces.pop()
    events = [piece + b"\n\n" for piece in pieces]
    events.append(last)
    return events


def _with_returns(data: bytes) -> list[bytes]:
    # A CR at the end may be the first half of a CRLF, unless it ends a blank line by itself.
    held = b"\r" if data.endswith(b"\r") and not data.endswith(b"\r\r") else b""
    data = data.removesuffix(held)
    events: list[bytes] = []
    begin = 0
    for match in _END.finditer(data):
        events.append(data[begin : match.end()])
        begin = match.end()
    events.append(data[begin:] + held)
    return events


def data_of(event: bytes) -> bytes | None:
    """Return the data of an event; None where it has none, as of a comment.

    Raises:
        ValueError: for a line that belongs to no event.
    """
    if event.startswith(b"data: "):
        payload = event[6:].rstrip(b"\r\n")
        if b"\n" not in payload and b"\r" not in payload:
            return payload
    found: list[bytes] = []
    for line in event.replace(b"\r\n", b"\n").replace(b"\r", b"\n").removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        if line.startswith(b"data:"):
            found.append(line[5:].removeprefix(b" "))
        elif line and line.partition(b":")[0] not in {b"", b"data", b"event", b"id", b"retry"}:
            raise ValueError(f"the stream holds a line that belongs to no event: {line[:64].decode('latin-1')!a}")
    return b"\n".join(found) if found else None


def write_event(data: bytes, name: str = "") -> bytes:
    """Return one event; ``data`` is JSON on one line."""
    if name:
        return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"
    return b"data: " + data + b"\n\n"
