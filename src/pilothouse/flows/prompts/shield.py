"""The defence against role markers inside flow inputs.

A chat prompt is cut into messages at its role markers. Text that came from a flow input must not make one. So the
characters that would complete a marker are swapped for characters that occur nowhere else before the template is
rendered, and swapped back after it was cut. What a prompt node renders remembers which of its characters came from
flow inputs, and the next node swaps them again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self, cast

from msgspec import Struct

from pilothouse.core.errors import FlowError

ROLES = ("system", "user", "assistant", "function", "tool")

# Words whose colon at the end of a line means something to the parser: roles, and the parts of special messages.
_WORDS = (*ROLES, "name", "tool_calls", "tool_call_id")
# A value may also finish a word that the template or another value began.
_TAILS = sorted({word[start:] for word in _WORDS for start in range(1, len(word))}, key=len, reverse=True)
_HEADS = sorted({word[:end] for word in _WORDS for end in range(1, len(word) + 1)}, key=len, reverse=True)
_LINE_END = r"(?=[^\S\n]*+(?:\n|\Z))"
_COLON = re.compile(
    rf"(?i)(?:{'|'.join(sorted(_WORDS, key=len, reverse=True))})\s*+(?P<inner>:){_LINE_END}"
    rf"|\A\s*+(?:{'|'.join(_TAILS)})?\s*+(?P<first>:){_LINE_END}"
)
# What every match of `_COLON` ends with. Most texts have none, and to look for it is ten times quicker.
_ENDING = re.compile(rf":{_LINE_END}")
# ... or begin one that the template finishes: then the line break before it is what must not count.
_LAST_LINE = re.compile(rf"(?i)[^\S\n]*+(?:#[^\S\n]*+)?(?:{'|'.join(_HEADS)})?[^\S\n]*+")
# Printable, so that neither `repr` nor a filter changes them; letters of a script that prompts hardly use.
_CANDIDATES = (*range(0xA000, 0xA48D), *range(0xAC00, 0xD7A4), *range(0x4E00, 0xA000))


class PromptText(str):
    """What a prompt node rendered.

    Attributes:
        protected: Positions of characters that came from flow inputs and must not take part in a role marker.
    """

    __slots__ = ("protected",)
    protected: tuple[int, ...]

    def __new__(cls, text: str, protected: tuple[int, ...] = ()) -> Self:
        """Make it of rendered text."""
        made = super().__new__(cls, text)
        made.protected = protected
        return made


class Marks(Struct, frozen=True):
    """The two characters that stand for a colon and a line break until the text is cut."""

    colon: str
    line_break: str

    def swap(self, text: str, positions: Iterable[int]) -> str:
        """Return ``text`` with the characters at ``positions`` replaced by their marks."""
        characters = list(text)
        for position in positions:
            characters[position] = self.colon if characters[position] == ":" else self.line_break
        return "".join(characters)

    def settle(self, text: str) -> str:
        """Return rendered text in which marks that a filter wrote as JSON escapes are marks again."""
        for mark in (self.colon, self.line_break):
            text = text.replace(f"\\u{ord(mark):04x}", mark)
        return text

    def restore(self, text: str) -> str:
        """Return ``text`` with the original characters in the places of the marks."""
        return text.replace(self.colon, ":").replace(self.line_break, "\n")

    def positions(self, text: str) -> tuple[int, ...]:
        """Return where the marks stand."""
        return tuple(index for index, character in enumerate(text) if character in {self.colon, self.line_break})


def shield(
    values: Mapping[str, Any], from_flow: Iterable[str], template: str
) -> tuple[Mapping[str, Any], Marks | None]:
    """Return the values to render with, and the marks in them; None when nothing had to be swapped.

    Args:
        values: Template variables by name.
        from_flow: Those of them that are flow inputs.
        template: The template's source, which must not hold the marks itself.

    Raises:
        FlowError: when the values use up every character that could serve as a mark.
    """
    names = frozenset(from_flow)
    if not any(_is_dangerous(value, name in names) for name, value in values.items()):
        return values, None
    used = set(template)
    for value in values.values():
        for text in _texts(value):
            used.update(text)
    free = (chr(code) for code in _CANDIDATES if chr(code) not in used)
    colon, line_break = next(free, None), next(free, None)
    if colon is None or line_break is None:
        raise FlowError("the inputs use every letter that could guard their role markers", fix="shorten the inputs")
    marks = Marks(colon, line_break)
    return {name: _swapped(value, name in names, marks) for name, value in values.items()}, marks


def _dangers(text: str) -> list[int]:
    if isinstance(text, PromptText):
        return list(text.protected)
    found: list[int] = []
    if _ENDING.search(text):
        found += [match.start("inner" if match["inner"] else "first") for match in _COLON.finditer(text)]
    head, line_break, last = text.rstrip().rpartition("\n")
    if line_break and last and _LAST_LINE.fullmatch(last):
        found.append(len(head))
    return found


def _is_dangerous(value: Any, from_flow: bool) -> bool:
    if isinstance(value, PromptText):
        return bool(value.protected)
    return from_flow and any(_dangers(text) for text in _texts(value))


def _swapped(value: Any, from_flow: bool, marks: Marks) -> Any:
    if isinstance(value, PromptText):
        return marks.swap(value, value.protected)
    return _mapped(value, lambda text: marks.swap(text, _dangers(text))) if from_flow else value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in cast("Mapping[object, Any]", value).items():
            yield from _texts(key)
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in cast("list[Any]", value):
            yield from _texts(item)


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        # A key of one line is a name that templates look up; only one that holds line breaks could make a marker.
        return {
            change(key) if isinstance(key, str) and "\n" in key else key: _mapped(item, change)
            for key, item in cast("Mapping[Any, Any]", value).items()
        }
    if isinstance(value, list | tuple):
        items = [_mapped(item, change) for item in cast("list[Any]", value)]
        # A list that prints itself in its own way stays one.
        return cast("Any", value).__class__(items)
    return value
