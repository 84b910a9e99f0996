"""Blocks of content of Anthropic's form, read and written."""

from __future__ import annotations

import base64
from typing import Any, Final, cast

import msgspec

from pilothouse.gateway.dialects.reading import bytes_of, fields_of, list_of, read_object, text_of
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

FORM: Final = "Anthropic"

_FOREIGN: Final = "gemini-"
"""How signatures of thoughts begin that Google made: this vendor refuses them."""


def cache_of(block: dict[str, Any]) -> str | None:
    """Return how long a block shall be kept in the cache."""
    mark: Any = block.get("cache_control")
    return str(cast("dict[str, Any]", mark).get("ttl") or "5m") if isinstance(mark, dict) else None


def text_blocks(blocks: list[Any], where: str) -> Content:
    """Return blocks of text as content.

    Raises:
        ValueError: for a block of another kind.
    """
    parts: list[TextPart] = []
    for place, item in enumerate(blocks):
        block = fields_of(item, f"{where}[{place}]")
        if block.get("type") != "text":
            raise ValueError(f"{where}[{place}].type must be text, not {block.get('type')!r}")
        parts.append(TextPart(text=text_of(block.get("text"), f"{where}[{place}].text"), cache=cache_of(block)))
    return plain(tuple(parts))


def plain(parts: tuple[Part, ...]) -> Content:
    """Return content as text alone where it is one piece of it."""
    if not parts:
        return ""
    first = parts[0]
    return first.text if len(parts) == 1 and isinstance(first, TextPart) and first.cache is None else parts


def decode_blocks(content: Any, where: str, role: Role = "assistant") -> Message:
    """Read what an assistant said.

    Raises:
        ValueError: for a block that has no place in our nouns.
    """
    parts: list[Part] = []
    calls: list[ToolCall] = []
    thoughts: list[Thought] = []
    for place, item in enumerate(list_of(content, where)):
        block = fields_of(item, f"{where}[{place}]")
        kind = block.get("type")
        if kind == "tool_use":
            calls.append(_call(block, f"{where}[{place}]"))
        elif kind == "thinking":
            text = text_of(block.get("thinking", ""), f"{where}[{place}].thinking")
            thoughts.append(Thought(text=text, signature=str(block.get("signature") or "")))
        elif kind == "redacted_thinking":
            thoughts.append(Thought(hidden=text_of(block.get("data"), f"{where}[{place}].data")))
        else:
            parts.append(_part(block, f"{where}[{place}]"))
    return Message(
        role=role,
        content=plain(tuple(parts)),
        tool_calls=tuple(calls),
        thoughts=tuple(thoughts),
        reasoning="".join(thought.text for thought in thoughts) or None,
    )


def decode_results(content: Any, where: str) -> tuple[list[Message], tuple[Part, ...]]:
    """Read what a user said: results of tools, which are messages of their own for us, and the rest.

    Raises:
        ValueError: for a block that has no place in our nouns.
    """
    results: list[Message] = []
    rest: list[Part] = []
    for place, item in enumerate(list_of(content, where)):
        spot = f"{where}[{place}]"
        block = fields_of(item, spot)
        if block.get("type") != "tool_result":
            rest.append(_part(block, spot))
            continue
        said: Any = block.get("content") or ""
        results.append(
            Message(
                role="tool",
                tool_call_id=text_of(block.get("tool_use_id"), f"{spot}.tool_use_id"),
                content=said
                if isinstance(said, str)
                else plain(tuple(_part(fields_of(part, spot), spot) for part in list_of(said, f"{spot}.content"))),
                is_error=bool(block.get("is_error")),
                cache=cache_of(block),
            )
        )
    return results, tuple(rest)


def _call(block: dict[str, Any], where: str) -> ToolCall:
    given = fields_of(block.get("input", {}), f"{where}.input")
    return ToolCall(
        id=text_of(block.get("id"), f"{where}.id"),
        name=text_of(block.get("name"), f"{where}.name"),
        arguments=msgspec.json.encode(given).decode(),
        cache=cache_of(block),
    )


