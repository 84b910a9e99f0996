"""Requests of OpenAI's chat form, read."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

from pilothouse.gateway.dialects.anthropic.blocks import decode_blocks
from pilothouse.gateway.dialects.reading import (
    bytes_of,
    convert,
    data_url,
    fields_of,
    list_of,
    read_object,
    text_of,
)
from pilothouse.models.types import (
    AudioPart,
    ChatRequest,
    Content,
    FilePart,
    ImagePart,
    Message,
    Part,
    Reasoning,
    Role,
    TextPart,
    ToolCall,
)


class Fields(Struct):
    """The fields of a request that have a place in our nouns, checked."""

    model: str
    messages: list[dict[str, Any]]
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    n: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    user: str | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    functions: list[dict[str, Any]] | None = None
    function_call: str | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: str | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    modalities: list[str] | None = None
    audio: dict[str, Any] | None = None
    verbosity: str | None = None
    service_tier: str | None = None
    metadata: dict[str, str] | None = None
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None


_SAME: Final = (
    "model",
    "temperature",
    "top_p",
    "top_k",
    "seed",
    "n",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "user",
    "tool_choice",
    "function_call",
    "response_format",
    "parallel_tool_calls",
    "logprobs",
    "top_logprobs",
    "audio",
    "verbosity",
    "service_tier",
    "metadata",
)
_LISTS: Final = ("tools", "functions", "modalities")
_ROLES: Final[dict[str, Role]] = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "function",
}


def decode_request(body: bytes) -> ChatRequest:
    """Read a request.

    Raises:
        ValueError: naming the field that is wrong.
    """
    found = read_object(body)
    fields = convert(found, Fields, "the request")
    most = fields.max_completion_tokens if fields.max_completion_tokens is not None else fields.max_tokens
    for name, number in (("max_tokens", most), ("n", fields.n)):
        if number is not None and number < 1:
            raise ValueError(f"`{name}` must be 1 or more, not {number}")
    same: dict[str, Any] = {name: getattr(fields, name) for name in _SAME}
    lists: dict[str, Any] = {name: tuple(value) for name in _LISTS if (value := getattr(fields, name)) is not None}
    return ChatRequest(
        **same,
        **lists,
        messages=tuple(decode_message(message, f"messages[{place}]") for place, message in enumerate(fields.messages)),
        max_tokens=most,
        stop=tuple(fields.stop) if isinstance(fields.stop, list) else fields.stop,
        reasoning=Reasoning(effort=fields.reasoning_effort) if fields.reasoning_effort else None,
        extra={key: value for key, value in found.items() if key not in Fields.__struct_fields__},
    )


def decode_message(message: dict[str, Any], where: str) -> Message:
    """Read one message.

    Raises:
        ValueError: naming the field that is wrong.
    """
    role = _ROLES.get(str(message.get("role")))
    if role is None:
        raise ValueError(f"{where}.role must be one of {', '.join(_ROLES)}, not {message.get('role')!r}")
    calls = message.get("tool_calls")
    call = message.get("function_call")
    signed: Any = message.get("thinking_blocks")
    content, refused = _content(message.get("content"), f"{where}.content")
    return Message(
        role=role,
        content=content,
        name=_optional(message, "name", where),
        tool_calls=tuple(_call(item, f"{where}.tool_calls") for item in list_of(calls, f"{where}.tool_calls"))
        if calls
        else (),
        tool_call_id=_optional(message, "tool_call_id", where),
        function_call=_function(call, "", f"{where}.function_call") if call else None,
        refusal=_optional(message, "refusal", where) or refused,
        reasoning=_optional(message, "reasoning_content", where) or _optional(message, "reasoning", where),
        thoughts=decode_blocks(signed, f"{where}.thinking_blocks").thoughts if signed else (),
        audio=fields_of(message["audio"], f"{where}.audio") if message.get("audio") is not None else None,
        cache=_cache(message),
    )


def _optional(message: dict[str, Any], field: str, where: str) -> str | None:
    value = message.get(field)
    return None if value is None else text_of(value, f"{where}.{field}")


def _content(content: Any, where: str) -> tuple[Content, str | None]:
    if content is None or isinstance(content, str):
        return content or "", None
    parts: list[Part] = []
    refused: str | None = None
    for place, item in enumerate(list_of(content, where)):
        spot = f"{where}[{place}]"
        part = fields_of(item, spot)
        if part.get("type") == "refusal":
            refused = (refused or "") + text_of(part.get("refusal"), f"{spot}.refusal")
        else:
            parts.append(_part(part, spot))
    return tuple(parts), refused


def _part(part: dict[str, Any], where: str) -> Part:
    kind = part.get("type")
    if kind == "text":
        return TextPart(text=text_of(part.get("text"), f"{where}.text"), cache=_cache(part))
    if kind == "image_url":
        return _image(part, where)
    if kind == "input_audio":
        sound = fields_of(part.get("input_audio"), f"{where}.input_audio")
        data = bytes_of(text_of(sound.get("data"), f"{where}.input_audio.data"), f"{where}.input_audio.data")
        return AudioPart(data=data, format=str(sound.get("format") or "wav"))
    if kind == "file":
        return _file(part, where)
    raise ValueError(f"{where}.type must be text, image_url, input_audio or file, not {kind!r}")


def _image(part: dict[str, Any], where: str) -> ImagePart:
    image = part.get("image_url")
    image = {"url": image} if isinstance(image, str) else fields_of(image, f"{where}.image_url")
    url = text_of(image.get("url"), f"{where}.image_url.url")
    inline = data_url(url, f"{where}.image_url.url")
    detail = image.get("detail")
    if inline is None:
        return ImagePart(url=url, detail=detail, cache=_cache(part))
    return ImagePart(media_type=inline[0], data=inline[1], detail=detail, cache=_cache(part))


def _file(part: dict[str, Any], where: str) -> FilePart:
    file = fields_of(part.get("file"), f"{where}.file")
    name = file.get("filename")
    if file.get("file_id") is not None:
        return FilePart(file_id=text_of(file["file_id"], f"{where}.file.file_id"), name=name, cache=_cache(part))
    data = text_of(file.get("file_data"), f"{where}.file.file_data")
    inline = data_url(data, f"{where}.file.file_data") or (
        "application/pdf",
        bytes_of(data, f"{where}.file.file_data"),
    )
    return FilePart(name=name, media_type=inline[0], data=inline[1], cache=_cache(part))


def _call(item: Any, where: str) -> ToolCall:
    call = fields_of(item, where)
    if call.get("type", "function") != "function":
        raise ValueError(f"{where}: only calls of functions can be translated, not of kind {call.get('type')!r}")
    return _function(call.get("function"), text_of(call.get("id"), f"{where}.id"), f"{where}.function", _cache(call))


def _function(value: Any, call_id: str, where: str, cache: str | None = None) -> ToolCall:
    function = fields_of(value, where)
    return ToolCall(
        id=call_id,
        name=text_of(function.get("name"), f"{where}.name"),
        arguments=text_of(function.get("arguments", ""), f"{where}.arguments"),
        cache=cache,
    )


def _cache(item: dict[str, Any]) -> str | None:
    mark: Any = item.get("cache_control")
    return str(mark.get("ttl") or "5m") if isinstance(mark, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
