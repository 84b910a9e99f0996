"""What stands between an upstream's stream and the client's where no meter does: a translation, or nothing."""

from __future__ import annotations

from pilothouse.gateway.dialects.frames import StreamError
from pilothouse.gateway.dialects.interface import Codec
from pilothouse.models.types import ChatChunk, Usage


class TranslatingRelay:
    """Reads one form and writes another; also a form into itself where the gateway writes the end of the stream.

    Args:
        source: The upstream's form.
        target: The client's form.
        call_id: The answer's id where the upstream gives none.
        model: The model as the client names it.
        include_usage: Whether the client asked for usage in the stream.
        keep_text: Whether the answer's text is kept, so that another upstream can go on with it.
    """

    def __init__(
        self, source: Codec, target: Codec, *, call_id: str, model: str, include_usage: bool, keep_text: bool
    ) -> None:
        self._reader = source.reader()
        self._writer = target.writer(call_id=call_id, model=model, include_usage=include_usage)
        self.usage: Usage | None = None
        self.model = ""
        self.is_finished = False
        self.in_tool_call = False
        self.text_bytes = 0
        self.deltas = 0
        self.text: list[str] | None = [] if keep_text else None
        self.has_tool_calls = False
        self.has_begun = False
        self.error = ""
        self._is_closed = False
        self._before: Usage | None = None

    def feed(self, data: bytes) -> bytes:
        """Return what is to be sent now.

        Raises:
            ValueError: for what is no stream of the form.
        """
        try:
            return b"".join([self._take(chunk) for chunk in self._reader.feed(data)])
        except StreamError as error:
            self.error = str(error)
            return b"".join([self._take(chunk) for chunk in error.before])

    def finish(self) -> bytes:
        """Return the closing events."""
        self.is_finished = self._reader.finish() or self.is_finished
        if self._is_closed or not self.is_finished:
            return b""
        self._is_closed = True
        told = self.usage
        return self._writer.finish(told if told is None or self._before is None else self._before + told)

    def cut(self, reason: str, usage: Usage) -> bytes:
        """Return the closing events of an answer that the gateway ends: ``reason`` is its finish reason."""
        self.usage, self.is_finished, self._is_closed = usage, True, True
        return self._writer.feed(ChatChunk(finish_reason=reason)) + self._writer.finish(usage)

    def hold(self, usage: Usage) -> None:
        """Have the client told of all that was written until now, too; ``usage`` is the next upstream's alone."""
        self._before = usage
        self.usage = None

    def continue_with(self, source: Codec) -> None:
        """Go on with the stream of another upstream, whose form may be another."""
        self._reader = source.reader()
        self.is_finished = self.has_begun = False
        self.error = ""

    @property
    def pieces(self) -> int:
        """Pieces of answer text so far."""
        return self.deltas

    def _take(self, chunk: ChatChunk) -> bytes:
        if chunk.usage is not None:
            self.usage = chunk.usage
        self.model = self.model or chunk.model
        if chunk.text:
            self.text_bytes += len(chunk.text.encode())
            self.deltas += 1
            if self.text is not None:
                self.text.append(chunk.text)
        if chunk.tool_calls:
            self.in_tool_call = self.has_tool_calls = True
            self.deltas += 1
        if chunk.finish_reason:
            self.in_tool_call = False
            self.is_finished = True
        if chunk.text or chunk.tool_calls or chunk.finish_reason or chunk.reasoning or chunk.refusal:
            self.has_begun = True
        return self._writer.feed(chunk)


class RawRelay:
    """Passes bytes that nobody looks at, such as sound; finished when the upstream says so by its framing."""

    usage: Usage | None = None
    model = ""
    is_finished = True
    in_tool_call = False
    text_bytes = 0
    deltas = 0
    pieces = 0
    has_begun = True
    error = ""

    def feed(self, data: bytes) -> bytes:
        """Return the bytes."""
        return data

    def finish(self) -> bytes:
        """Return nothing."""
        return b""
