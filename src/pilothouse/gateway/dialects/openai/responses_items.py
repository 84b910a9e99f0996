"""Items of OpenAI's responses form, which make up its input: read into messages, and written from them."""

from __future__ import annotations

import base64
from typing import Any, Final

from pilothouse.gateway.dialects.reading import bytes_of, data_url, fields_of, list_of, text_of
from pilothouse.gateway.dialects.saying import unsaid
from pilothouse.models.types import (
    AudioPart,
    Content,
    FilePart,
    ImagePart,
    Message,
    Part,
    Role,
    TextPart,
    Thought,
    ToolCall,
)

FORM: Final = "responses"
_ROLES: Final[dict[str, Role]] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "developer",
}


class Assistant:
    """Gathers the items of one turn of an assistant: its thoughts, its words, its calls of tools."""

    def __init__(self) -> None:
        self.thoughts: list[Thought] = []
        self.parts: list[Part] = []
        self.calls: list[ToolCall] = []
        self.refusal: str | None = None
        self.annotations: list[dict[str, Any]] = []

    def message(self) -> Message | None:
        """Return the turn; None where nothing was gathered."""
        if not (self.thoughts or self.parts or self.calls or self.refusal):
            return None
        first = self.parts[0] if len(self.parts) == 1 else None
        return Message(
            role="assistant",
            content=first.text if isinstance(first, TextPart) else (tuple(self.parts) or ""),
            tool_calls=tuple(self.calls),
            thoughts=tuple(self.thoughts),
            reasoning="".join(thought.text for thought in self.thoughts) or None,
            refusal=self.refusal,
            annotations=tuple(self.annotations),
        )

    def add(self, item: dict[str, Any], where: str) -> None:
        """Take an item.

        Raises:
            ValueError: for an item that has no place in our nouns.
        """
        kind = item.get("type", "message")
        if kind == "function_call":
            self.calls.append(
                ToolCall(
                    id=text_of(item.get("call_id"), f"{where}.call_id"),
                    name=text_of(item.get("name"), f"{where}.name"),
                    arguments=text_of(item.get("arguments", ""), f"{where}.arguments"),
                )
            )
        elif kind == "reasoning":
            self.thoughts.append(_thought(item, where))
        elif kind == "message":
            self._words(item.get("content"), f"{where}.content")
        else:
            raise ValueError(f"{where}: an item of the kind {kind!r} cannot be translated")

    def _words(self, content: Any, where: str) -> None:
        if isinstance(content, str):
            self.parts.append(TextPart(text=content))
            return
        for place, value in enumerate(list_of(content, where)):
            part = fields_of(value, f"{where}[{place}]")
            if part.get("type") == "refusal":
                self.refusal = (self.refusal or "") + text_of(part.get("refusal"), f"{where}[{place}].refusal")
            else:
                self.parts.append(_part(part, f"{where}[{place}]"))
                self.annotations.extend(part.get("annotations") or ())


def decode_items(items: list[Any]) -> tuple[Message, ...]:
    """Read the input of a request.

    Raises:
        ValueError: naming the item that has no place in our nouns.
    """
    messages: list[Message] = []
    turn = Assistant()

    def close() -> Assistant:
        message = turn.message()
        if message is not None:
            messages.append(message)
        return Assistant()

    for place, value in enumerate(items):
        where = f"input[{place}]"
        item = fields_of(value, where)
        kind = item.get("type", "message")
        role = _ROLES.get(str(item.get("role")), "assistant")
        if kind == "function_call_output":
            turn = close()
            messages.append(_result(item, where))
        elif kind == "message" and role != "assistant":
            turn = close()
            messages.append(Message(role=role, content=_content(item.get("content"), f"{where}.content")))
        else:
            if kind == "message" and item.get("role") != "assistant":
                raise ValueError(f"{where}.role must be one of {', '.join(_ROLES)}, not {item.get('role')!r}")
            if kind == "reasoning" and (turn.parts or turn.calls):
                turn = close()
            turn.add(item, where)
    close()
    return tuple(messages)


def _result(item: dict[str, Any], where: str) -> Message:
    call_id = text_of(item.get("call_id"), f"{where}.call_id")
    return Message(role="tool", tool_call_id=call_id, content=_content(item.get("output"), f"{where}.output"))


def _thought(item: dict[str, Any], where: str) -> Thought:
    summary = list_of(item.get("summary") or item.get("content") or [], f"{where}.summary")
    texts = [str(fields_of(part, f"{where}.summary").get("text") or "") for part in summary]
    return Thought(
        text="\n\n".join(texts), hidden=str(item.get("encrypted_content") or ""), id=str(item.get("id") or "")
    )


