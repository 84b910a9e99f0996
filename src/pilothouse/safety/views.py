"""Texts as rules read them: look-alikes as the ASCII they imitate, invisible characters gone, offsets kept."""

from __future__ import annotations

import re
import unicodedata
from itertools import chain
from typing import Final

_LOOKALIKES: Final = dict(
    zip(
        "АВЕЅІЈКМНОРСТХУаеѕіјорсухԁһԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧαονρ‐‑‒–—−﹣՝’‘“”⁄∕＠",
        "ABESIJKMHOPCTXYaesijopcyxdhwABEZHIKMNOPTYXaovp-------'''\"\"//@",
        strict=True,
    )
)
_COMPATIBLE: Final = chain(
    range(0xA0, 0xC0), range(0x2000, 0x2200), range(0x2460, 0x2500), range(0x3000, 0x3001),
    range(0xFF01, 0xFFE7), range(0x1D400, 0x1D800),
)  # fmt: skip
_ESCAPED: Final = re.compile(r"\\[nrt]")
_DIGITS: Final = (0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xE50, 0xED0)
_INVISIBLE: Final = re.compile("[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e"
                               "\u2060-\u2069\ufe00-\ufe0f\ufeff]")  # fmt: skip


def _table() -> dict[int, str]:
    """Return, of characters that NFKC or the eye takes for one ASCII character, that character."""
    table: dict[int, str] = {}
    for code in _COMPATIBLE:
        plain = unicodedata.normalize("NFKC", chr(code))
        if len(plain) == 1 and plain.isascii():
            table[code] = plain
    for zero in _DIGITS:
        table.update({zero + value: str(value) for value in range(10)})
    table.update({ord(char): plain for char, plain in _LOOKALIKES.items()})
    return table


_TABLE: Final = _table()


class View:
    """A text to be searched.

    Args:
        text: As it came.

    Attributes:
        text: What rules look at; as long as what came, less its invisible characters.
        lower: The same in lower case, character by character.
    """

    __slots__ = ("_kept", "lower", "text")

    def __init__(self, text: str) -> None:
        self._kept: list[int] | None = None
        if not text.isascii():
            if _INVISIBLE.search(text):
                gone = {match.start() for match in _INVISIBLE.finditer(text)}
                self._kept = [index for index in range(len(text)) if index not in gone]
                text = _INVISIBLE.sub("", text)
            text = text.translate(_TABLE)
        if "\\" in text:
            # Line ends written as escapes, as in JSON inside of a text, part words as line ends do.
            text = _ESCAPED.sub("  ", text)
        self.text = text
        lower = text.lower()
        # A few letters grow in lower case; offsets count more than those.
        self.lower = lower if len(lower) == len(text) else "".join(char.lower()[:1] for char in text)

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return where a span of the view stands in the text as it came."""
        if self._kept is None:
            return start, end
        return self._kept[start], self._kept[end - 1] + 1
