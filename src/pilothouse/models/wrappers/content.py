"""What was said, as OpenTelemetry's GenAI conventions write it: JSON texts of messages made of parts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from pilothouse.models.types import AudioPart, ChatRequest, ChatResponse, FilePart, ImagePart, Message, Part, TextPart


def input_messages(request: ChatRequest) -> str:
    """Return the conversation as JSON."""
    return _encode(_message(message) for message in request.messages)


def output_messages(response: ChatResponse) -> str:
    """Return the answers as JSON."""
    answers = response.choices or (response.message,)
    return _encode({**_message(answer), "finish_reason": response.finish_reason or ""} for answer in answers)


def prompt_message(prompt: str) -> str:
    """Return a prompt for completion as JSON."""
    return _encode([{"role": "user", "parts": [{"type": "text", "content": prompt}]}])


def tool_definitions(request: ChatRequest) -> str | None:
    """Return the declared tools as JSON; None where there are none."""
    declared: Sequence[dict[str, Any]] = request.tools or request.functions or ()
    return _encode(declared) if declared else None


def _message(message: Message) -> dict[str, Any]:
    parts: list[dict[str, Any]] = []
    if message.reasoning:
        parts.append({"type": "reasoning", "content": message.reasoning})
    if isinstance(message.content, str):
        kind = "tool_call_response" if message.role in {"tool", "function"} else "text"
        if kind == "text" and message.content:
            parts.append({"type": "text", "content": message.content})
        elif kind != "text":
            parts.append({"type": kind, "id": message.tool_call_id or "", "response": message.content})
    else:
        parts.extend(_part(part) for part in message.content)
    if message.refusal:
        parts.append({"type": "refusal", "content": message.refusal})
    calls = message.tool_calls + ((message.function_call,) if message.function_call else ())
    parts.extend({"type": "tool_call", "id": call.id, "name": call.name, "arguments": call.arguments} for call in calls)
    return {"role": message.role, "parts": parts, **({"name": message.name} if message.name else {})}


def _part(part: Part) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "content": part.text}
    if isinstance(part, ImagePart) and part.data is None:
        return {"type": "uri", "modality": "image", "uri": part.url}
    if isinstance(part, FilePart) and part.file_id is not None:
        return {"type": "file", "file_id": part.file_id}
    # A span is no place for megabytes: their kind and size are told.
    kind = {ImagePart: "image", AudioPart: "audio", FilePart: "document"}[type(part)]
    media_type = f"audio/{part.format}" if isinstance(part, AudioPart) else part.media_type
    return {"type": "blob", "modality": kind, "mime_type": media_type, "size": len(part.data or b"")}


def _encode(value: Iterable[dict[str, Any]]) -> str:
    return msgspec.json.encode(list(value)).decode()
