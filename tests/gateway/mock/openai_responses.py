"""OpenAI's responses, byte for byte as its servers write them."""

from __future__ import annotations

from typing import Any

from .answers import CREATED, Answer, Asked, split
from .behaviour import Behaviour
from .bill import Used
from .openai_chat import call_id
from .plans import Frame, Plan, encode, event


def usage(used: Used) -> dict[str, Any]:
    """Return usage in the form of responses."""
    return {
        "input_tokens": used.input,
        "input_tokens_details": {"cached_tokens": used.cached},
        "output_tokens": used.output,
        "output_tokens_details": {"reasoning_tokens": used.reasoning},
        "total_tokens": used.input + used.output,
    }


def responses(asked: Asked, told: Behaviour, answer: Answer) -> Plan:
    """Plan an answer of `responses`."""
    items = _items(answer)
    if not asked.stream:
        return Plan(body=encode(_whole(asked, told, answer, items)), used=answer.used)
    return Plan(
        frames=tuple(_frames(asked, told, answer, items)),
        used=answer.used,
        media=b"text/event-stream; charset=utf-8",
    )


def _whole(asked: Asked, told: Behaviour, answer: Answer, items: list[dict[str, Any]]) -> dict[str, Any]:
    cut = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(answer.finish)
    return {
        "id": f"resp_{answer.seed}",
        "object": "response",
        "created_at": CREATED,
        "status": "incomplete" if cut else "completed",
        "error": None,
        "incomplete_details": {"reason": cut} if cut else None,
        "instructions": None,
        "max_output_tokens": asked.max_output_tokens,
        "model": asked.model,
        "output": items,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": True,
        "temperature": 1.0,
        "text": asked.text or {"format": {"type": "text"}},
        "tool_choice": asked.tool_choice or "auto",
        "tools": asked.tools or [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None if told.fault == "nousage" else usage(answer.used),
        "user": asked.user,
        "metadata": {},
    }


def _items(answer: Answer) -> list[dict[str, Any]]:
    if not answer.calls:
        content = {"type": "output_text", "annotations": [], "logprobs": [], "text": "".join(answer.pieces)}
        base = {"type": "message", "id": f"msg_{answer.seed}", "status": "completed", "role": "assistant"}
        return [{**base, "content": [content]}]
    return [
        {
            "type": "function_call",
            "id": f"fc_{answer.seed}{number}",
            "status": "completed",
            "call_id": call_id(answer, number),
            "name": call.name,
            "arguments": call.arguments,
        }
        for number, call in enumerate(answer.calls)
    ]


def _frames(asked: Asked, told: Behaviour, answer: Answer, items: list[dict[str, Any]]) -> list[Frame]:
    found: list[Frame] = []

    def say(name: str, tokens: int = 0, **fields: Any) -> None:
        found.append((event(name, {"type": name, "sequence_number": len(found), **fields}), tokens))

    whole = _whole(asked, told, answer, items)
    begun = {**whole, "status": "in_progress", "incomplete_details": None, "output": [], "usage": None}
    say("response.created", response=begun)
    say("response.in_progress", response=begun)
    for index, item in enumerate(items):
        at = {"item_id": item["id"], "output_index": index}
        empty: dict[str, Any] = {"content": []} if item["type"] == "message" else {"arguments": ""}
        say("response.output_item.added", output_index=index, item={**item, "status": "in_progress", **empty})
        if item["type"] == "message":
            part = item["content"][0]
            say("response.content_part.added", **at, content_index=0, part={**part, "text": ""})
            for piece in answer.pieces:
                say("response.output_text.delta", 1, **at, content_index=0, delta=piece, logprobs=[])
            say("response.output_text.done", **at, content_index=0, text=part["text"], logprobs=[])
            say("response.content_part.done", **at, content_index=0, part=part)
        else:
            for piece in split(item["arguments"]):
                say("response.function_call_arguments.delta", 1, **at, delta=piece)
            say("response.function_call_arguments.done", **at, arguments=item["arguments"], name=item["name"])
        say("response.output_item.done", output_index=index, item=item)
    for _ in range(2 if told.fault == "usagetwice" else 1):
        say("response.incomplete" if whole["incomplete_details"] else "response.completed", response=whole)
    return found
