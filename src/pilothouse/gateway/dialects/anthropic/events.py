"""Events of a stream of Anthropic's form, and what watches and reads them."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

from pilothouse.gateway.dialects.anthropic.answers import reason_of
from pilothouse.gateway.dialects.anthropic.usage import WireUsage
from pilothouse.gateway.dialects.frames import FrameCutter, StreamError, data_of, gathered
from pilothouse.gateway.dialects.meters import Meter, size_of
from pilothouse.gateway.dialects.reading import read_as
from pilothouse.models.types import ChatChunk, ToolCallDelta, Usage


class _Message(Struct):
    id: str = ""
    model: str = ""
    usage: WireUsage | None = None


class _Block(Struct):
    type: str = ""
    id: str = ""
    name: str = ""
    text: str = ""
    data: str = ""
    input: Any = None


class _Delta(Struct):
    type: str = ""
    text: str = ""
    partial_json: str = ""
    thinking: str = ""
    signature: str = ""
    stop_reason: str | None = None
    stop_sequence: str | None = None


class _Error(Struct):
    type: str = ""
    message: str = ""


class _Event(Struct):
    type: str
    index: int = 0
    message: _Message | None = None
    content_block: _Block | None = None
    delta: _Delta | None = None
    usage: WireUsage | None = None
    error: _Error | None = None


_events: Final = msgspec.json.Decoder(_Event)


def _event(payload: bytes) -> _Event:
    return read_as(_events, payload, "an event of the stream")


def _words(event: _Event) -> str:
    error = event.error or _Error()
    return (error.message or error.type or "the upstream reported an error without words")[:500]


class MessagesMeter(Meter):
    """Watches a passing stream."""

    usage: Usage | None

    def __init__(self) -> None:
        super().__init__()
        self._counts: WireUsage | None = None

    def _see(self, payload: bytes) -> bool:
        event = _event(payload)
        delta = event.delta
        if event.type == "content_block_delta" and delta is not None:
            text = delta.text or delta.partial_json or delta.thinking
            if text:
                self.text_bytes += size_of(text)
                self.pieces += 1
        elif event.type == "content_block_start" and event.content_block is not None:
            self.in_tool_call = event.content_block.type.endswith("tool_use")
        elif event.type == "content_block_stop":
            self.in_tool_call = False
        elif event.type == "message_start" and event.message is not None:
            self.model = event.message.model
            counts = event.message.usage
            if counts is not None:
                # What is written is not known yet: the few tokens told here would pass for the whole after a cut.
                counts.output_tokens = None
            self._count(counts)
        elif event.type == "message_delta":
            self._count(event.usage)
        elif event.type == "message_stop":
            self.is_finished = True
        elif event.type == "error":
            self.error = _words(event)
            return False
        return True

    def _count(self, counts: WireUsage | None) -> None:
        if counts is not None:
            self._counts = counts.after(self._counts)
            self.usage = self._counts.usage()


class MessagesReader:
    """Reads a stream."""

    def __init__(self) -> None:
        self._cutter = FrameCutter()
        self._is_done = False
        self._counts: WireUsage | None = None
        self._calls: dict[int, int] = {}
        self._head = _Message()

    def feed(self, data: bytes) -> list[ChatChunk]:
        """Return what the bytes complete.

        Raises:
            ValueError: for what is no such stream, or for an error that the upstream reports in it.
        """
        payloads = (data_of(event) for event in self._cutter.cut(data))
        return gathered(self._read(_event(payload)) for payload in payloads if payload)

    def finish(self) -> bool:
        """Tell whether the answer was whole."""
        return self._is_done

    def _read(self, event: _Event) -> list[ChatChunk]:
        if event.type == "content_block_delta" and event.delta is not None:
            return self._delta(event.index, event.delta)
        if event.type == "content_block_start" and event.content_block is not None:
            return self._start(event.index, event.content_block)
        if event.type == "message_start" and event.message is not None:
            self._head = event.message
            self._counts = event.message.usage
            return [ChatChunk(role="assistant", id=self._head.id, model=self._head.model)]
        if event.type == "message_delta":
            return self._end(event)
        if event.type == "message_stop":
            self._is_done = True
        if event.type == "error":
            raise StreamError(_words(event))
        return []

    def _start(self, index: int, block: _Block) -> list[ChatChunk]:
        if block.type == "tool_use":
            place = self._calls[index] = len(self._calls)
            # Some servers send the whole input here and no pieces of it.
            given = msgspec.json.encode(block.input).decode() if block.input else ""
            return [ChatChunk(tool_calls=(ToolCallDelta(index=place, id=block.id, name=block.name, arguments=given),))]
        if block.type == "redacted_thinking":
            return [ChatChunk(hidden=block.data)]
        if block.type not in {"text", "thinking"}:
            raise ValueError(f"a block of the kind {block.type!r} cannot be translated")
        return [ChatChunk(text=block.text)] if block.text else []

    def _delta(self, index: int, delta: _Delta) -> list[ChatChunk]:
        if delta.type == "text_delta":
            return [ChatChunk(text=delta.text)]
        if delta.type == "input_json_delta":
            call = ToolCallDelta(index=self._calls.get(index, 0), arguments=delta.partial_json)
            return [ChatChunk(tool_calls=(call,))] if delta.partial_json else []
        if delta.type == "thinking_delta":
            return [ChatChunk(reasoning=delta.thinking)]
        if delta.type == "signature_delta":
            return [ChatChunk(signature=delta.signature)]
        return []

    def _end(self, event: _Event) -> list[ChatChunk]:
        if event.usage is not None:
            self._counts = event.usage.after(self._counts)
        delta = event.delta or _Delta()
        return [
            ChatChunk(
                finish_reason=reason_of(delta.stop_reason),
                stop_sequence=delta.stop_sequence,
                usage=self._counts.usage() if self._counts else None,
                id=self._head.id,
                model=self._head.model,
            )
        ]
