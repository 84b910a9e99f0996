"""What all meters of passing streams share: whole events out, few of them decoded further than a glance."""

from __future__ import annotations

from typing import Final

from pilothouse.gateway.dialects.frames import FrameCutter, data_of
from pilothouse.models.types import Usage

_OPENING: Final = 3
"""Events before the first piece of an answer: who speaks, that a block begins, a sign of life."""


class Meter:
    """Watches a stream that passes; a form says in ``_see`` what its events mean.

    An error that the upstream reports inside its stream ends what is handed on: the events before it still are, the
    error itself is not, for it is told in the gateway's own words.

    Attributes:
        usage: See ``Relay``, as for all here.
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
        self._events = 0

    @property
    def deltas(self) -> int:
        """Pieces of answer text so far: all events but the first, which names the speaker."""
        return max(self._events - 1, 0) if self.text_bytes else 0

    @property
    def has_begun(self) -> bool:
        """Whether there is text, a tool call, or more events than any form opens an answer with."""
        return self.text_bytes > 0 or self.in_tool_call or self._events > _OPENING

    def feed(self, data: bytes) -> bytes:
        """Take bytes as they came and return whole events.

        Raises:
            ValueError: for what is no stream of this form.
        """
        if self.error:
            return b""
        payload = self._cutter.whole(data)
        if payload is not None:
            if not self._see(payload):
                return b""
            self._events += 1
            return data
        passed = [event for event in self._cutter.cut(data) if self._passes(event)]
        self._events += len(passed)
        return b"".join(passed)

    def finish(self) -> bytes:
        """Return nothing: the upstream wrote its own end."""
        return b""

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
