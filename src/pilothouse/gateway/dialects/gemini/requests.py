"""Requests to Google's models: the hub's nouns in the form of `generateContent`."""

from __future__ import annotations

import re
from typing import Any, Final, cast

import msgspec

from pilothouse.gateway.dialects.upstream_only import (
    arguments_of,
    base64_of,
    called_names,
    choice_of,
    functions_of,
    refuse_unsaid,
    schema_of,
)
from pilothouse.models.types import AudioPart, ChatRequest, FilePart, ImagePart, Message, Part, TextPart

MARK: Final = "gemini-"
"""Stands before Google's signatures of thoughts, so that another vendor's are not sent to it."""

_FORM: Final = "Gemini"
_UNSAID: Final = ("logit_bias", "audio")
_NATIVE: Final = ("safetySettings", "cachedContent", "labels")
_UNSIGNED: Final = "skip_thought_signature_validator"
_BUDGETS: Final = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}
_LEVELS: Final = {"none": "minimal", "minimal": "minimal", "low": "low", "medium": "medium", "high": "high"}
_COUNTED: Final = re.compile(r"gemini-(1|2)\b")
_MODES: Final = {"auto": "AUTO", "none": "NONE", "required": "ANY"}
_SAME: Final = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "max_tokens": "maxOutputTokens",
    "seed": "seed",
    "n": "candidateCount",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "logprobs": "responseLogprobs",
    "top_logprobs": "logprobs",
}
_KINDS: Final = {"jpg": "jpeg", "mp3": "mpeg", "pcm16": "pcm"}
_ENDINGS: Final = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "gif": "image/gif",
}


def encode_request(request: ChatRequest, model: str) -> bytes:
    """Return the body of a request; the model stands in the address.

    Raises:
        ValueError: for what this form cannot say.
    """
    body: dict[str, Any] = refuse_unsaid(request, _FORM, _UNSAID, _NATIVE)
    if request.parallel_tool_calls is False and request.tools:
        raise ValueError(f"{_FORM} has no word for `parallel_tool_calls` false")
    system: list[dict[str, Any]] = []
    contents: list[dict[str, Any]] = []
    names = called_names(request.messages)
    for message in request.messages:
        if message.role in {"system", "developer"}:
            system += _parts(message)
            continue
        role = "model" if message.role == "assistant" else "user"
        parts = _spoken(message, model) if role == "model" else _heard(message, names)
        # The answers to parallel calls must stand in one content.
        if contents and contents[-1]["role"] == role:
            contents[-1]["parts"] += parts
        else:
            contents.append({"role": role, "parts": parts})
    if not contents:
        raise ValueError("`messages` holds nothing but instructions: Gemini wants a message of the user")
    body["contents"] = contents
    if system:
        body["systemInstruction"] = {"parts": system}
    config = _config(request, model)
    if config:
        body["generationConfig"] = config
    return msgspec.json.encode({**body, **_tools(request)})


def _config(request: ChatRequest, model: str) -> dict[str, Any]:
    config: dict[str, Any] = {
        theirs: value for ours, theirs in _SAME.items() if (value := getattr(request, ours)) is not None
    }
    if request.stop is not None:
        config["stopSequences"] = [request.stop] if isinstance(request.stop, str) else list(request.stop)
    kind, schema = schema_of(request)
    if kind != "text":
        config["responseMimeType"] = "application/json"
    if schema is not None:
        config["responseJsonSchema"] = schema
    if request.modalities is not None:
        config["responseModalities"] = [word.upper() for word in request.modalities]
    thinking = _thinking(request, model)
    if thinking:
        config["thinkingConfig"] = thinking
    return config


def _thinking(request: ChatRequest, model: str) -> dict[str, Any]:
    wanted = request.reasoning
    if wanted is None:
        return {}
    thinking: dict[str, Any] = {}
    effort = wanted.effort
    if wanted.budget is not None:
        thinking["thinkingBudget"] = wanted.budget
    elif wanted.is_adaptive and effort is None:
        thinking["thinkingBudget"] = -1
    elif effort is not None:
        # Beyond `high` there is no word.
        if _COUNTED.search(model):
            thinking["thinkingBudget"] = _BUDGETS.get(effort, _BUDGETS["high"])
        else:
            thinking["thinkingLevel"] = _LEVELS.get(effort, "high")
    if wanted.summary is not None or (wanted.budget or 0) > 0 or wanted.is_adaptive:
        thinking["includeThoughts"] = True
    return thinking


