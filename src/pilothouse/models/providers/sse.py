"""Server-sent events, parsed from pieces of any size (the WHATWG grammar, data lines only)."""

from __future__ import annotations

MAX_EVENT = 32 << 20
"""Bytes of one event; beyond that the stream is broken or hostile."""


class EventTooLong(ValueError):
    """An event without an end."""


class EventParser:
    """Turns bytes as they arrive into the data of whole events.

    Lines end in LF, CRLF or CR, also where the CR and the LF arrive in different pieces; comments and other fields
    are skipped; several data lines make one event.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._size = 0
        self._started = False

    def feed(self, piece: bytes) -> list[str]:
        """Take a piece and return the data of the events that it completes.

        Raises:
            EventTooLong: when an event passes ``MAX_EVENT``.
        """
        buffer = self._rest + piece
        if not self._started and len(buffer) >= 3:
            buffer = buffer.removeprefix(b"\xef\xbb\xbf")
            self._started = True
        # A CR at the end may be the first half of a CRLF: it waits for the next piece.
        held = b"\r" if buffer.endswith(b"\r") else b""
        lines = buffer.removesuffix(held).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest = lines.pop() + held
        events = [event for line in lines if (event := self._line(line)) is not None]
        if self._size + len(self._rest) > MAX_EVENT:
            raise EventTooLong(f"an event is longer than {MAX_EVENT} bytes")
        return events

    def finish(self) -> tuple[list[str], bool]:
        """Return the last events, ended by the end of the stream, and whether it broke off inside one.

        A server that omits the last blank line is forgiven; a line without its end is not.
        """
        if self._rest.endswith(b"\r"):
            self._line(self._rest[:-1])
            self._rest = b""
        torn = bool(self._rest)
        last = None if torn else self._line(b"")
        return ([last] if last is not None else []), torn

    def _line(self, line: bytes) -> str | None:
        if not line:
            if not self._data:
                return None
            event = b"\n".join(self._data).decode("utf-8", errors="replace")
            self._data.clear()
            self._size = 0
            return event
        if line.startswith(b"data"):
            name, _, value = line.partition(b":")
            if name == b"data":
                self._data.append(value.removeprefix(b" "))
                self._size += len(value)
        return None
