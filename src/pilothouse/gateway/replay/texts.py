"""What two answers say, laid side by side."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import unified_diff
from typing import Final

from pilothouse.gateway.dialects.codecs import codec, has_codec
from pilothouse.gateway.types import Wire

_MOST_LINES: Final = 2000
"""Lines of each text that are compared: the time that takes grows with their square."""


def answer_text(wire: Wire, body: bytes) -> str | None:
    """Return the text of an answer, tool calls included; None for an answer that has none, or that cannot be read.

    Args:
        wire: The form of the body.
        body: A whole answer or the events of a stream; one that was cut gives the text until there.
    """
    if not has_codec(wire) or not body:
        return None
    try:
        return _of_whole(wire, body) if body.lstrip()[:1] == b"{" else _of_stream(wire, body)
    except ValueError:
        return None


def differences(before: str, after: str) -> tuple[str, ...]:
    """Return a unified diff of two texts, without heads; only the first thousands of lines are compared."""
    old, new = before.splitlines()[:_MOST_LINES], after.splitlines()[:_MOST_LINES]
    return tuple(unified_diff(old, new, lineterm=""))[2:]


def _of_whole(wire: Wire, body: bytes) -> str:
    answer = codec(wire).decode_response(body)
    messages = answer.choices or (answer.message,)
    return _joined(_said(item.text, [(call.name, call.arguments) for call in item.tool_calls]) for item in messages)


def _of_stream(wire: Wire, body: bytes) -> str:
    texts: dict[int, str] = {}
    calls: dict[int, dict[int, tuple[str, str]]] = {}
    for chunk in codec(wire).reader().feed(body):
        texts[chunk.index] = texts.get(chunk.index, "") + chunk.text
        of = calls.setdefault(chunk.index, {})
        for delta in chunk.tool_calls:
            name, arguments = of.get(delta.index, ("", ""))
            of[delta.index] = name + delta.name, arguments + delta.arguments
    return _joined(_said(texts[index], [calls[index][at] for at in sorted(calls[index])]) for index in sorted(texts))


def _said(text: str, calls: Iterable[tuple[str, str]]) -> str:
    return "\n".join([*([text] if text else []), *(f"{name}({arguments})" for name, arguments in calls)])


def _joined(answers: Iterable[str]) -> str:
    return "\n\n".join(answers)
