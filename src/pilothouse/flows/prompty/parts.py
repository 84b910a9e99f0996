"""Inputs of a prompty that stand for more than text: conversations, images, files and sounds."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast, get_args

from pilothouse.core.errors import DataError
from pilothouse.flows.prompts.images import Image, load_image
from pilothouse.models.types import (
    AudioPart,
    Content,
    FilePart,
    ImagePart,
    Message,
    Part,
    Role,
    TextPart,
    ToolCall,
)

_DATA = re.compile(r"data:(?P<type>[\w.+-]+/[\w.+-]+);base64,(?P<data>.*)", re.DOTALL)
_ROLES: tuple[str, ...] = get_args(Role)
_TYPES = {".pdf": "application/pdf", ".txt": "text/plain", ".md": "text/markdown", ".json": "application/json"}


def media_part(kind: str, value: Any, name: str, folder: Path) -> Part:
    """Return the part of a message that an input stands for.

    Args:
        kind: ``image``, ``file`` or ``audio``.
        value: A file of the prompty's folder, a ``data:`` address, base64 for sounds, or for images what prompt flow
            takes, addresses of the web among it.
        name: The input, for errors.
        folder: The prompty's folder.

    Raises:
        DataError: when it cannot be read, or names a file outside of the folder.
    """
    if kind == "image":
        image: Any = load_image(value, folder)
        return image_part(image)
    data, media_type = _bytes(value, name, folder, is_sound=kind == "audio")
    if kind == "audio":
        return AudioPart(data=data, format="mp3" if media_type in {"audio/mpeg", "audio/mp3"} else "wav")
    title = Path(str(value)).name if not str(value).startswith("data:") else name
    return FilePart(name=title, data=data, media_type=media_type)


def image_part(image: Image) -> ImagePart:
    """Return an image as a part of a message."""
    if image.source_url is not None:
        return ImagePart(url=image.source_url)
    return ImagePart(data=bytes(image), media_type=image.mime_type)


def _bytes(value: Any, name: str, folder: Path, *, is_sound: bool) -> tuple[bytes, str]:
    expected = f"a file below {folder}, or data:<type>;base64,..."
    if not isinstance(value, str):
        raise DataError(f"the input '{name}' is not the name of a file", expected=expected)
    match = _DATA.fullmatch(value)
    try:
        if match:
            return base64.b64decode(match["data"], validate=True), match["type"]
        path = (folder / value).resolve()
        if path.is_relative_to(folder.resolve()) and path.is_file():
            kind = "audio/mpeg" if path.suffix.lower() == ".mp3" else "audio/wav"
            return path.read_bytes(), kind if is_sound else _TYPES.get(path.suffix.lower(), "application/octet-stream")
        if is_sound:
            return base64.b64decode(value, validate=True), "audio/wav"
    except (OSError, ValueError, binascii.Error) as error:
        raise DataError(f"the input '{name}' cannot be read: '{value[:60]}'", expected=expected) from error
    raise DataError(f"the input '{name}' names no file of the prompty's folder: '{value[:60]}'", expected=expected)


# Conversations


def thread_messages(value: Any, name: str, folder: Path) -> list[Message]:
    """Return the messages of a conversation.

    Args:
        value: Messages in OpenAI's or Prompty's form, or prompt flow's turns of ``inputs`` and ``outputs``.
        name: The input, for errors.
        folder: The prompty's folder.

    Raises:
        DataError: for an item that is neither, with its number.
    """
    if value is None or value == "":
        return []
    if not isinstance(value, list):
        raise DataError(f"the input '{name}' is not a conversation", expected="a list of messages")
    found: list[Message] = []
    for number, item in enumerate(cast("list[Any]", value)):
        place = f"message {number} of '{name}'"
        if not isinstance(item, Mapping):
            raise DataError(f"{place} is not a message", expected='{"role": "user", "content": "..."}')
        found += _messages(cast("Mapping[str, Any]", item), place, folder)
    return found


def _messages(item: Mapping[str, Any], place: str, folder: Path) -> Iterator[Message]:
    if "role" not in item and isinstance(item.get("inputs"), Mapping):
        for role, key in (("user", "inputs"), ("assistant", "outputs")):
            values = list(cast("Mapping[str, Any]", item.get(key) or {}).values())
            if len(values) != 1:
                raise DataError(
                    f"{place} has {len(values)} {key}, so it is not clear what was said",
                    expected='{"role": "user", "content": "..."}',
                )
            yield Message(role=cast("Role", role), content=str(values[0]))
        return
    role = item.get("role")
    if role not in _ROLES:
        raise DataError(f"the role of {place} is {role!r}", expected=", ".join(_ROLES))
    yield Message(
        role=role,
        content=_content(item.get("content", item.get("parts")), place, folder),
        name=_word(item.get("name")),
        tool_call_id=_word(item.get("tool_call_id")),
        tool_calls=tuple(_call(call, place) for call in item.get("tool_calls") or ()),
    )


def _word(value: Any) -> str | None:
    return str(value) if value is not None else None


def _call(item: Any, place: str) -> ToolCall:
    try:
        function = item["function"]
        return ToolCall(id=str(item["id"]), name=str(function["name"]), arguments=str(function["arguments"]))
    except (KeyError, TypeError) as error:
        raise DataError(f"a tool call of {place} is not in OpenAI's form") from error


def _content(value: Any, place: str, folder: Path) -> Content:
    if value is None or isinstance(value, str):
        return value or ""
    if not isinstance(value, list):
        raise DataError(f"the content of {place} is not a text", expected="a text, or a list of parts")
    parts = tuple(_part(item, place, folder) for item in cast("list[Any]", value))
    texts = [part.text for part in parts if isinstance(part, TextPart)]
    return "".join(texts) if len(texts) == len(parts) else parts


def _part(item: Any, place: str, folder: Path) -> Part:
    if isinstance(item, str):
        return TextPart(text=item)
    fields: Mapping[str, Any] = cast("Mapping[str, Any]", item) if isinstance(item, Mapping) else {}
    kind = fields.get("type", fields.get("kind"))
    if kind == "text":
        return TextPart(text=str(fields.get("text", fields.get("value", ""))))
    if kind in {"image_url", "image", "file", "audio"}:
        inner: Any = fields.get(str(kind))
        source = inner.get("url") if isinstance(inner, dict) else fields.get("source", fields.get("value", inner))  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        return media_part("image" if kind == "image_url" else str(kind), source, place, folder)
    raise DataError(f"a part of {place} is of the kind {kind!r}", expected="text, image, file or audio")
