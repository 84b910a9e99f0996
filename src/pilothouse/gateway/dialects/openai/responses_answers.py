"""Whole answers of OpenAI's responses form, read and written."""

from __future__ import annotations

import time
from typing import Any, Final, cast

import msgspec
from msgspec import Struct

from pilothouse.gateway.dialects.openai.chat_meter import error_text
from pilothouse.gateway.dialects.openai.responses_items import Assistant
from pilothouse.gateway.dialects.reading import fields_of, list_of, read_as
from pilothouse.models.types import ChatResponse, Message, Usage


class _InputDetails(Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None


class _OutputDetails(Struct):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None


class WireUsage(Struct):
    """What a call used."""

    input_tokens: int = 0
    output_tokens: int = 0
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None

    def usage(self) -> Usage:
        """Return it as a noun."""
        read = self.input_tokens_details or _InputDetails()
        made = self.output_tokens_details or _OutputDetails()
        return Usage(
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            cached_input_tokens=read.cached_tokens or 0,
            cache_write_tokens=read.cache_write_tokens or 0,
            audio_input_tokens=read.audio_tokens or 0,
            image_input_tokens=read.image_tokens or 0,
            reasoning_tokens=made.reasoning_tokens or 0,
            audio_output_tokens=made.audio_tokens or 0,
            image_output_tokens=made.image_tokens or 0,
        )


class Incomplete(Struct):
    """Why an answer is not complete."""

    reason: str = ""


class Glance(Struct):
    """What is looked at in an answer that passes, and at the end of a stream."""

    id: str = ""
    model: str = ""
    status: str | None = None
    usage: WireUsage | None = None
    error: Any = None
    incomplete_details: Incomplete | None = None
    output: msgspec.Raw = msgspec.Raw(b"")


class _Whole(Struct):
    output: list[Any]
    id: str = ""
    model: str = ""
    created_at: float = 0
    status: str | None = None
    usage: WireUsage | None = None
    error: Any = None
    incomplete_details: Incomplete | None = None
    service_tier: str | None = None


_wholes: Final = msgspec.json.Decoder(_Whole)
_glances: Final = msgspec.json.Decoder(Glance)
_encode = msgspec.json.Encoder().encode


def decode_response(body: bytes) -> ChatResponse:
    """Read a whole answer.

    Raises:
        ValueError: for what is no answer of this form, or one that failed.
    """
    whole = read_as(_wholes, body, "the answer")
    if whole.error is not None:
        raise ValueError(error_text(whole.error))
    turn = Assistant()
    logprobs: list[Any] = []
    for place, item in enumerate(whole.output):
        fields = fields_of(item, f"output[{place}]")
        turn.add(fields, f"output[{place}]")
        if fields.get("type") == "message":
            logprobs.extend(_logprobs_of(fields.get("content")))
    message = turn.message() or Message(role="assistant")
    reason = reason_of(whole.incomplete_details, calls=bool(message.tool_calls))
    found = {"content": logprobs} if logprobs else None
    return ChatResponse(
        id=whole.id,
        model=whole.model,
        message=message,
        choices=(message,),
        finish_reason=reason,
        finish_reasons=(reason,),
        usage=whole.usage.usage() if whole.usage else None,
        logprobs=found,
        logprobs_of=(found,),
        created=int(whole.created_at),
        service_tier=whole.service_tier,
    )


def _logprobs_of(content: Any) -> list[Any]:
    found: list[Any] = []
    if isinstance(content, list):
        for part in cast("list[Any]", content):
            said = fields_of(part, "`output.content`").get("logprobs")
            found.extend(list_of(said or [], "`output.content.logprobs`"))
    return found


def usage_of(body: bytes) -> tuple[Usage | None, str]:
    """Return usage and model of a whole answer.

    Raises:
        ValueError: for what is no answer of this form.
    """
    glance = read_as(_glances, body, "the answer")
    if not bytes(glance.output).startswith(b"["):
        raise ValueError("the answer holds no list `output`")
    return (glance.usage.usage() if glance.usage else None), glance.model


def reason_of(incomplete: Incomplete | None, *, calls: bool) -> str:
    """Return the reason to end in our words."""
    if incomplete is not None:
        return "content_filter" if incomplete.reason == "content_filter" else "length"
    return "tool_calls" if calls else "stop"


def usage_body(usage: Usage) -> dict[str, Any]:
    """Return usage as this form reports it."""
    read = {
        "cached_tokens": usage.cached_input_tokens,
        "cache_write_tokens": usage.cache_write_tokens + usage.cache_write_long_tokens,
        "audio_tokens": usage.audio_input_tokens,
        "image_tokens": usage.image_input_tokens,
    }
    made = {
        "reasoning_tokens": usage.reasoning_tokens,
        "audio_tokens": usage.audio_output_tokens,
        "image_tokens": usage.image_output_tokens,
    }
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {name: count for name, count in read.items() if count or name == "cached_tokens"},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {name: count for name, count in made.items() if count or name == "reasoning_tokens"},
        "total_tokens": usage.total_tokens,
    }


