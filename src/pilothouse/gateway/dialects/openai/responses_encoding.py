"""Requests in OpenAI's responses form, written.

Nothing is kept at the vendor (``store`` false) unless the request says so: a client of another form cannot fetch it.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pilothouse.gateway.dialects.openai.responses_items import FORM, encode_items
from pilothouse.gateway.dialects.reading import fields_of, text_of
from pilothouse.gateway.dialects.saying import effort_of, refuse_extra, refuse_fields, unsaid
from pilothouse.models.types import ChatRequest

_UNSAID: Final = (
    "stop",
    "seed",
    "n",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "functions",
    "function_call",
    "top_k",
    "modalities",
    "audio",
)
_SAME: Final = ("temperature", "top_p", "parallel_tool_calls", "metadata", "user", "service_tier", "top_logprobs")
_KEPT: Final = ("store", "prompt_cache_key", "prompt_cache_retention", "safety_identifier")
_encode = msgspec.json.Encoder().encode


def encode_request(request: ChatRequest, *, model: str, stream: bool) -> bytes:
    """Write a request.

    Raises:
        ValueError: naming the field that this form has no word for.
    """
    refuse_extra(request.extra, FORM)
    refuse_fields(request, _UNSAID, FORM)
    body: dict[str, Any] = {"model": model, "input": encode_items(request.messages), "store": False}
    body.update((name, value) for name in _SAME if (value := getattr(request, name)) is not None)
    body.update((name, request.extra[name]) for name in _KEPT if request.extra.get(name) is not None)
    if request.max_tokens is not None:
        body["max_output_tokens"] = request.max_tokens
    if request.tools is not None:
        body["tools"] = [_tool(tool) for tool in request.tools]
    if request.tool_choice is not None:
        body["tool_choice"] = _tool_choice(request.tool_choice)
    text = _text(request)
    if text:
        body["text"] = text
    reasoning = {"effort": effort_of(request), "summary": request.reasoning.summary if request.reasoning else None}
    reasoning = {name: value for name, value in reasoning.items() if value is not None}
    if reasoning:
        body["reasoning"] = reasoning
    if request.logprobs:
        body["include"] = ["message.output_text.logprobs"]
    if stream:
        body["stream"] = True
    return _encode(body)


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    if tool.get("type") != "function":
        raise unsaid(FORM, "tools", f"a tool of the kind {tool.get('type')!r} has another shape there")
    function = fields_of(tool.get("function"), "`tools.function`")
    # What is not strict unless it says so elsewhere is strict here unless it says otherwise.
    return {"type": "function", "parameters": {"type": "object", "properties": {}}, "strict": False, **function}


def _tool_choice(choice: str | dict[str, Any]) -> str | dict[str, Any]:
    if isinstance(choice, str):
        return choice
    function = fields_of(choice.get("function"), "`tool_choice.function`")
    return {"type": "function", "name": text_of(function.get("name"), "`tool_choice.function.name`")}


def _text(request: ChatRequest) -> dict[str, Any]:
    text: dict[str, Any] = {}
    if request.verbosity is not None:
        text["verbosity"] = request.verbosity
    shape = request.response_format
    if shape is None:
        return text
    if shape.get("type") == "json_schema":
        text["format"] = {
            "type": "json_schema",
            **fields_of(shape.get("json_schema"), "`response_format.json_schema`"),
        }
    else:
        text["format"] = {"type": text_of(shape.get("type"), "`response_format.type`")}
    return text
