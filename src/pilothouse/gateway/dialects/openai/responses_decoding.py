"""Requests of OpenAI's responses form, read."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

from pilothouse.gateway.dialects.openai.responses_items import decode_items
from pilothouse.gateway.dialects.reading import convert, fields_of, read_object, text_of
from pilothouse.gateway.dialects.saying import HARMLESS
from pilothouse.models.types import ChatRequest, Message, Reasoning


class _Text(Struct):
    format: dict[str, Any] | None = None
    verbosity: str | None = None


class _Reasoning(Struct):
    effort: str | None = None
    summary: str | None = None


class _Fields(Struct):
    model: str
    input: str | list[Any] = ""
    instructions: str | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    text: _Text | None = None
    reasoning: _Reasoning | None = None
    metadata: dict[str, str] | None = None
    user: str | None = None
    service_tier: str | None = None
    top_logprobs: int | None = None
    include: list[str] | None = None
    truncation: str | None = None
    background: bool | None = None
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None


_LOGPROBS: Final = "message.output_text.logprobs"
_INCLUDED: Final = frozenset({_LOGPROBS, "reasoning.encrypted_content"})


def decode_request(body: bytes) -> ChatRequest:
    """Read a request.

    Raises:
        ValueError: naming the field that is wrong, or that no other form has a word for.
    """
    found = read_object(body)
    fields = convert(found, _Fields, "the request")
    _refuse(found, fields)
    first = (Message(role="system", content=fields.instructions),) if fields.instructions else ()
    said = (
        (Message(role="user", content=fields.input),) if isinstance(fields.input, str) else decode_items(fields.input)
    )
    text = fields.text or _Text()
    reasoning = fields.reasoning
    return ChatRequest(
        model=fields.model,
        messages=first + said,
        max_tokens=fields.max_output_tokens,
        temperature=fields.temperature,
        top_p=fields.top_p,
        tools=tuple(_tool(tool, f"tools[{place}]") for place, tool in enumerate(fields.tools))
        if fields.tools
        else None,
        tool_choice=_tool_choice(fields.tool_choice),
        parallel_tool_calls=fields.parallel_tool_calls,
        response_format=_shape(text.format),
        verbosity=text.verbosity,
        reasoning=Reasoning(effort=reasoning.effort, summary=reasoning.summary) if reasoning else None,
        metadata=fields.metadata,
        user=fields.user,
        service_tier=fields.service_tier,
        logprobs=True if _LOGPROBS in (fields.include or ()) else None,
        top_logprobs=fields.top_logprobs,
        extra={
            key: value for key, value in found.items() if key not in _Fields.__struct_fields__ and value is not None
        },
    )


def _refuse(found: dict[str, Any], fields: _Fields) -> None:
    if fields.max_output_tokens is not None and fields.max_output_tokens < 1:
        raise ValueError(f"`max_output_tokens` must be 1 or more, not {fields.max_output_tokens}")
    for key, value in found.items():
        if key not in _Fields.__struct_fields__ and key not in HARMLESS and value is not None:
            raise _elsewhere(key)
    if fields.background:
        raise _elsewhere("background")
    if fields.truncation == "auto":
        raise _elsewhere("truncation")
    for name in fields.include or ():
        if name not in _INCLUDED:
            raise _elsewhere(f"include: {name}")


def _elsewhere(field: str) -> ValueError:
    return ValueError(
        f"`{field}` cannot be said in another form: leave it out, or use a model that is served in the responses form"
    )


def _tool(tool: dict[str, Any], where: str) -> dict[str, Any]:
    if tool.get("type") != "function":
        raise ValueError(f"{where}: the tool {tool.get('type')!r} is run by OpenAI and cannot be translated")
    names = ("name", "description", "parameters", "strict")
    function = {name: tool[name] for name in names if tool.get(name) is not None}
    text_of(function.get("name"), f"{where}.name")
    return {"type": "function", "function": function}


def _tool_choice(choice: str | dict[str, Any] | None) -> str | dict[str, Any] | None:
    if not isinstance(choice, dict):
        return choice
    if choice.get("type") != "function":
        raise ValueError(f"`tool_choice` of the kind {choice.get('type')!r} cannot be translated")
    return {"type": "function", "function": {"name": text_of(choice.get("name"), "`tool_choice.name`")}}


def _shape(shape: dict[str, Any] | None) -> dict[str, Any] | None:
    if shape is None or shape.get("type") == "text":
        return None
    if shape.get("type") != "json_schema":
        return {"type": text_of(shape.get("type"), "`text.format.type`")}
    fields_of(shape.get("schema"), "`text.format.schema`")
    names = ("name", "description", "schema", "strict")
    return {"type": "json_schema", "json_schema": {name: shape[name] for name in names if shape.get(name) is not None}}
