"""Requests to Cohere: the hub's nouns in the form of the second version of `chat`."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pilothouse.gateway.dialects.upstream_only import (
    base64_of,
    choice_of,
    functions_of,
    refuse_unsaid,
    schema_of,
)
from pilothouse.models.types import ChatRequest, ImagePart, Message, Part, TextPart

_FORM: Final = "Cohere"
_UNSAID: Final = ("logit_bias", "audio", "modalities", "top_logprobs")
_NATIVE: Final = ("documents", "citation_options", "safety_mode", "strict_tools", "priority", "raw_prompting")
_SAME: Final = {
    "temperature": "temperature",
    "top_p": "p",
    "top_k": "k",
    "max_tokens": "max_tokens",
    "seed": "seed",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "logprobs": "logprobs",
}
_BUDGETS: Final = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}


def encode_request(request: ChatRequest, model: str, *, stream: bool) -> bytes:
    """Return the body of a request.

    Raises:
        ValueError: for what this form cannot say.
    """
    body = refuse_unsaid(request, _FORM, _UNSAID, _NATIVE)
    if (request.n or 1) > 1:
        raise ValueError(f"{_FORM} gives one answer: `n` must be 1")
    if request.parallel_tool_calls is False and request.tools:
        raise ValueError(f"{_FORM} has no word for `parallel_tool_calls`")
    body |= {"model": model, "messages": [_message(message) for message in request.messages], "stream": stream}
    for ours, theirs in _SAME.items():
        if getattr(request, ours) is not None:
            body[theirs] = getattr(request, ours)
    if request.stop is not None:
        body["stop_sequences"] = [request.stop] if isinstance(request.stop, str) else list(request.stop)
    kind, schema = schema_of(request)
    if kind != "text":
        body["response_format"] = {"type": "json_object", **({"json_schema": schema} if schema is not None else {})}
    thinking = _thinking(request)
    if thinking:
        body["thinking"] = thinking
    return msgspec.json.encode({**body, **_tools(request)})


def _thinking(request: ChatRequest) -> dict[str, Any]:
    wanted = request.reasoning
    if wanted is None:
        return {}
    if wanted.effort == "none" or wanted.budget == 0:
        return {"type": "disabled"}
    budget = wanted.budget
    if budget is None and wanted.effort is not None:
        budget = _BUDGETS.get(wanted.effort, _BUDGETS["high"])
    return {"type": "enabled", **({"token_budget": budget} if budget is not None else {})}


def _tools(request: ChatRequest) -> dict[str, Any]:
    functions = functions_of(request, _FORM)
    if not functions:
        return {}
    keys = ("name", "description", "parameters")
    tools: dict[str, Any] = {
        "tools": [
            {"type": "function", "function": {key: function[key] for key in keys if function.get(key)}}
            for function in functions
        ]
    }
    choice = choice_of(request)
    if choice is not None:
        mode, name = choice
        if name and [function["name"] for function in functions] != [name]:
            raise ValueError(f"{_FORM} cannot be told to call one function of many: declare '{name}' alone")
        if mode != "auto":
            tools["tool_choice"] = "NONE" if mode == "none" else "REQUIRED"
    return tools


def _message(message: Message) -> dict[str, Any]:
    if message.role == "function" or message.function_call is not None:
        raise ValueError("calls of functions in the older form cannot be told to Cohere: use `tool_calls`")
    role = "system" if message.role == "developer" else message.role
    body: dict[str, Any] = {"role": role}
    if message.role == "tool":
        return {**body, "tool_call_id": message.tool_call_id or "", "content": _result(message)}
    if message.content or not message.tool_calls:
        content = message.content
        body["content"] = content if isinstance(content, str) else [_part(part) for part in content]
    if message.tool_calls:
        body["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
        if message.reasoning:
            body["tool_plan"] = message.reasoning
    return body


def _result(message: Message) -> str:
    if not isinstance(message.content, str) and any(not isinstance(part, TextPart) for part in message.content):
        raise ValueError("Cohere takes text alone as the result of a tool")
    # There is no word for a tool that failed: its text says so.
    return f"error: {message.text}" if message.is_error else message.text


def _part(part: Part) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if isinstance(part, ImagePart):
        address = part.url if part.data is None else f"data:{part.media_type};base64,{base64_of(part.data)}"
        return {"type": "image_url", "image_url": {"url": address, **({"detail": part.detail} if part.detail else {})}}
    raise ValueError("Cohere takes text and pictures alone in a message")
