"""Mustache templates, as Prompty 2 has them beside Jinja's.

Variables, sections, inverted sections, comments and other delimiters, with the rules for lines that hold only a tag.
Nothing is escaped: a prompt is not HTML. There are no partials, since there is no place to take them from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from msgspec import Struct

from pilothouse.core.errors import FlowError

_SIGNS = ("#", "^", "/", "!", "=", "{", "&", ">")
_ALONE = ("#", "^", "/", "!", "=")
_SECTIONS = ("#", "^", "/")
_DEEPEST = 50
_NAME = re.compile(r"[^\s{}]+")
_IMAGE = re.compile(r"!\[\s*image\s*\]\(\{\{\{?\s*([^\s{}]+)\s*\}?\}\}\)")


class _Tag(Struct, frozen=True):
    """A piece of the template: text (no ``kind``), a variable (``&``), or a section with what is inside of it."""

    kind: str
    text: str
    line: int
    inner: tuple[_Tag, ...] = ()


class Mustache:
    """A compiled template; made and used like `Template`.

    Attributes:
        text: Its source.
        path: The file it came from.
        variables: What it reads from outside, in the order in which it names them.
        images: Those of them that stand as ``![image]({{x}})``.
        skipped: Line breaks before its text, that keep its lines those of the file.
    """

    def __init__(self, text: str, path: Path, *, skipped: int = 0) -> None:
        self.text = text
        self.path = path
        self.skipped = 0
        self._line = skipped
        self.images: frozenset[str] = frozenset(_IMAGE.findall(text))
        pieces = list(self._pieces(_IMAGE.sub(r"{{{\1}}}", text)))
        self._tree, rest = self._nested(pieces, 0, ())
        assert rest == len(pieces)
        self.variables: tuple[str, ...] = tuple(dict.fromkeys(_outer_names(self._tree, False)))

    def render(self, values: Mapping[str, Any]) -> str:
        """Return the text with ``values`` filled in; what is not given is empty."""
        return "".join(_rendered(self._tree, (values,)))

    def _fault(self, message: str, line: int, expected: str | None = None) -> FlowError:
        where = f"{self.path}:{self._line + line}"
        return FlowError(f"the template cannot be read: {message}", where=where, expected=expected)

    def _pieces(self, text: str) -> Iterator[_Tag]:
        """Cut the source into text and tags; a tag that stands alone takes its whole line with it."""
        opening, closing = "{{", "}}"
        position = 0
        while (start := text.find(opening, position)) != -1:
            line = text.count("\n", 0, start) + 1
            begin = start + len(opening)
            sign = text[begin : begin + 1]
            sign = sign if sign in _SIGNS else ""
            last = {"{": "}", "=": "="}.get(sign, "") + closing
            end = text.find(last, begin + len(sign))
            if end == -1:
                raise self._fault(f"the tag '{text[start : start + 20].strip()}' does not end", line, last)
            inside = text[begin + len(sign) : end].strip()
            head, position = _without_line(text, position, start, end + len(last), sign)
            if head:
                yield _Tag("", head, line)
            if sign == "=":
                opening, closing = self._delimiters(inside, line)
            elif sign == ">":
                raise self._fault(f"the partial '{inside}' is in no file", line, "the text itself")
            elif sign != "!":
                if not _NAME.fullmatch(inside):
                    raise self._fault(f"'{inside}' is not a name", line, "{{name}} or {{name.part}}")
                yield _Tag(sign if sign in _SECTIONS else "&", inside, line)
        if text[position:]:
            yield _Tag("", text[position:], 0)

    def _delimiters(self, inside: str, line: int) -> tuple[str, str]:
        parts = inside.split()
        if len(parts) != 2 or "=" in inside:
            raise self._fault(f"'{inside}' is not a pair of delimiters", line, "{{=<% %>=}}")
        return parts[0], parts[1]

    def _nested(self, pieces: list[_Tag], position: int, above: tuple[_Tag, ...]) -> tuple[tuple[_Tag, ...], int]:
        """Return what stands inside of the last of the open sections, and the position behind it."""
        found: list[_Tag] = []
        opened = above[-1] if above else None
        if opened and len(above) > _DEEPEST:
            raise self._fault(f"more than {_DEEPEST} sections stand inside of each other", opened.line)
        while position < len(pieces):
            piece = pieces[position]
            position += 1
            if piece.kind == "/":
                if opened is None or opened.text != piece.text:
                    expected = f"{{{{/{opened.text}}}}}" if opened else None
                    raise self._fault(f"the section '{piece.text}' ends, but did not begin", piece.line, expected)
                return tuple(found), position
            if piece.kind in {"#", "^"}:
                inner, position = self._nested(pieces, position, (*above, piece))
                piece = _Tag(piece.kind, piece.text, piece.line, inner)
            found.append(piece)
        if opened is not None:
            raise self._fault(f"the section '{opened.text}' does not end", opened.line, f"{{{{/{opened.text}}}}}")
        return tuple(found), position


def _without_line(text: str, floor: int, start: int, after: int, sign: str) -> tuple[str, int]:
    """Return the text before a tag and the position behind it, without the line where only the tag stands on it."""
    begin = max(text.rfind("\n", 0, start) + 1, floor)
    is_line_start = begin == 0 or text[begin - 1] == "\n"
    end = text.find("\n", after)
    end = len(text) if end == -1 else end + 1
    if sign in _ALONE and is_line_start and not text[begin:start].strip() and not text[after:end].strip():
        return text[floor:begin], end
    return text[floor:start], after


def _outer_names(tags: tuple[_Tag, ...], is_inside: bool) -> Iterator[str]:
    for tag in tags:
        # Inside of a section a name may be one of the section's own.
        if tag.kind and tag.text != "." and not is_inside:
            yield tag.text.split(".")[0]
        yield from _outer_names(tag.inner, is_inside or tag.kind == "#")


def _rendered(tags: tuple[_Tag, ...], scopes: tuple[Any, ...]) -> Iterator[str]:
    for tag in tags:
        if not tag.kind:
            yield tag.text
            continue
        value = _value(tag.text, scopes)
        if tag.kind == "&":
            yield _text(value)
        elif tag.kind == "^":
            if not value:
                yield from _rendered(tag.inner, scopes)
        elif isinstance(value, list | tuple):
            for item in cast("list[Any]", value):
                yield from _rendered(tag.inner, (*scopes, item))
        elif value:
            yield from _rendered(tag.inner, (*scopes, value))


def _value(name: str, scopes: tuple[Any, ...]) -> Any:
    if name == ".":
        return scopes[-1]
    first, *rest = name.split(".")
    value: Any = None
    for scope in reversed(scopes):
        if isinstance(scope, Mapping) and first in scope:
            value = cast("Mapping[str, Any]", scope)[first]
            break
    for part in rest:
        value = cast("Mapping[str, Any]", value).get(part) if isinstance(value, Mapping) else None
    return value


def _text(value: Any) -> str:
    return "" if value is None else "true" if value is True else "false" if value is False else str(value)
