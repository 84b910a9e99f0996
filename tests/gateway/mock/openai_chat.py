"""OpenAI's chat and completions, byte for byte as its servers write them."""

from __future__ import annotations

from typing import Any

from .answers import CREATED, Answer, Asked, split
from .behaviour import Behaviour
from .bill import Used
from .plans import Frame, Plan, data, encode

DONE = b"data: [DONE]\n\n"


def usage(used: Used) -> dict[str, Any]:
    """Return usage in the form of chat and completions."""
    return {
        "prompt_tokens": used.input,
        "completion_tokens": used.output,
        "total_tokens": used.input + used.output,
        "prompt_tokens_details": {"cached_tokens": used.cached, "audio_tokens": used.audioin},
        "completion_tokens_details": {
            "reasoning_tokens": used.reasoning,
            "audio_tokens": used.audioout,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def call_id(answer: Answer, number: int) -> str:
    """Return the id of a tool call."""
    return f"call_{answer.seed}{number}"


def chat(asked: Asked, told: Behaviour, answer: Answer) -> Plan:
    """Plan an answer of `chat/completions`."""
    if asked.stream:
        return Plan(
            frames=tuple(_chat_frames(asked, told, answer)),
            used=answer.used,
            media=b"text/event-stream; charset=utf-8",
            thoughts=len(answer.thoughts),
        )
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if answer.calls else "".join(answer.pieces),
        "refusal": None,
        "annotations": [],
    }
    if answer.thoughts:
        message["reasoning_content"] = "".join(answer.thoughts)
    if answer.calls:
        message["tool_calls"] = [
            {
                "id": call_id(answer, number),
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for number, call in enumerate(answer.calls)
        ]
    whole = {
        "id": f"chatcmpl-{answer.seed}",
        "object": "chat.completion",
        "created": CREATED,
        "model": asked.model,
        "choices": [
            {"index": index, "message": message, "logprobs": None, "finish_reason": answer.finish}
            for index in range(asked.n or 1)
        ],
        "usage": usage(answer.used),
        "service_tier": "default",
        "system_fingerprint": "fp_mock",
    }
    if told.fault == "nousage":
        del whole["usage"]
    return Plan(body=encode(whole), used=answer.used)


def _chat_frames(asked: Asked, told: Behaviour, answer: Answer) -> list[Frame]:
    wants_usage = bool((asked.stream_options or {}).get("include_usage"))
    head = {
        "id": f"chatcmpl-{answer.seed}",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": asked.model,
        "service_tier": "default",
        "system_fingerprint": "fp_mock",
    }
    null_usage = {"usage": None} if wants_usage else {}
    found: list[Frame] = []

    def say(delta: dict[str, Any], tokens: int, finish: str | None = None) -> None:
        for index in range(asked.n or 1):
            choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
            found.append((data({**head, "choices": [choice], **null_usage}), tokens))

    say({"role": "assistant", "content": None if answer.calls else "", "refusal": None}, 0)
    for piece in answer.thoughts:
        say({"reasoning_content": piece}, 1)
    for piece in answer.pieces:
        say({"content": piece}, 1)
    for number, call in enumerate(answer.calls):
        function = {"name": call.name, "arguments": ""}
        say(
            {
                "tool_calls": [
                    {"index": number, "id": call_id(answer, number), "type": "function", "function": function}
                ]
            },
            0,
        )
        for piece in split(call.arguments):
            say({"tool_calls": [{"index": number, "function": {"arguments": piece}}]}, 1)
    say({}, 0, answer.finish)
    if wants_usage and told.fault != "nousage":
        last = (data({**head, "choices": [], "usage": usage(answer.used)}), 0)
        found += [last] * (2 if told.fault == "usagetwice" else 1)
    if told.comments:
        found = [(b": PROCESSING\n\n" + text, tokens) for text, tokens in found]
    return [*found, (DONE, 0)]


def completions(asked: Asked, told: Behaviour, answer: Answer) -> Plan:
    """Plan an answer of the older `completions`."""
    head = {"id": f"cmpl-{answer.seed}", "object": "text_completion", "created": CREATED, "model": asked.model}
    finish = "stop" if answer.finish == "tool_calls" else answer.finish

    def choices(text: str, finish: str | None) -> list[dict[str, Any]]:
        return [
            {"text": text, "index": index, "logprobs": None, "finish_reason": finish} for index in range(asked.n or 1)
        ]

    if not asked.stream:
        whole = {**head, "choices": choices("".join(answer.pieces), finish), "usage": usage(answer.used)}
        if told.fault == "nousage":
            del whole["usage"]
        return Plan(body=encode(whole), used=answer.used)
    frames = [(data({**head, "choices": choices(piece, None)}), asked.n or 1) for piece in answer.pieces]
    frames.append((data({**head, "choices": choices("", finish)}), 0))
    if (asked.stream_options or {}).get("include_usage") and told.fault != "nousage":
        last = (data({**head, "choices": [], "usage": usage(answer.used)}), 0)
        frames += [last] * (2 if told.fault == "usagetwice" else 1)
    return Plan(frames=(*frames, (DONE, 0)), used=answer.used, media=b"text/event-stream; charset=utf-8")