def _part(block: dict[str, Any], where: str) -> Part:
    kind = block.get("type")
    if kind == "text":
        return TextPart(text=text_of(block.get("text"), f"{where}.text"), cache=cache_of(block))
    if kind not in ("image", "document"):
        raise ValueError(f"{where}: a block of the kind {kind!r} cannot be translated")
    source = fields_of(block.get("source"), f"{where}.source")
    if kind == "document":
        return _document(block, source, where)
    if source.get("type") == "url":
        return ImagePart(url=text_of(source.get("url"), f"{where}.source.url"), cache=cache_of(block))
    if source.get("type") != "base64":
        raise ValueError(f"{where}.source: an image kept by Anthropic cannot be translated; send its bytes")
    return ImagePart(
        data=bytes_of(text_of(source.get("data"), f"{where}.source.data"), f"{where}.source.data"),
        media_type=str(source.get("media_type") or "image/png"),
        cache=cache_of(block),
    )


def _document(block: dict[str, Any], source: dict[str, Any], where: str) -> FilePart:
    name = block.get("title")
    cites: Any = block.get("citations")
    if isinstance(cites, dict) and cast("dict[str, Any]", cites).get("enabled"):
        raise ValueError(f"{where}.citations cannot be said in the form of another vendor")
    kind = source.get("type")
    if kind == "url":
        return FilePart(url=text_of(source.get("url"), f"{where}.source.url"), name=name, cache=cache_of(block))
    data = source.get("data")
    media_type = str(source.get("media_type") or "application/pdf")
    if kind == "text":
        text = text_of(data, f"{where}.source.data")
        return FilePart(data=text.encode(), media_type="text/plain", name=name, cache=cache_of(block))
    if kind != "base64":
        raise ValueError(f"{where}.source: a document of the kind {kind!r} cannot be translated; send its bytes")
    read = bytes_of(text_of(data, f"{where}.source.data"), f"{where}.source.data")
    return FilePart(data=read, media_type=media_type, name=name, cache=cache_of(block))


def encode_content(content: Content) -> list[dict[str, Any]]:
    """Return content as blocks; none for an empty text, which this form refuses.

    Raises:
        ValueError: for a part this form has no block for.
    """
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return [_block(part) for part in content if not (isinstance(part, TextPart) and not part.text)]


def marked(block: dict[str, Any], cache: str | None) -> dict[str, Any]:
    """Return a block with its mark for the cache."""
    if cache is None:
        return block
    ttl = {} if cache == "5m" else {"ttl": cache}
    return {**block, "cache_control": {"type": "ephemeral", **ttl}}


def _block(part: Part) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return marked({"type": "text", "text": part.text}, part.cache)
    if isinstance(part, AudioPart):
        raise unsaid(FORM, "input_audio", "Claude hears no sound")
    if isinstance(part, ImagePart):
        return marked({"type": "image", "source": _source(part.url, part.data, part.media_type)}, part.cache)
    if part.file_id is not None:
        raise unsaid(FORM, "file_id", "a file kept by another vendor cannot be read there; send its bytes")
    if part.media_type.startswith("text/") and part.data is not None:
        source = {"type": "text", "media_type": "text/plain", "data": part.data.decode("utf-8", errors="strict")}
    else:
        source = _source(part.url, part.data, part.media_type)
    title = {"title": part.name} if part.name else {}
    return marked({"type": "document", "source": source, **title}, part.cache)


def _source(url: str | None, data: bytes | None, media_type: str) -> dict[str, Any]:
    if data is None:
        return {"type": "url", "url": url or ""}
    return {"type": "base64", "media_type": media_type, "data": base64.b64encode(data).decode("ascii")}


def encode_call(call: ToolCall) -> dict[str, Any]:
    """Return a call of a tool as a block.

    Raises:
        ValueError: where its arguments are no JSON object.
    """
    given = read_object(call.arguments.encode(), f"the arguments of the tool {call.name!r}") if call.arguments else {}
    return marked({"type": "tool_use", "id": call.id, "name": call.name, "input": given}, call.cache)


def encode_thoughts(message: Message) -> list[dict[str, Any]]:
    """Return the thoughts that this vendor has signed as blocks."""
    blocks: list[dict[str, Any]] = []
    for thought in message.thoughts:
        if thought.hidden and not thought.id:
            blocks.append({"type": "redacted_thinking", "data": thought.hidden})
        elif thought.signature and not thought.signature.startswith(_FOREIGN):
            blocks.append({"type": "thinking", "thinking": thought.text, "signature": thought.signature})
    return blocks
