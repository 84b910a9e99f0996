"""The texts of a stream's events: which of them are pieces of a longer text, and which end one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple, cast

from pilothouse.gateway.types import Wire


class Piece(NamedTuple):
    """A piece of a text that goes on in later events.

    Attributes:
        channel: Which text.
        container: Where the piece stands.
        key: The same.
        is_arguments: Whether the pieces together are a JSON document.
    """

    channel: tuple[Any, ...]
    container: dict[str, Any]
    key: str
    is_arguments: bool = False


Deltas = Callable[[dict[str, Any]], Iterator[Piece]]
_CHAT_FIELDS: Final = ("content", "reasoning_content", "reasoning", "refusal")


def _list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _object(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _chat(event: dict[str, Any]) -> Iterator[Piece]:
    for choice in _list(event.get("choices")):
        index, delta = choice.get("index", 0), _object(choice.get("delta"))
        for field in _CHAT_FIELDS:
            if isinstance(delta.get(field), str):
                yield Piece((index, field), delta, field)
        for call in _list(delta.get("tool_calls")):
            for part, key in (("function", "arguments"), ("custom", "input")):
                holder = _object(call.get(part))
                if isinstance(holder.get(key), str):
                    yield Piece((index, "tool", call.get("index", 0)), holder, key, is_arguments=True)
        call = _object(delta.get("function_call"))
        if isinstance(call.get("arguments"), str):
            yield Piece((index, "function"), call, "arguments", is_arguments=True)


def _completions(event: dict[str, Any]) -> Iterator[Piece]:
    for choice in _list(event.get("choices")):
        if isinstance(choice.get("text"), str):
            yield Piece((choice.get("index", 0),), choice, "text")


def _responses(event: dict[str, Any]) -> Iterator[Piece]:
    kind = event.get("type", "")
    if kind.endswith(".delta") and isinstance(event.get("delta"), str) and "audio.delta" not in kind:
        channel = (kind, event.get("output_index"), event.get("content_index"), event.get("summary_index"))
        yield Piece(channel, event, "delta", is_arguments="arguments" in kind or "tool_call_input" in kind)


def _messages(event: dict[str, Any]) -> Iterator[Piece]:
    if event.get("type") == "content_block_delta":
        delta, index = _object(event.get("delta")), event.get("index", 0)
        for field in ("text", "thinking", "partial_json"):
            if isinstance(delta.get(field), str):
                yield Piece((index, field), delta, field, is_arguments=field == "partial_json")


def _gemini(event: dict[str, Any]) -> Iterator[Piece]:
    for candidate in _list(event.get("candidates")):
        for part in _list(_object(candidate.get("content")).get("parts")):
            if isinstance(part.get("text"), str):
                yield Piece((candidate.get("index", 0), bool(part.get("thought"))), part, "text")


def _cohere(event: dict[str, Any]) -> Iterator[Piece]:
    message, index = _object(_object(event.get("delta")).get("message")), event.get("index", 0)
    content, calls = _object(message.get("content")), _object(message.get("tool_calls"))
    for field in ("text", "thinking"):
        if isinstance(content.get(field), str):
            yield Piece((index, field), content, field)
    if isinstance(message.get("tool_plan"), str):
        yield Piece((index, "plan"), message, "tool_plan")
    function = _object(calls.get("function"))
    if isinstance(function.get("arguments"), str):
        yield Piece((index, "tool"), function, "arguments", is_arguments=True)


DELTAS: Final[dict[Wire, Deltas]] = {
    "openai.chat": _chat,
    "openai.completions": _completions,
    "openai.responses": _responses,
    "openai.transcriptions": _responses,
    "anthropic.messages": _messages,
    "gemini.generate": _gemini,
    "cohere.chat": _cohere,
}
"""Of each wire that streams texts, how the pieces of an event are found."""


ALL: Final = frozenset[Any]({...})
"""All texts of a stream."""

_NONE: Final = frozenset[Any]()


def ended(event: dict[str, Any]) -> frozenset[Any]:
    """Return which texts an event ends: nothing more comes for them, so nothing need be held back.

    Returns:
        First parts of their channels: of choices, candidates or blocks; or ``ALL``.
    """
    kind = event.get("type", "")
    if kind:
        if kind.startswith("content_block_"):
            return _NONE if kind.endswith("_delta") else frozenset({event.get("index", 0)})
        return _NONE if kind.endswith((".delta", "_delta", "-delta")) or kind in {"ping", "keepalive"} else ALL
    items = event.get("choices") or event.get("candidates")
    if not items:
        return _NONE
    return frozenset(
        item.get("index", 0) for item in _list(items) if item.get("finish_reason") or item.get("finishReason")
    )
