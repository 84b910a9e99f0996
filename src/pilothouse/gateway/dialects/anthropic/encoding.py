"""Requests in Anthropic's form, written.

A JSON schema becomes ``output_config.format``, so that the answer comes back as text in that schema, as from OpenAI;
no tool is forced for it.
"""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec

from pilothouse.gateway.dialects.anthropic.blocks import FORM, encode_call, encode_content, encode_thoughts, marked
from pilothouse.gateway.dialects.reading import fields_of, text_of
from pilothouse.gateway.dialects.saying import refuse_extra, refuse_fields, unsaid
from pilothouse.models.types import ChatRequest, Message

DEFAULT_MAX_TOKENS: Final = 16_384
"""This form must name a limit of output: this one where the request names none."""

_UNSAID: Final = (
    "seed",
    "n",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "modalities",
    "audio",
)
_EFFORTS: Final = {"minimal": "low"}
_TIERS: Final = {"auto": "auto", "default": "standard_only"}
_CHOICES: Final = {"auto": "auto", "required": "any", "none": "none"}
_encode = msgspec.json.Encoder().encode


def encode_request(request: ChatRequest, *, model: str, stream: bool) -> bytes:
    """Write a request.

    Raises:
        ValueError: naming the field that this form has no word for.
    """
    refuse_extra(request.extra, FORM)
    refuse_fields(request, _UNSAID, FORM)
    if request.functions is not None or request.function_call is not None:
        raise unsaid(FORM, "functions", "declare `tools` instead")
    system, messages = _conversation(request.messages)
    body: dict[str, Any] = {
        "model": model,
        "max_tokens": request.max_tokens or DEFAULT_MAX_TOKENS,
        "messages": messages,
        **_steering(request),
        **_tools(request),
    }
    if system:
        body["system"] = system
    if request.user:
        body["metadata"] = {"user_id": request.user}
    if stream:
        body["stream"] = True
    return _encode(body)


def _steering(request: ChatRequest) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if request.temperature is not None:
        if request.temperature > 1:
            raise unsaid(FORM, "temperature", f"it ends at 1 there, {request.temperature:g} is more")
        body["temperature"] = request.temperature
    for name in ("top_p", "top_k"):
        if getattr(request, name) is not None:
            body[name] = getattr(request, name)
    if request.stop:
        body["stop_sequences"] = [request.stop] if isinstance(request.stop, str) else list(request.stop)
    if request.service_tier is not None:
        if request.service_tier not in _TIERS:
            raise unsaid(FORM, "service_tier", f"there is no tier {request.service_tier!r}; use auto or default")
        body["service_tier"] = _TIERS[request.service_tier]
    output = _output(request)
    if output:
        body["output_config"] = output
    thinking = _thinking(request)
    if thinking:
        body["thinking"] = thinking
    return body


def _output(request: ChatRequest) -> dict[str, Any]:
    output: dict[str, Any] = {}
    effort = request.reasoning.effort if request.reasoning else None
    if effort is not None and effort != "none":
        output["effort"] = _EFFORTS.get(effort, effort)
    shape = request.response_format
    if shape is None or shape.get("type") == "text":
        return output
    if shape.get("type") != "json_schema":
        raise unsaid(FORM, "response_format", "JSON without a schema is not offered there; give a `json_schema`")
    schema = fields_of(shape.get("json_schema"), "response_format.json_schema").get("schema")
    output["format"] = {"type": "json_schema", "schema": fields_of(schema, "response_format.json_schema.schema")}
    return output


def _thinking(request: ChatRequest) -> dict[str, Any]:
    reasoning = request.reasoning
    if reasoning is None:
        return {}
    if reasoning.effort == "none" or reasoning.budget == 0:
        return {"type": "disabled"}
    if reasoning.budget is not None:
        return {"type": "enabled", "budget_tokens": reasoning.budget}
    # A tool that must be called leaves no room for thoughts there: an effort alone does not insist on them.
    forced = request.tool_choice not in {None, "auto", "none"} if isinstance(request.tool_choice, str | None) else True
    return {} if forced and not reasoning.is_adaptive else {"type": "adaptive"}


def _tools(request: ChatRequest) -> dict[str, Any]:
    if not request.tools:
        return {}
    body: dict[str, Any] = {"tools": [_tool(tool) for tool in request.tools]}
    choice = request.tool_choice
    said: dict[str, Any] = {}
    if isinstance(choice, dict):
        named = fields_of(choice.get("function"), "`tool_choice.function`")
        said = {"type": "tool", "name": text_of(named.get("name"), "`tool_choice.function.name`")}
    elif choice is not None:
        if choice not in _CHOICES:
            raise ValueError(f"`tool_choice` must be auto, none, required or one tool, not {choice!r}")
        said = {"type": _CHOICES[choice]}
    if request.parallel_tool_calls is False and said.get("type") != "none":
        said = {**(said or {"type": "auto"}), "disable_parallel_tool_use": True}
    if said:
        body["tool_choice"] = said
    return body


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    if tool.get("type") != "function":
        raise unsaid(FORM, "tools", f"a tool of the kind {tool.get('type')!r} runs at another vendor")
    function = fields_of(tool.get("function"), "`tools.function`")
    body: dict[str, Any] = {
        "name": text_of(function.get("name"), "`tools.function.name`"),
        "input_schema": function.get("parameters") or {"type": "object", "properties": {}},
    }
    for name in ("description", "strict"):
        if function.get(name) is not None:
            body[name] = function[name]
    mark: Any = tool.get("cache_control")
    return {**body, "cache_control": cast("dict[str, Any]", mark)} if isinstance(mark, dict) else body


def _conversation(messages: tuple[Message, ...]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the system's blocks and the turns: neighbours of one role become one turn, as this form wants it."""
    system: list[dict[str, Any]] = []
    turns: list[dict[str, Any]] = []
    for message in messages:
        if message.role in {"system", "developer"}:
            system.extend(encode_content(message.content))
            continue
        role = "assistant" if message.role == "assistant" else "user"
        blocks = _blocks(message)
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"].extend(blocks)
        elif blocks:
            turns.append({"role": role, "content": blocks})
    if not turns:
        raise unsaid(FORM, "messages", "it wants at least one message of a user")
    return system, turns


def _blocks(message: Message) -> list[dict[str, Any]]:
    if message.role == "tool":
        if message.tool_call_id is None:
            raise ValueError("a message of the role `tool` must say its `tool_call_id`")
        result: dict[str, Any] = {"type": "tool_result", "tool_use_id": message.tool_call_id}
        content = message.content
        result["content"] = content if isinstance(content, str) else encode_content(content)
        if message.is_error:
            result["is_error"] = True
        return [marked(result, message.cache)]
    if message.role == "function" or message.function_call is not None:
        raise unsaid(FORM, "function_call", "use `tool_calls` instead")
    if message.audio is not None:
        raise unsaid(FORM, "messages.audio", "Claude hears no sound")
    return [
        *encode_thoughts(message),
        *encode_content(message.content),
        *encode_content(message.refusal or ""),
        *(encode_call(call) for call in message.tool_calls),
    ]
