"""A rendered prompt cut into messages at its role markers, as prompt flow cuts it."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from pilothouse.core.errors import FlowError
from pilothouse.flows.prompts.images import Image
from pilothouse.flows.prompts.shield import ROLES, Marks
from pilothouse.models.types import Content, ImagePart, Message, Part, Role, TextPart, ToolCall

# Prompt flow's marker is (multiline, any case): line start, blank?, `#`?, blank?, role, blank?, `:`, blank?, line
# break. Only the part from the role on is searched for; what stands before it is checked backwards, so that a text
# of many blank lines takes linear time.
_ROLE = re.compile(rf"({'|'.join(ROLES)})\s*+:(?=[^\S\n]*+\n)\s*(?<=\n)", re.IGNORECASE)
# To look for the colon first, and for the role before it, is four times quicker than to look for a role.
_ENDING = re.compile(r":(?=[^\S\n]*+\n)\s*(?<=\n)")
_NAME = re.compile(rf"({'|'.join(ROLES)})\Z", re.IGNORECASE)
_LONGEST = max(map(len, ROLES))
_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
_JINJA = re.compile(r"\{[{%]")
_FIELD = r"\s*+:(?=[^\S\n]*+\n)\s*+(?P<value>\S++)\s*+#{0,2}+\s*+content\s*+:(?P<content>.*)"
_NAMED = re.compile("name" + _FIELD, re.DOTALL)
_CALL_ID = re.compile("tool_call_id" + _FIELD, re.DOTALL)
_CALLS = re.compile(r"tool_calls\s*+:(?=[^\S\n]*+\n)\s*+(?P<list>\[.*)", re.DOTALL)


def split_messages(text: str, *, images: Mapping[str, Image], marks: Marks | None, where: str) -> tuple[Message, ...]:
    """Return the messages of a rendered chat prompt.

    Args:
        text: The rendered template, its marks still in place.
        images: The images it may show, by their text form.
        marks: What `shield` put in place of characters of flow inputs; put back in the messages.
        where: The template's file, for errors.

    Raises:
        FlowError: for text before the first marker, or a function or tool message without its fields.
    """
    restore = _Restorer(images, marks)
    messages = tuple(_message(role, chunk, restore, where) for role, chunk in _chunks(text, restore, where))
    if not messages:
        raise FlowError("the prompt is empty", where=where, expected="at least one role and its text")
    return messages


def check_roles(text: str, path: str) -> None:
    """Refuse the text of a chat template whose messages no model takes, whatever it is filled with.

    Only what stands before the first piece of Jinja is sure: a variable may bring roles of its own.

    Raises:
        FlowError: for text above the first role, or an answer of a tool before anything was asked, with its line.
    """
    sure = _JINJA.split(_COMMENT.sub(_blanked, text), maxsplit=1)
    head, is_whole = sure[0], len(sure) == 1
    first = next(
        (match for match in _ROLE.finditer(head) if _marker_start(head, match.start(), 0) is not None),
        None,
    )
    if first is None:
        if is_whole and head.strip():
            _refuse_head(head, None, _line(path, head, head))
        return
    above = head[: _marker_start(head, first.start(), 0)]
    _refuse_head(above, None, _line(path, above, above))
    if first[1].lower() in {"function", "tool"}:
        raise FlowError(
            f"the first message is one of the role {first[1].lower()}, which answers a call that nobody made",
            where=_line(path, head, head[first.start() :]),
            fix="put the assistant's message with its ## tool_calls: above it, or begin with system: or user:",
        )


def _blanked(comment: re.Match[str]) -> str:
    return "\n" * comment[0].count("\n")


def _line(path: str, text: str, part: str) -> str:
    """Return ``path:line`` of the first word of ``part``, which is the end of ``text``."""
    return f"{path}:{text.count(chr(10), 0, len(text) - len(part.lstrip())) + 1}"


def _chunks(text: str, restore: _Restorer, where: str) -> Iterator[tuple[str, str]]:
    role, start = "", 0
    for match in _ENDING.finditer(text):
        end = _skip_blank(text, match.start(), start)
        name = _NAME.search(text, max(start, end - _LONGEST), end)
        begin = _marker_start(text, name.start(), start) if name is not None else None
        if name is None or begin is None:
            continue
        if role:
            yield role, text[start:begin]
        else:
            _refuse_head(text[start:begin], restore, where)
        role, start = name[1].lower(), match.end()
    if role:
        yield role, text[start:]
    else:
        _refuse_head(text, restore, where)


def _refuse_head(text: str, restore: _Restorer | None, where: str) -> None:
    if text.strip():
        shown = restore.text(text) if restore is not None else text
        raise FlowError(
            f"a chat prompt begins with a role, but this one begins with '{shown.strip()[:60]}'",
            where=where,
            expected="a line of its own: system:, user:, assistant:, function: or tool:",
            fix="put a role above the text, or set `api: completion`",
        )


def _marker_start(text: str, position: int, floor: int) -> int | None:
    """Return where the marker whose role stands at ``position`` begins, or None when it is none.

    Before the role may stand white space, one ``#`` and white space again, back to a line start not before
    ``floor``, which is the start of a line itself.
    """
    begin = _skip_blank(text, position, floor)
    if begin > floor and text[begin - 1] == "#":
        before = _skip_blank(text, begin - 1, floor)
        start = _line_start(text, before, begin - 1, floor)
        if start is not None:
            return start
    return _line_start(text, begin, position, floor)


def _skip_blank(text: str, position: int, floor: int) -> int:
    while position > floor and text[position - 1].isspace():
        position -= 1
    return position


def _line_start(text: str, begin: int, position: int, floor: int) -> int | None:
    if begin == floor:
        return begin
    line_break = text.find("\n", begin, position)
    return line_break + 1 if line_break != -1 else None


class _Restorer:
    """Puts text of a message into its final form: marks restored, images in their places."""

    def __init__(self, images: Mapping[str, Image], marks: Marks | None) -> None:
        self._images = images
        self._marks = marks

    def text(self, value: str) -> str:
        return self._marks.restore(value) if self._marks else value

    def content(self, value: str) -> Content:
        value = value.strip()
        if not self._images:
            return self.text(value)
        parts: list[Part] = []
        for line in value.split("\n"):
            image = self._images.get(line.strip())
            if image is not None:
                parts.append(_image_part(image))
            elif line.strip():
                parts.append(TextPart(text=self.text(line)))
        return tuple(parts) if any(isinstance(part, ImagePart) for part in parts) else self.text(value)


def _image_part(image: Image) -> ImagePart:
    if image.source_url is not None:
        return ImagePart(url=image.source_url, detail="auto")
    return ImagePart(data=bytes(image), media_type=image.mime_type, detail="auto")


def _message(role: str, chunk: str, restore: _Restorer, where: str) -> Message:
    if role == "tool":
        match = _CALL_ID.search(chunk)
        if match is None:
            raise FlowError(
                "a tool message needs the id of the call it answers",
                where=where,
                expected="## tool_call_id:\n<id>\n## content:\n<text>",
            )
        return Message(
            role="tool", tool_call_id=restore.text(match["value"]), content=restore.content(match["content"])
        )
    if role == "assistant":
        calls = _tool_calls(chunk, restore)
        if calls is not None:
            return Message(role="assistant", tool_calls=calls)
    match = _NAMED.search(chunk)
    if match is not None:
        name, content = restore.text(match["value"]), restore.content(match["content"])
        return Message(role=cast("Role", role), name=name, content=content)
    if role == "function":
        raise FlowError(
            "a function message needs the name of the function it answers for",
            where=where,
            expected="## name:\n<function>\n## content:\n<text>",
        )
    return Message(role=cast("Role", role), content=restore.content(chunk))


def _tool_calls(chunk: str, restore: _Restorer) -> tuple[ToolCall, ...] | None:
    match = _CALLS.search(chunk)
    if match is None:
        return None
    text = restore.text(match["list"])
    # Prompt flow reads up to the first bracket and loses nested lists: read up to the last one first.
    for end in dict.fromkeys((text.rfind("]"), text.find("]"))):
        parsed = _parse_list(text[: end + 1])
        if parsed is not None:
            return tuple(_tool_call(item) for item in parsed)
    return None


def _parse_list(text: str) -> list[dict[str, Any]] | None:
    for parse in (ast.literal_eval, json.loads):
        try:
            parsed: Any = parse(text)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
        if isinstance(parsed, list) and all(isinstance(item, dict) for item in cast("list[Any]", parsed)):
            return cast("list[dict[str, Any]]", parsed)
    return None


def _tool_call(item: dict[str, Any]) -> ToolCall:
    function: Any = item.get("function") or {}
    arguments: Any = function.get("arguments", "")
    return ToolCall(
        id=str(item.get("id", "")),
        name=str(function.get("name", "")),
        arguments=arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False),
    )
