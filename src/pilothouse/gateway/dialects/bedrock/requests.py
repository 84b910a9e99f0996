"""Requests to Amazon's Bedrock: the hub's nouns in the form of `Converse`."""

from __future__ import annotations

import re
from typing import Any, Final, cast

import msgspec

from pilothouse.gateway.dialects.upstream_only import (
    arguments_of,
    base64_of,
    choice_of,
    functions_of,
    refuse_unsaid,
    schema_of,
)
from pilothouse.models.types import AudioPart, ChatRequest, FilePart, ImagePart, Message, Part, TextPart, Thought

_FORM: Final = "Bedrock"
_UNSAID: Final = (
    "logit_bias",
    "audio",
    "modalities",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "logprobs",
    "top_logprobs",
)
_NATIVE: Final = (
    "additionalModelRequestFields",
    "guardrailConfig",
    "performanceConfig",
    "requestMetadata",
    "serviceTier",
    "promptVariables",
)
_CLAUDE: Final = re.compile(r"(?:^|[./])anthropic\.claude|^arn:.*anthropic")
_GUARDED: Final = "gemini-"
_NOT_A_NAME: Final = re.compile(r"[^A-Za-z0-9\-() \[\]]+")
_DOCUMENTS: Final = {
    "application/pdf": "pdf",
    "text/plain": "txt",
    "text/markdown": "md",
    "text/html": "html",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
}


def encode_request(request: ChatRequest, model: str) -> bytes:
    """Return the body of a request; the model stands in the address.

    Raises:
        ValueError: for what this form cannot say.
    """
    body = refuse_unsaid(request, _FORM, _UNSAID, _NATIVE)
    if (request.n or 1) > 1:
        raise ValueError(f"{_FORM} gives one answer: `n` must be 1")
    system: list[dict[str, Any]] = []
    messages: list[dict[str, Any]] = []
    for message in request.messages:
        if message.role in {"system", "developer"}:
            system += _texts(message)
            continue
        role = "assistant" if message.role == "assistant" else "user"
        blocks = _blocks(message)
        # Sides must alternate; the answers to parallel calls stand in one message.
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"] += blocks
        else:
            messages.append({"role": role, "content": blocks})
    if not messages:
        raise ValueError("`messages` holds nothing but instructions: Bedrock wants a message of the user")
    body["messages"] = messages
    if system:
        body["system"] = system
    config = _config(request)
    if config:
        body["inferenceConfig"] = config
    tools = _tools(request)
    if tools:
        body["toolConfig"] = tools
    output = _output(request)
    if output:
        body["outputConfig"] = output
    further = _further(request, model)
    if further:
        given: Any = body.get("additionalModelRequestFields")
        given = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
        body["additionalModelRequestFields"] = {**further, **given}
    return msgspec.json.encode(body)


def _config(request: ChatRequest) -> dict[str, Any]:
    names = {"temperature": "temperature", "top_p": "topP", "max_tokens": "maxTokens"}
    config: dict[str, Any] = {
        theirs: value for ours, theirs in names.items() if (value := getattr(request, ours)) is not None
    }
    if request.stop is not None:
        config["stopSequences"] = [request.stop] if isinstance(request.stop, str) else list(request.stop)
    return config


def _output(request: ChatRequest) -> dict[str, Any]:
    output: dict[str, Any] = {}
    kind, schema = schema_of(request)
    if schema is not None and request.response_format is not None:
        given = request.response_format["json_schema"]
        described = {key: given[key] for key in ("name", "description") if given.get(key)}
        described["schema"] = msgspec.json.encode(schema).decode()
        output["textFormat"] = {"type": "json_schema", "structure": {"jsonSchema": described}}
    elif kind != "text":
        raise ValueError(f"{_FORM} has no word for `response_format` json_object: give a json_schema")
    wanted = request.reasoning
    if wanted is not None and wanted.budget is None and wanted.effort not in {None, "none"}:
        output["effort"] = "low" if wanted.effort == "minimal" else wanted.effort
    return output


def _further(request: ChatRequest, model: str) -> dict[str, Any]:
    """Return what only some models understand, under the names of their own."""
    further: dict[str, Any] = {}
    is_claude = _CLAUDE.search(model) is not None
    if request.top_k is not None:
        if not is_claude:
            raise ValueError(f"{_FORM} has no word for `top_k` with this model: see `additionalModelRequestFields`")
        further["top_k"] = request.top_k
    wanted = request.reasoning
    if wanted is not None and is_claude and (wanted.budget or wanted.is_adaptive):
        further["thinking"] = (
            {"type": "enabled", "budget_tokens": wanted.budget} if wanted.budget else {"type": "adaptive"}
        )
    if request.parallel_tool_calls is False and request.tools:
        if not is_claude:
            raise ValueError(f"{_FORM} has no word for `parallel_tool_calls` with this model")
        further["tool_choice"] = {"type": "auto", "disable_parallel_tool_use": True}
    return further


