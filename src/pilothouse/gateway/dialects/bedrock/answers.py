"""Answers of Amazon's Bedrock, whole and streamed, as the hub's nouns."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

from pilothouse.gateway.dialects.bedrock.eventstream import Frame, FrameParser
from pilothouse.gateway.dialects.frames import StreamError, gathered
from pilothouse.gateway.dialects.upstream_only import quoted
from pilothouse.models.types import (
    ChatChunk,
    ChatResponse,
    Message,
    Thought,
    ToolCall,
    ToolCallDelta,
    Usage,
)

_FINISH: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}


class _Wire(Struct, rename="camel"):
    """What all have in common: keys are written in camel case, unknown ones are left alone."""


class _CacheDetail(_Wire):
    ttl: str = ""
    input_tokens: int = 0


class _Usage(_Wire):
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_write_input_tokens: int = 0
    cache_details: list[_CacheDetail] = []

    def usage(self) -> Usage:
        """Return it with parts inside their wholes: Amazon counts what went through the cache beside the input."""
        long = min(
            sum(item.input_tokens for item in self.cache_details if item.ttl == "1h"), self.cache_write_input_tokens
        )
        return Usage(
            input_tokens=self.input_tokens + self.cache_read_input_tokens + self.cache_write_input_tokens,
            output_tokens=self.output_tokens,
            cached_input_tokens=self.cache_read_input_tokens,
            cache_write_tokens=self.cache_write_input_tokens - long,
            cache_write_long_tokens=long,
        )


class _ToolUse(_Wire):
    tool_use_id: str = ""
    name: str = ""
    input: Any = None


class _ReasoningText(_Wire):
    text: str = ""
    signature: str = ""


class _Reasoning(_Wire):
    reasoning_text: _ReasoningText | None = None
    redacted_content: str = ""
    text: str = ""
    signature: str = ""


class _Block(_Wire):
    text: str | None = None
    tool_use: _ToolUse | None = None
    reasoning_content: _Reasoning | None = None


class _Message(_Wire):
    content: list[_Block] = []


class _Output(_Wire):
    message: _Message | None = None


class Answer(_Wire):
    """One whole answer."""

    output: _Output | None = None
    stop_reason: str = ""
    usage: _Usage | None = None
    message: str = ""


class _Event(_Wire):
    content_block_index: int = 0
    start: _Block | None = None
    delta: _Block | None = None
    stop_reason: str = ""
    usage: _Usage | None = None
    message: str = ""


_answers = msgspec.json.Decoder(Answer)
_events = msgspec.json.Decoder(_Event)


def decode_response(body: bytes) -> ChatResponse:
    """Read a whole answer.

    Raises:
        ValueError: for what is none.
    """
    try:
        answer = _answers.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"the answer of Bedrock cannot be read ({error}): {quoted(body)}") from None
    if answer.output is None or answer.output.message is None:
        raise ValueError(answer.message or f"the answer of Bedrock holds no message: {quoted(body)}")
    message = _message(answer.output.message.content)
    reason = _finish(answer.stop_reason)
    return ChatResponse(
        message=message,
        finish_reason=reason,
        usage=answer.usage.usage() if answer.usage else None,
        choices=(message,),
        finish_reasons=(reason,),
    )


def _message(blocks: list[_Block]) -> Message:
    thoughts = tuple(_thought(block.reasoning_content) for block in blocks if block.reasoning_content is not None)
    return Message(
        role="assistant",
        content="".join(block.text or "" for block in blocks),
        tool_calls=tuple(
            ToolCall(
                id=block.tool_use.tool_use_id,
                name=block.tool_use.name,
                arguments=msgspec.json.encode(block.tool_use.input or {}).decode(),
            )
            for block in blocks
            if block.tool_use is not None
        ),
        reasoning="".join(thought.text for thought in thoughts) or None,
        thoughts=thoughts,
    )


def _thought(reasoning: _Reasoning) -> Thought:
    spelled = reasoning.reasoning_text or _ReasoningText()
    return Thought(text=spelled.text, signature=spelled.signature, hidden=reasoning.redacted_content)


def _finish(reason: str) -> str | None:
    return _FINISH.get(reason, reason) or None


class BedrockReader:
    """Reads a stream of `converse-stream`."""

    def __init__(self) -> None:
        self._parser = FrameParser()
        self._calls: dict[int, int] = {}
        self._is_stopped = False
        self._has_usage = False

    def feed(self, data: bytes) -> list[ChatChunk]:
        """Return what the bytes complete.

        Raises:
            ValueError: for what is no such stream, or an error that the upstream reports in it.
        """
        return gathered(self._frame(frame) for frame in self._parser.feed(data))

    def finish(self) -> bool:
        """Tell whether the answer was whole: its end came, and its usage."""
        return self._is_stopped and self._has_usage and not self._parser.is_torn

    def _frame(self, frame: Frame) -> list[ChatChunk]:
        headers = frame.headers
        kind = headers.get(":message-type", "event")
        if kind == "error":
            raise StreamError(headers.get(":error-message") or headers.get(":error-code") or "an error without words")
        try:
            event = _events.decode(frame.payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError(f"an event of Bedrock cannot be read ({error}): {quoted(frame.payload)}") from None
        if kind == "exception":
            name = headers.get(":exception-type", "exception")
            raise StreamError(f"{name}: {event.message}" if event.message else name)
        chunk = self._event(headers.get(":event-type", ""), event)
        return [] if chunk is None else [chunk]

    def _event(self, name: str, event: _Event) -> ChatChunk | None:
        if name == "messageStart":
            return ChatChunk(role="assistant")
        if name == "contentBlockStart" and event.start is not None and event.start.tool_use is not None:
            use = event.start.tool_use
            place = self._calls.setdefault(event.content_block_index, len(self._calls))
            return ChatChunk(tool_calls=(ToolCallDelta(index=place, id=use.tool_use_id, name=use.name),))
        if name == "contentBlockDelta" and event.delta is not None:
            return self._delta(event.content_block_index, event.delta)
        if name == "messageStop":
            self._is_stopped = True
            return ChatChunk(finish_reason=_finish(event.stop_reason))
        if name == "metadata" and event.usage is not None:
            self._has_usage = True
            return ChatChunk(usage=event.usage.usage())
        return None

    def _delta(self, index: int, delta: _Block) -> ChatChunk:
        if delta.tool_use is not None:
            if index not in self._calls:
                raise ValueError("a call of a tool goes on that never began")
            arguments = delta.tool_use.input
            piece = arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()
            return ChatChunk(tool_calls=(ToolCallDelta(index=self._calls[index], arguments=piece),))
        if delta.reasoning_content is not None:
            thought = delta.reasoning_content
            return ChatChunk(reasoning=thought.text, signature=thought.signature, hidden=thought.redacted_content)
        return ChatChunk(text=delta.text or "")
