"""Events of a stream of OpenAI's responses form, and what watches and reads them."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

from pilothouse.gateway.dialects.frames import FrameCutter, StreamError, data_of, gathered
from pilothouse.gateway.dialects.meters import Meter, size_of
from pilothouse.gateway.dialects.openai.chat_meter import error_text
from pilothouse.gateway.dialects.openai.responses_answers import Glance, reason_of
from pilothouse.gateway.dialects.reading import read_as
from pilothouse.models.types import ChatChunk, ToolCallDelta, Usage


class _Item(Struct):
    type: str = ""
    call_id: str = ""
    name: str = ""
    arguments: str = ""


class _Event(Struct):
    type: str = ""
    delta: Any = None
    output_index: int = 0
    item: _Item | None = None
    response: Glance | None = None
    annotation: dict[str, Any] | None = None
    logprobs: list[Any] | None = None
    message: str | None = None
    code: Any = None
    error: Any = None


_events: Final = msgspec.json.Decoder(_Event)
_LAST: Final = frozenset({"response.completed", "response.incomplete"})
_FAILED: Final = frozenset({"response.failed", "error"})
_TEXTS: Final = frozenset({"response.output_text.delta", "response.refusal.delta"})
_THOUGHTS: Final = frozenset({"response.reasoning_summary_text.delta", "response.reasoning_text.delta"})
_ARGUMENTS: Final = "response.function_call_arguments.delta"


def _event(payload: bytes) -> _Event:
    return read_as(_events, payload, "an event of the stream")


def _failure(event: _Event) -> str:
    """Return the words of an error, wherever the event has them; empty for none."""
    if event.type in _FAILED or (event.error is not None and not event.type):
        inner = event.response.error if event.response is not None else None
        return error_text(event.error or inner or {"message": event.message, "code": event.code})
    return ""


class ResponsesMeter(Meter):
    """Watches a passing stream; usage is always reported at its end."""

    usage: Usage | None

    def __init__(self) -> None:
        super().__init__()
        self._calls: set[int] = set()

    def _see(self, payload: bytes) -> bool:
        if payload == b"[DONE]":
            return True
        event = _event(payload)
        kind = event.type
        if kind.endswith(".delta"):
            if event.delta:
                self.text_bytes += size_of(event.delta)
                self.pieces += 1
        elif kind == "response.output_item.added" and event.item is not None:
            if event.item.type.endswith("_call"):
                self._calls.add(event.output_index)
                self.in_tool_call = True
        elif kind == "response.output_item.done":
            self._calls.discard(event.output_index)
            self.in_tool_call = bool(self._calls)
        elif kind in _FAILED or event.error is not None:
            self.error = _failure(event) or error_text(event.error)
        if event.response is not None:
            self.model = event.response.model or self.model
            if event.response.usage is not None:
                self.usage = event.response.usage.usage()
            self.is_finished = self.is_finished or kind in _LAST
        return not self.error


class ResponsesReader:
    """Reads a stream."""

    def __init__(self) -> None:
        self._cutter = FrameCutter()
        self._is_done = False
        self._calls: dict[int, int] = {}
        self._spelled: set[int] = set()

    def feed(self, data: bytes) -> list[ChatChunk]:
        """Return what the bytes complete.

        Raises:
            ValueError: for what is no such stream, or for an error that the upstream reports in it.
        """
        payloads = (data_of(event) for event in self._cutter.cut(data))
        return gathered(self._read(_event(payload)) for payload in payloads if payload and payload != b"[DONE]")

    def finish(self) -> bool:
        """Tell whether the answer was whole."""
        return self._is_done

    def _read(self, event: _Event) -> list[ChatChunk]:
        failure = _failure(event)
        if failure:
            raise StreamError(failure)
        kind = event.type
        if kind in _TEXTS or kind in _THOUGHTS or kind == _ARGUMENTS:
            return self._delta(kind, event)
        if kind == "response.output_item.added" and event.item is not None:
            return self._item(event.output_index, event.item)
        if kind == "response.output_item.done" and event.item is not None:
            return self._done(event.output_index, event.item)
        if kind == "response.created" and event.response is not None:
            return [ChatChunk(role="assistant", id=event.response.id, model=event.response.model)]
        if kind == "response.output_text.annotation.added" and event.annotation is not None:
            return [ChatChunk(annotations=(event.annotation,))]
        if kind in _LAST and event.response is not None:
            return [self._end(event.response)]
        return []

    def _delta(self, kind: str, event: _Event) -> list[ChatChunk]:
        text = str(event.delta or "")
        if kind == "response.output_text.delta":
            return [ChatChunk(text=text, logprobs={"content": event.logprobs} if event.logprobs else None)]
        if kind == "response.refusal.delta":
            return [ChatChunk(refusal=text)]
        if kind in _THOUGHTS:
            return [ChatChunk(reasoning=text)]
        self._spelled.add(event.output_index)
        place = self._calls.get(event.output_index, 0)
        return [ChatChunk(tool_calls=(ToolCallDelta(index=place, arguments=text),))]

    def _item(self, index: int, item: _Item) -> list[ChatChunk]:
        if item.type == "function_call":
            place = self._calls[index] = len(self._calls)
            return [ChatChunk(tool_calls=(ToolCallDelta(index=place, id=item.call_id, name=item.name),))]
        if item.type not in {"message", "reasoning"}:
            raise ValueError(f"an item of the kind {item.type!r} cannot be translated")
        return []

    def _done(self, index: int, item: _Item) -> list[ChatChunk]:
        if item.type != "function_call" or index in self._spelled or not item.arguments:
            return []
        # Some servers send the arguments whole, at the end of the item.
        call = ToolCallDelta(index=self._calls.get(index, 0), arguments=item.arguments)
        return [ChatChunk(tool_calls=(call,))]

    def _end(self, answer: Glance) -> ChatChunk:
        self._is_done = True
        return ChatChunk(
            finish_reason=reason_of(answer.incomplete_details, calls=bool(self._calls)),
            usage=answer.usage.usage() if answer.usage else None,
            id=answer.id,
            model=answer.model,
        )