def _tools(request: ChatRequest) -> dict[str, Any]:
    functions = functions_of(request, _FORM)
    if not functions:
        return {}
    declared: list[dict[str, Any]] = []
    for function in functions:
        item: dict[str, Any] = {"name": function["name"]}
        if function.get("description"):
            item["description"] = function["description"]
        if function.get("parameters"):
            item["parametersJsonSchema"] = function["parameters"]
        declared.append(item)
    tools: dict[str, Any] = {"tools": [{"functionDeclarations": declared}]}
    choice = choice_of(request)
    if choice is not None:
        mode, name = choice
        calling: dict[str, Any] = {"mode": _MODES.get(mode, "ANY")}
        if name:
            calling["allowedFunctionNames"] = [name]
        tools["toolConfig"] = {"functionCallingConfig": calling}
    return tools


def _spoken(message: Message, model: str) -> list[dict[str, Any]]:
    parts = _parts(message)
    signatures = [thought.signature.removeprefix(MARK) for thought in message.thoughts if MARK in thought.signature[:7]]
    calls = [*message.tool_calls, *([message.function_call] if message.function_call else [])]
    for place, call in enumerate(calls):
        part: dict[str, Any] = {"functionCall": {"name": call.name, "args": arguments_of(call.arguments, call.name)}}
        if place < len(signatures):
            part["thoughtSignature"] = signatures[place]
        elif place == 0 and not _COUNTED.search(model):
            # Later models want a signature on the first call; the client's form had no room to bring it back.
            part["thoughtSignature"] = _UNSIGNED
        parts.append(part)
    return parts or [{"text": ""}]


def _heard(message: Message, names: dict[str, str]) -> list[dict[str, Any]]:
    if message.role not in {"tool", "function"}:
        return _parts(message) or [{"text": ""}]
    name = names.get(message.tool_call_id or "") or message.name
    if not name:
        raise ValueError(f"no call of a tool has the id '{message.tool_call_id}' that a message answers")
    text = _plain(message)
    answer: dict[str, Any] = {"error" if message.is_error else "result": text}
    if not message.is_error:
        try:
            value: Any = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeEncodeError):
            value = None
        answer = cast("dict[str, Any]", value) if isinstance(value, dict) else answer
    return [{"functionResponse": {"name": name, "response": answer}}]


def _plain(message: Message) -> str:
    if not isinstance(message.content, str) and any(not isinstance(part, TextPart) for part in message.content):
        raise ValueError("Gemini takes text alone as the result of a tool")
    return message.text


def _parts(message: Message) -> list[dict[str, Any]]:
    if isinstance(message.content, str):
        return [{"text": message.content}] if message.content else []
    return [_part(part) for part in message.content]


def _part(part: Part) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"text": part.text}
    if isinstance(part, AudioPart):
        kind = f"audio/{_KINDS.get(part.format, part.format)}"
        return {"inlineData": {"mimeType": kind, "data": base64_of(part.data)}}
    if part.data is not None:
        return {"inlineData": {"mimeType": part.media_type, "data": base64_of(part.data)}}
    if isinstance(part, FilePart):
        place = part.url or part.file_id
        return {"fileData": {"mimeType": part.media_type, "fileUri": place}} if place else _nothing()
    return {"fileData": {"mimeType": _kind_of(part), "fileUri": part.url}} if part.url else _nothing()


def _nothing() -> dict[str, Any]:
    raise ValueError("a part of a message has neither bytes nor an address")


def _kind_of(part: ImagePart) -> str:
    ending = (part.url or "").partition("?")[0].rpartition(".")[2].lower()
    return _ENDINGS.get(ending, part.media_type)
