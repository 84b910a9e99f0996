"""Requests of Anthropic's form, read."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

from pilothouse.gateway.dialects.anthropic.blocks import cache_of, decode_blocks, decode_results, text_blocks
from pilothouse.gateway.dialects.reading import convert, fields_of, read_object, text_of
from pilothouse.gateway.dialects.saying import HARMLESS
from pilothouse.models.types import ChatRequest, Message, Part, Reasoning, TextPart

_FORM: Final = "another vendor"


class _Thinking(Struct):
    type: str
    budget_tokens: int | None = None
    display: str | None = None


class _Output(Struct):
    effort: str | None = None
    format: dict[str, Any] | None = None


class _Fields(Struct):
    model: str
    messages: list[dict[str, Any]]
    max_tokens: int
    system: str | list[dict[str, Any]] | None = None
    metadata: dict[str, Any] | None = None
    stop_sequences: list[str] | None = None
    stream: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: dict[str, Any] | None = None
    thinking: _Thinking | None = None
    output_config: _Output | None = None
    output_format: dict[str, Any] | None = None
    service_tier: str | None = None


def decode_request(body: bytes) -> ChatRequest:
    """Read a request.

    Raises:
        ValueError: naming the field that is wrong, or that no other vendor has a word for.
    """
    found = read_object(body)
    fields = convert(found, _Fields, "the request")
    if fields.max_tokens < 1:
        raise ValueError(f"`max_tokens` must be 1 or more, not {fields.max_tokens}")
    for key, value in found.items():
        if key not in _Fields.__struct_fields__ and key not in HARMLESS and value is not None:
            raise ValueError(
                f"`{key}` cannot be said in the form of {_FORM}: leave it out, or use a model of Anthropic"
            )
    choice, parallel = _tool_choice(fields.tool_choice)
    output = fields.output_config or _Output()
    shape = output.format or fields.output_format
    return ChatRequest(
        model=fields.model,
        messages=_system(fields.system) + _messages(fields.messages),
        max_tokens=fields.max_tokens,
        stop=tuple(fields.stop_sequences) if fields.stop_sequences else None,
        temperature=fields.temperature,
        top_p=fields.top_p,
        top_k=fields.top_k,
        tools=tuple(_tool(tool, f"tools[{place}]") for place, tool in enumerate(fields.tools))
        if fields.tools
        else None,
        tool_choice=choice,
        parallel_tool_calls=parallel,
        reasoning=_reasoning(fields.thinking, output.effort),
        response_format=None if shape is None else _shape(shape),
        service_tier={"standard_only": "default"}.get(fields.service_tier or "", fields.service_tier),
        user=_user(fields.metadata),
        extra={key: value for key, value in found.items() if key not in _Fields.__struct_fields__},
    )


def _system(system: str | list[dict[str, Any]] | None) -> tuple[Message, ...]:
    if not system:
        return ()
    if isinstance(system, str):
        return (Message(role="system", content=system),)
    return (Message(role="system", content=text_blocks(system, "system")),)


def _messages(messages: list[dict[str, Any]]) -> tuple[Message, ...]:
    found: list[Message] = []
    for place, message in enumerate(messages):
        where = f"messages[{place}]"
        role = message.get("role")
        if role not in ("user", "assistant", "system"):
            raise ValueError(f"{where}.role must be user or assistant, not {role!r}")
        content = message.get("content")
        if isinstance(content, str):
            found.append(Message(role=role, content=content))
        elif role == "user":
            results, rest = decode_results(content, f"{where}.content")
            found.extend(results)
            found.extend(_user_message(rest))
        else:
            found.append(decode_blocks(content, f"{where}.content", role))
    return tuple(found)


def _user_message(parts: tuple[Part, ...]) -> tuple[Message, ...]:
    if not parts:
        return ()
    first = parts[0]
    if len(parts) == 1 and isinstance(first, TextPart) and first.cache is None:
        return (Message(role="user", content=first.text),)
    return (Message(role="user", content=parts),)


def _tool(tool: dict[str, Any], where: str) -> dict[str, Any]:
    if tool.get("type", "custom") != "custom":
        raise ValueError(f"{where}: the tool {tool.get('type')!r} is run by Anthropic and cannot be translated")
    function: dict[str, Any] = {
        "name": text_of(tool.get("name"), f"{where}.name"),
        "parameters": fields_of(tool.get("input_schema"), f"{where}.input_schema"),
    }
    if tool.get("description") is not None:
        function["description"] = text_of(tool["description"], f"{where}.description")
    if tool.get("strict") is not None:
        function["strict"] = bool(tool["strict"])
    cache = cache_of(tool)
    kept = {"cache_control": {"type": "ephemeral", "ttl": cache}} if cache else {}
    return {"type": "function", "function": function, **kept}


def _tool_choice(choice: dict[str, Any] | None) -> tuple[str | dict[str, Any] | None, bool | None]:
    if choice is None:
        return None, None
    parallel = False if choice.get("disable_parallel_tool_use") else None
    kind = choice.get("type")
    if kind == "tool":
        return {"type": "function", "function": {"name": text_of(choice.get("name"), "tool_choice.name")}}, parallel
    words = {"auto": "auto", "any": "required", "none": "none"}
    if not isinstance(kind, str) or kind not in words:
        raise ValueError(f"`tool_choice.type` must be auto, any, tool or none, not {kind!r}")
    return words[kind], parallel


def _reasoning(thinking: _Thinking | None, effort: str | None) -> Reasoning | None:
    if thinking is None or thinking.type == "disabled":
        return Reasoning(effort=effort) if effort else None
    if thinking.type == "adaptive":
        return Reasoning(effort=effort, is_adaptive=True)
    if thinking.type != "enabled" or thinking.budget_tokens is None:
        raise ValueError("`thinking` must be enabled with `budget_tokens`, adaptive or disabled")
    return Reasoning(effort=effort, budget=thinking.budget_tokens)


def _shape(shape: dict[str, Any]) -> dict[str, Any]:
    schema = fields_of(shape.get("schema"), "output_config.format.schema")
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}


def _user(metadata: dict[str, Any] | None) -> str | None:
    user = (metadata or {}).get("user_id")
    return None if user is None else text_of(user, "metadata.user_id")