def answer_body(
    *, answer_id: str, model: str, created: int, output: list[dict[str, Any]], reason: str | None, usage: Usage | None
) -> dict[str, Any]:
    """Return an answer; ``reason`` None for one that is still being written."""
    incomplete = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(reason or "")
    status = "in_progress" if reason is None else "incomplete" if incomplete else "completed"
    return {
        "id": answer_id,
        "object": "response",
        "created_at": created,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": incomplete} if incomplete else None,
        "instructions": None,
        "metadata": {},
        "model": model,
        "output": output,
        "parallel_tool_calls": True,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "usage": usage_body(usage) if usage is not None else None,
    }


def encode_response(response: ChatResponse) -> bytes:
    """Write a whole answer.

    Raises:
        ValueError: for several answers.
    """
    if len(response.choices) > 1:
        raise ValueError("the responses form holds one answer, not several")
    body = answer_body(
        answer_id=response.id,
        model=response.model,
        created=response.created or int(time.time()),
        output=_output(response),
        reason=response.finish_reason or "stop",
        usage=response.usage,
    )
    if response.service_tier is not None:
        body["service_tier"] = response.service_tier
    return _encode(body)


def _output(response: ChatResponse) -> list[dict[str, Any]]:
    message = response.message
    output: list[dict[str, Any]] = []
    if message.reasoning or message.thoughts:
        thought = next((thought for thought in message.thoughts if thought.id), None)
        output.append(
            reasoning_item(thought.id if thought else f"rs_{response.id}", message.reasoning or "")
            | ({"encrypted_content": thought.hidden} if thought and thought.hidden else {})
        )
    parts: list[dict[str, Any]] = []
    text = message.text or str((message.audio or {}).get("transcript") or "")
    if text:
        parts.append(text_part(text, list(message.annotations), token_logprobs(response.logprobs)))
    if message.refusal:
        parts.append({"type": "refusal", "refusal": message.refusal})
    if parts:
        output.append(message_item(f"msg_{response.id}", parts))
    calls = message.tool_calls or ((message.function_call,) if message.function_call else ())
    output.extend(
        call_item(f"fc_{response.id}_{index}", call.id, call.name, call.arguments) for index, call in enumerate(calls)
    )
    return output


def token_logprobs(logprobs: Any) -> list[Any]:
    """Return the log probabilities of the tokens of a text."""
    found: Any = cast("dict[str, Any]", logprobs).get("content") if isinstance(logprobs, dict) else None
    return cast("list[Any]", found) if isinstance(found, list) else []


def text_part(text: str, annotations: list[Any], logprobs: list[Any]) -> dict[str, Any]:
    """Return a part of text."""
    return {"type": "output_text", "text": text, "annotations": annotations, "logprobs": logprobs}


def reasoning_item(item_id: str, text: str) -> dict[str, Any]:
    """Return thoughts as an item."""
    return {"type": "reasoning", "id": item_id, "summary": [{"type": "summary_text", "text": text}] if text else []}


def message_item(item_id: str, parts: list[dict[str, Any]], status: str = "completed") -> dict[str, Any]:
    """Return a message as an item."""
    return {"type": "message", "id": item_id, "status": status, "role": "assistant", "content": parts}


def call_item(item_id: str, call_id: str, name: str, arguments: str, status: str = "completed") -> dict[str, Any]:
    """Return a call of a tool as an item."""
    return {
        "type": "function_call",
        "id": item_id,
        "call_id": call_id or item_id,
        "name": name,
        "arguments": arguments,
        "status": status,
    }
