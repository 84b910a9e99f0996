"""Answers of Cohere, whole and streamed, as the hub's nouns."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

from pilothouse.gateway.dialects.frames import StreamError, gathered
from pilothouse.gateway.dialects.upstream_only import quoted
from pilothouse.models.providers.sse import EventParser
from pilothouse.models.types import ChatChunk, ChatResponse, Message, ToolCall, ToolCallDelta, Usage

_FINISH: Final = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
    "ERROR_TOXIC": "content_filter",
}
_FAILED: Final = frozenset(("ERROR", "TIMEOUT", "ERROR_LIMIT"))


class BilledUnits(Struct):
    """What is billed; fractions come as such, though tokens are whole."""

    input_tokens: float = 0
    output_tokens: float = 0
    search_units: float = 0
    images: float = 0


class _Usage(Struct):
    billed_units: BilledUnits | None = None
    tokens: BilledUnits | None = None
    cached_tokens: float | None = None

    def usage(self) -> Usage | None:
        """Return what is billed; where nothing says so, what was counted."""
        units = self.billed_units or self.tokens
        if units is None:
            return None
        given = int(units.input_tokens)
        return Usage(
            input_tokens=given,
            output_tokens=int(units.output_tokens),
            cached_input_tokens=min(int(self.cached_tokens or 0), given),
            searches=int(units.search_units),
        )


class _Function(Struct):
    name: str = ""
    arguments: str = ""


class _Call(Struct):
    id: str = ""
    function: _Function | None = None


class _Part(Struct):
    type: str = ""
    text: str = ""
    thinking: str = ""


class _Message(Struct):
    content: list[_Part] | str | None = None
    tool_calls: list[_Call] | None = None
    tool_plan: str | None = None


class Answer(Struct):
    """One whole answer."""

    id: str = ""
    finish_reason: str = ""
    message: _Message | str | None = None
    usage: _Usage | None = None
    logprobs: Any = None


class _PieceOfMessage(Struct):
    content: _Part | list[_Part] | None = None
    tool_calls: _Call | list[_Call] | None = None
    tool_plan: str = ""


class _Delta(Struct):
    message: _PieceOfMessage | None = None
    finish_reason: str = ""
    usage: _Usage | None = None
    error: str | None = None


class _Event(Struct):
    type: str = ""
    id: str = ""
    index: int = 0
    delta: _Delta | None = None
    message: str | None = None


_answers = msgspec.json.Decoder(Answer)
_events = msgspec.json.Decoder(_Event)


def decode_response(body: bytes) -> ChatResponse:
    """Read a whole answer.

    Raises:
        ValueError: for what is none, or one that failed.
    """
    try:
        answer = _answers.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"the answer of Cohere cannot be read ({error}): {quoted(body)}") from None
    if not isinstance(answer.message, _Message):
        words = answer.message or f"the answer of Cohere holds no message: {quoted(body)}"
        raise ValueError(words)  # noqa: TRY004 - a body's fault
    message = _message(answer.message)
    reason = _finish(answer.finish_reason)
    return ChatResponse(
        id=answer.id,
        message=message,
        finish_reason=reason,
        usage=answer.usage.usage() if answer.usage else None,
        choices=(message,),
        finish_reasons=(reason,),
        logprobs=answer.logprobs,
    )


def _message(given: _Message) -> Message:
    parts = [_Part(text=given.content)] if isinstance(given.content, str) else given.content or []
    return Message(
        role="assistant",
        content="".join(part.text for part in parts),
        tool_calls=tuple(
            ToolCall(id=call.id, name=call.function.name, arguments=call.function.arguments)
            for call in given.tool_calls or ()
            if call.function is not None
        ),
        reasoning="".join(part.thinking for part in parts) + (given.tool_plan or "") or None,
    )


def _finish(reason: str) -> str | None:
    if reason in _FAILED:
        raise StreamError(f"Cohere ended the answer with {reason}")
    return _FINISH.get(reason, reason.lower()) or None


class CohereReader:
    """Reads a stream of `chat`."""

    def __init__(self) -> None:
        self._parser = EventParser()
        self._id = ""
        self._has_ended = False

    def feed(self, data: bytes) -> list[ChatChunk]:
        """Return what the bytes complete.

        Raises:
            ValueError: for what is no such stream, or an error that the upstream reports in it.
        """
        return gathered(self._event(event) for event in self._parser.feed(data))

    def finish(self) -> bool:
        """Tell whether the answer was whole."""
        _, is_torn = self._parser.finish()
        return self._has_ended and not is_torn

    def _event(self, text: str) -> list[ChatChunk]:
        if text.strip() == "[DONE]":
            return []
        try:
            event = _events.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError(f"an event of Cohere cannot be read ({error}): {text[:120]}") from None
        if not event.type:
            raise ValueError(event.message or f"an event of Cohere has no type: {text[:120]}")
        delta = event.delta or _Delta()
        if event.type == "message-start":
            self._id = event.id
            return [ChatChunk(role="assistant", id=self._id)]
        if event.type == "message-end":
            return self._end(delta)
        return self._pieces(event.index, delta.message) if delta.message is not None else []

    def _end(self, delta: _Delta) -> list[ChatChunk]:
        if delta.error:
            raise StreamError(delta.error)
        reason = _finish(delta.finish_reason)
        self._has_ended = True
        chunks = [ChatChunk(finish_reason=reason, id=self._id)]
        usage = delta.usage.usage() if delta.usage is not None else None
        return [*chunks, ChatChunk(usage=usage, id=self._id)] if usage is not None else chunks

    def _pieces(self, index: int, message: _PieceOfMessage) -> list[ChatChunk]:
        content = message.content
        parts = content if isinstance(content, list) else [content] if content is not None else []
        chunks = [
            ChatChunk(text=part.text, reasoning=part.thinking, id=self._id)
            for part in parts
            if part.text or part.thinking
        ]
        if message.tool_plan:
            chunks.append(ChatChunk(reasoning=message.tool_plan, id=self._id))
        calls = message.tool_calls
        for call in calls if isinstance(calls, list) else [calls] if calls is not None else []:
            function = call.function or _Function()
            piece = ToolCallDelta(index=index, id=call.id, name=function.name, arguments=function.arguments)
            chunks.append(ChatChunk(tool_calls=(piece,), id=self._id))
        return chunks