def _tools(request: ChatRequest) -> dict[str, Any]:
    tools = [_tool(function) for function in functions_of(request, _FORM)]
    choice = choice_of(request) if tools else None
    if not tools:
        # A conversation that holds calls must be sent with their declarations.
        if any(message.tool_calls or message.role == "tool" for message in request.messages):
            raise ValueError("`tools` must declare the tools whose calls `messages` holds: Bedrock asks for it")
        return {}
    if choice is not None and choice[0] == "none":
        raise ValueError(f"{_FORM} has no word for `tool_choice` none: leave the tools out")
    config: dict[str, Any] = {"tools": tools}
    if choice is not None:
        mode, name = choice
        config["toolChoice"] = {"tool": {"name": name}} if name else {"any" if mode == "required" else "auto": {}}
    return config


def _tool(function: dict[str, Any]) -> dict[str, Any]:
    schema: Any = function.get("parameters") or {"type": "object"}
    spec: dict[str, Any] = {"name": function["name"], "inputSchema": {"json": schema}}
    if function.get("description"):
        spec["description"] = function["description"]
    return {"toolSpec": spec}


def _blocks(message: Message) -> list[dict[str, Any]]:
    if message.role == "function":
        raise ValueError("messages of the role `function` have no id that Bedrock could be told: use `tool`")
    if message.role == "tool":
        result: dict[str, Any] = {"toolUseId": message.tool_call_id or "", "content": _content(message)}
        if message.is_error:
            result["status"] = "error"
        return _kept([{"toolResult": result}], message.cache)
    if message.function_call is not None:
        raise ValueError("`function_call` has no id that Bedrock could be told: use `tool_calls`")
    blocks = [block for thought in message.thoughts if (block := _thought(thought)) is not None]
    blocks += _content(message) if message.content else []
    for call in message.tool_calls:
        use = {"toolUseId": call.id, "name": call.name, "input": arguments_of(call.arguments, call.name)}
        blocks += _kept([{"toolUse": use}], call.cache)
    # A block of text must not be empty.
    return blocks or [{"text": " "}]


def _thought(thought: Thought) -> dict[str, Any] | None:
    if thought.hidden:
        return {"reasoningContent": {"redactedContent": thought.hidden}}
    if not thought.signature or thought.signature.startswith(_GUARDED):
        return None
    return {"reasoningContent": {"reasoningText": {"text": thought.text, "signature": thought.signature}}}


def _texts(message: Message) -> list[dict[str, Any]]:
    blocks = _content(message)
    if any("text" not in block and "cachePoint" not in block for block in blocks):
        raise ValueError("instructions of the system are text alone")
    return blocks


def _content(message: Message) -> list[dict[str, Any]]:
    if isinstance(message.content, str):
        return [{"text": message.content}] if message.content else [{"text": " "}]
    blocks: list[dict[str, Any]] = []
    for place, part in enumerate(message.content):
        blocks += _kept([_block(part, place)], None if isinstance(part, AudioPart) else part.cache)
    return blocks


def _kept(blocks: list[dict[str, Any]], cache: str | None) -> list[dict[str, Any]]:
    """Return the blocks, followed by the mark of a place up to which the cache shall keep all."""
    if cache is None:
        return blocks
    point: dict[str, Any] = {"type": "default"}
    return [*blocks, {"cachePoint": {**point, "ttl": cache} if cache != "5m" else point}]


def _block(part: Part, place: int) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"text": part.text or " "}
    if isinstance(part, AudioPart):
        return {"audio": {"format": part.format, "source": {"bytes": base64_of(part.data)}}}
    if part.data is None:
        raise ValueError("Bedrock takes pictures and documents as bytes alone, not by address")
    source = {"bytes": base64_of(part.data)}
    if isinstance(part, ImagePart):
        kind = part.media_type.partition("/")[2]
        if kind not in {"png", "jpeg", "gif", "webp"}:
            raise ValueError(f"Bedrock takes pictures as png, jpeg, gif or webp, not {part.media_type}")
        return {"image": {"format": kind, "source": source}}
    return {"document": {"format": _format(part), "name": _name(part, place), "source": source}}


def _format(part: FilePart) -> str:
    kind = _DOCUMENTS.get(part.media_type.partition(";")[0])
    if kind is None:
        raise ValueError(f"Bedrock takes no documents of the kind {part.media_type}")
    return kind


def _name(part: FilePart, place: int) -> str:
    # Names must differ, and hold few kinds of letters.
    stem = _NOT_A_NAME.sub(" ", (part.name or "document").rpartition(".")[0] or part.name or "document")
    return f"{' '.join(stem.split())[:180] or 'document'} {place + 1}"
