"""Whole answers of Anthropic's form, read and written."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

from pilothouse.gateway.dialects.anthropic.blocks import decode_blocks, encode_call, encode_thoughts
from pilothouse.gateway.dialects.anthropic.usage import WireUsage, usage_body
from pilothouse.gateway.dialects.reading import read_as
from pilothouse.models.types import ChatResponse, Message, Usage

_REASONS: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_WORDS: Final = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
    "pause_turn": "pause_turn",
}


class _Whole(Struct):
    content: list[Any]
    id: str = ""
    model: str = ""
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: WireUsage | None = None


class _Glance(Struct):
    content: msgspec.Raw
    model: str = ""
    usage: WireUsage | None = None


_wholes: Final = msgspec.json.Decoder(_Whole)
_glances: Final = msgspec.json.Decoder(_Glance)
_encode = msgspec.json.Encoder().encode


def reason_of(word: str | None) -> str | None:
    """Return a reason to end in our words."""
    return _REASONS.get(word, word) if word else None


def word_of(reason: str | None, stop_sequence: str | None) -> str:
    """Return a reason to end in this form's words; one it does not know becomes ``end_turn``."""
    return "stop_sequence" if stop_sequence is not None and reason == "stop" else _WORDS.get(reason or "", "end_turn")


def decode_response(body: bytes) -> ChatResponse:
    """Read a whole answer.

    Raises:
        ValueError: for what is no answer of this form.
    """
    whole = read_as(_wholes, body, "the answer")
    message = decode_blocks(whole.content, "content")
    reason = reason_of(whole.stop_reason)
    return ChatResponse(
        id=whole.id,
        model=whole.model,
        message=message,
        choices=(message,),
        finish_reason=reason,
        finish_reasons=(reason,),
        usage=whole.usage.usage() if whole.usage else None,
        stop_sequence=whole.stop_sequence,
    )


def encode_response(response: ChatResponse) -> bytes:
    """Write a whole answer.

    Raises:
        ValueError: for several answers, or a call of a tool whose arguments are no object.
    """
    if len(response.choices) > 1:
        raise ValueError("the form of Anthropic holds one answer, not several")
    body = {
        "id": response.id,
        "type": "message",
        "role": "assistant",
        "model": response.model,
        "content": _content(response.message),
        "stop_reason": word_of(response.finish_reason, response.stop_sequence),
        "stop_sequence": response.stop_sequence,
        "usage": usage_body(response.usage),
    }
    return _encode(body)


def usage_of(body: bytes) -> tuple[Usage | None, str]:
    """Return usage and model of a whole answer.

    Raises:
        ValueError: for what is no answer of this form.
    """
    glance = read_as(_glances, body, "the answer")
    return (glance.usage.usage() if glance.usage else None), glance.model


def _content(message: Message) -> list[dict[str, Any]]:
    blocks = encode_thoughts(message)
    if not blocks and message.reasoning:
        # Shown, though no one can vouch for it: coming back without a signature it is left out.
        blocks.append({"type": "thinking", "thinking": message.reasoning, "signature": ""})
    text = message.text or message.refusal or str((message.audio or {}).get("transcript") or "")
    if text:
        blocks.append({"type": "text", "text": text})
    blocks.extend(encode_call(call) for call in message.tool_calls)
    if message.function_call is not None:
        blocks.append(encode_call(message.function_call))
    return blocks
