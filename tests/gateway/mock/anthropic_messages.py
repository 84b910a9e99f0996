"""Anthropic's messages, byte for byte as its servers write them."""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from .answers import Answer, Asked, split
from .behaviour import Behaviour
from .bill import Used
from .plans import Frame, Plan, encode, event

FINISHES = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
PING = event("ping", {"type": "ping"})


def usage(used: Used) -> dict[str, Any]:
    """Return usage in Anthropic's form: its `input_tokens` leave out what came from, or went into, the cache."""
    return {
        "input_tokens": used.input - used.cached - used.write - used.writelong,
        "cache_creation_input_tokens": used.write + used.writelong,
        "cache_read_input_tokens": used.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": used.write, "ephemeral_1h_input_tokens": used.writelong},
        "output_tokens": used.output,
        "service_tier": "standard",
    }


def messages(asked: Asked, told: Behaviour, answer: Answer) -> Plan:
    """Plan an answer of `messages`."""
    blocks = _blocks(answer)
    head = {"id": f"msg_{answer.seed}", "type": "message", "role": "assistant", "model": asked.model}
    end = {"stop_reason": FINISHES[answer.finish], "stop_sequence": None}
    if not asked.stream:
        whole = {**head, "content": [block for block, _, _ in blocks], **end, "usage": usage(answer.used)}
        if told.fault == "nousage":
            del whole["usage"]
        return Plan(body=encode(whole), used=answer.used)
    return Plan(
        frames=tuple(_frames(head, end, told, answer)),
        used=answer.used,
        media=b"text/event-stream; charset=utf-8",
        thoughts=len(answer.thoughts),
    )


Block = tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]


def _blocks(answer: Answer) -> list[Block]:
    """Return each block: whole, as it begins in a stream, and its deltas."""
    found: list[Block] = []
    if answer.thoughts:
        deltas: list[dict[str, Any]] = [{"type": "thinking_delta", "thinking": piece} for piece in answer.thoughts]
        signature = f"sig{answer.seed}"
        whole = {"type": "thinking", "thinking": "".join(answer.thoughts), "signature": signature}
        deltas.append({"type": "signature_delta", "signature": signature})
        found.append((whole, {"type": "thinking", "thinking": "", "signature": ""}, deltas))
    if answer.pieces:
        deltas = [{"type": "text_delta", "text": piece} for piece in answer.pieces]
        found.append(({"type": "text", "text": "".join(answer.pieces)}, {"type": "text", "text": ""}, deltas))
    for number, call in enumerate(answer.calls):
        begin = {"type": "tool_use", "id": f"toolu_{answer.seed}{number}", "name": call.name}
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in split(call.arguments)]
        whole = {**begin, "input": Raw(call.arguments.encode())}
        found.append((whole, {**begin, "input": {}}, [{"type": "input_json_delta", "partial_json": ""}, *deltas]))
    return found


def _frames(head: dict[str, Any], end: dict[str, Any], told: Behaviour, answer: Answer) -> list[Frame]:
    says_usage = told.fault != "nousage"
    begun = {**usage(answer.used), "output_tokens": 1} if says_usage else {"input_tokens": 0, "output_tokens": 0}
    start = {**head, "content": [], "stop_reason": None, "stop_sequence": None, "usage": begun}
    if not says_usage:
        del start["usage"]
    found: list[Frame] = [(event("message_start", {"type": "message_start", "message": start}), 0)]
    for index, (_, begin, deltas) in enumerate(_blocks(answer)):
        opened = event("content_block_start", {"type": "content_block_start", "index": index, "content_block": begin})
        found.append((opened + (PING if not index else b""), 0))
        for delta in deltas:
            tokens = 0 if delta.get("partial_json") == "" or "signature" in delta else 1
            change = {"type": "content_block_delta", "index": index, "delta": delta}
            found.append(((PING if told.comments else b"") + event("content_block_delta", change), tokens))
        found.append((event("content_block_stop", {"type": "content_block_stop", "index": index}), 0))
    last: dict[str, Any] = {"type": "message_delta", "delta": end, "usage": usage(answer.used)}
    del last["usage"]["service_tier"], last["usage"]["cache_creation"]
    if not says_usage:
        del last["usage"]
    found += [(event("message_delta", last), 0)] * (2 if told.fault == "usagetwice" else 1)
    return [*found, (event("message_stop", {"type": "message_stop"}), 0)]


def count_tokens(used: Used) -> Plan:
    """Plan an answer of `count_tokens`."""
    return Plan(body=encode({"input_tokens": used.input}), used=Used())
