"""Watches passing streams of chat and of completions."""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec
from msgspec import Struct

from pilothouse.gateway.dialects.meters import Meter, size_of
from pilothouse.gateway.dialects.reading import read_as
from pilothouse.models.providers.wire import WireUsage

_NONE: Final = msgspec.Raw(b"null")


class _Delta(Struct):
    content: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    refusal: Any = None
    tool_calls: msgspec.Raw = _NONE
    function_call: msgspec.Raw = _NONE


class _Choice(Struct):
    index: int = 0
    delta: _Delta | None = None
    text: str | None = None
    finish_reason: str | None = None


class _Event(Struct):
    model: str | None = None
    choices: list[_Choice] | None = None
    usage: WireUsage | None = None
    error: Any = None


_events: Final = msgspec.json.Decoder(_Event)
_EMPTY: Final = (b"null", b"[]")


class ChatMeter(Meter):
    """Watches a stream of chat or of completions.

    It is finished with ``[DONE]``, or, for servers that leave that out, once every answer that began gave its reason
    to end. Read on all the same: the usage comes after the reason.
    """

    def __init__(self, *, hide_usage: bool) -> None:
        super().__init__()
        self._hides_usage = hide_usage
        self._calling: set[int] = set()
        self._writing: set[int] = set()

    def _see(self, payload: bytes) -> bool:
        if payload == b"[DONE]":
            self.is_finished = True
            return True
        event = read_as(_events, payload, "an event of the stream")
        if event.error is not None:
            self.error = error_text(event.error)
            return False
        if event.model and not self.model:
            self.model = event.model
        for choice in event.choices or ():
            self._choice(choice)
        if event.usage is None:
            return True
        self.usage = event.usage.usage() or self.usage
        return bool(event.choices) or not self._hides_usage

    def _choice(self, choice: _Choice) -> None:
        delta = choice.delta
        if delta is None:
            text = choice.text
        else:
            text = delta.content or delta.reasoning_content or delta.reasoning or delta.refusal
            if delta.tool_calls is not _NONE or delta.function_call is not _NONE:
                self._call(choice.index, delta)
        if text:
            self.text_bytes += size_of(text)
            self.pieces += 1
        if choice.finish_reason is None:
            self._writing.add(choice.index)
            self.is_finished = False
            return
        self._calling.discard(choice.index)
        self._writing.discard(choice.index)
        self.in_tool_call = bool(self._calling)
        self.is_finished = not self._writing

    def _call(self, index: int, delta: _Delta) -> None:
        for calls in (delta.tool_calls, delta.function_call):
            if bytes(calls) not in _EMPTY:
                self.text_bytes += len(bytes(calls))
                self.pieces += 1
                self._calling.add(index)
                self.in_tool_call = True


def error_text(error: Any) -> str:
    """Return the words of an error as upstreams put it, cut to a fair length."""
    found: Any = error
    if isinstance(error, dict):
        fields = cast("dict[str, Any]", error)
        found = fields.get("message") or fields.get("type") or fields.get("code")
    return str(found or "the upstream reported an error without words")[:500]