def _content(content: Any, where: str) -> Content:
    if isinstance(content, str):
        return content
    parts = tuple(
        _part(fields_of(part, f"{where}[{place}]"), f"{where}[{place}]")
        for place, part in enumerate(list_of(content, where))
    )
    first = parts[0] if len(parts) == 1 else None
    return first.text if isinstance(first, TextPart) else parts


def _part(part: dict[str, Any], where: str) -> Part:
    kind = part.get("type")
    if kind in {"input_text", "output_text", "text"}:
        return TextPart(text=text_of(part.get("text"), f"{where}.text"))
    if kind == "input_image":
        if part.get("image_url") is None:
            raise ValueError(f"{where}: an image kept by OpenAI cannot be translated; send its bytes")
        url = text_of(part["image_url"], f"{where}.image_url")
        inline = data_url(url, f"{where}.image_url")
        detail = part.get("detail")
        if inline is None:
            return ImagePart(url=url, detail=detail)
        return ImagePart(media_type=inline[0], data=inline[1], detail=detail)
    if kind == "input_audio":
        sound = fields_of(part.get("input_audio"), f"{where}.input_audio")
        data = bytes_of(text_of(sound.get("data"), f"{where}.input_audio.data"), f"{where}.input_audio.data")
        return AudioPart(data=data, format=str(sound.get("format") or "wav"))
    if kind == "input_file":
        return _file(part, where)
    raise ValueError(f"{where}: a part of the kind {kind!r} cannot be translated")


def _file(part: dict[str, Any], where: str) -> FilePart:
    name = part.get("filename")
    if part.get("file_id") is not None:
        return FilePart(file_id=text_of(part["file_id"], f"{where}.file_id"), name=name)
    if part.get("file_url") is not None:
        return FilePart(url=text_of(part["file_url"], f"{where}.file_url"), name=name)
    data = text_of(part.get("file_data"), f"{where}.file_data")
    inline = data_url(data, f"{where}.file_data") or ("application/pdf", bytes_of(data, f"{where}.file_data"))
    return FilePart(media_type=inline[0], data=inline[1], name=name)


def encode_items(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    """Return messages as items.

    Raises:
        ValueError: for what this form has no item for.
    """
    items: list[dict[str, Any]] = []
    for message in messages:
        if message.role == "function" or message.function_call is not None:
            raise unsaid(FORM, "function_call", "use `tool_calls` instead")
        if message.role == "tool":
            if message.tool_call_id is None:
                raise ValueError("a message of the role `tool` must say its `tool_call_id`")
            output = message.content if isinstance(message.content, str) else _parts(message.content)
            items.append({"type": "function_call_output", "call_id": message.tool_call_id, "output": output})
        elif message.role == "assistant":
            items.extend(_turn(message))
        else:
            content = message.content if isinstance(message.content, str) else _parts(message.content)
            items.append({"type": "message", "role": message.role, "content": content})
    return items


def _turn(message: Message) -> list[dict[str, Any]]:
    if message.audio is not None:
        raise unsaid(FORM, "messages.audio")
    items: list[dict[str, Any]] = [
        {
            "type": "reasoning",
            "id": thought.id,
            "summary": [{"type": "summary_text", "text": thought.text}] if thought.text else [],
            "encrypted_content": thought.hidden,
        }
        for thought in message.thoughts
        if thought.id and thought.hidden
    ]
    said: list[dict[str, Any]] = []
    if message.text:
        said.append({"type": "output_text", "text": message.text, "annotations": list(message.annotations)})
    if message.refusal:
        said.append({"type": "refusal", "refusal": message.refusal})
    if said:
        items.append({"type": "message", "role": "assistant", "content": said})
    items.extend(
        {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments or "{}"}
        for call in message.tool_calls
    )
    return items


def _parts(parts: tuple[Part, ...]) -> list[dict[str, Any]]:
    return [_encoded(part) for part in parts]


def _encoded(part: Part) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "input_text", "text": part.text}
    if isinstance(part, ImagePart):
        url = part.url if part.data is None else _data_url(part.media_type, part.data)
        return {"type": "input_image", "image_url": url, **({"detail": part.detail} if part.detail else {})}
    if isinstance(part, AudioPart):
        sound = {"data": base64.b64encode(part.data).decode("ascii"), "format": part.format}
        return {"type": "input_audio", "input_audio": sound}
    if part.file_id is not None:
        return {"type": "input_file", "file_id": part.file_id}
    if part.url is not None:
        return {"type": "input_file", "file_url": part.url}
    data = _data_url(part.media_type, part.data or b"")
    return {"type": "input_file", "filename": part.name or "file", "file_data": data}


def _data_url(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"
