"""What all meters of passing streams share: whole events out, few of them decoded further than a glance."""

from __future__ import annotations

from pilothouse.gateway.dialects.frames import FrameCutter, data_of
from pilothouse.models.types import Usage


class Meter:
    """Watches a stream that passes; a form says in ``_see`` what its events mean.

    An error that the upstream reports inside its stream ends what is handed on: the events before it still are, the
    error itself is not, for it is told in the gateway's own words.

    Attributes:
        usage: See ``StreamMeter``, as for all here.
        model: The answer's model.
        is_finished: Whether the answer is whole.
        in_tool_call: Whether a tool call is open.
        text_bytes: Bytes of text so far.
        pieces: Events that held text, each a token at least.
        error: What the upstream reported as an error inside the stream; empty for none.
    """

    usage: Usage | None

    def __init__(self) -> None:
        self.usage = None
        self.model = ""
        self.is_finished = False
        self.in_tool_call = False
        self.text_bytes = 0
        self.pieces = 0
        self.error = ""
        self._cutter = FrameCutter()

    def feed(self, data: bytes) -> bytes:
        """Take bytes as they came and return whole events.

        Raises:
            ValueError: for what is no stream of this form.
        """
        if self.error:
            return b""
        payload = self._cutter.whole(data)
        if payload is not None:
            return data if self._see(payload) else b""
        events = self._cutter.cut(data)
        if len(events) == 1:
            return events[0] if self._passes(events[0]) else b""
        return b"".join([event for event in events if self._passes(event)])

    def _passes(self, event: bytes) -> bool:
        if self.error:
            return False
        payload = data_of(event)
        return payload is None or self._see(payload)

    def _see(self, payload: bytes) -> bool:
        """Take note of the data of one event; False leaves the event out."""
        raise AssertionError(payload)


def size_of(text: object) -> int:
    """Return the bytes of a text; 0 for anything else."""
    if not isinstance(text, str):
        return 0
    return len(text) if text.isascii() else len(text.encode())
