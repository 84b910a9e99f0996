"""What a detector found, without showing it again."""

from __future__ import annotations

from typing import NamedTuple

_SHOWN = 4


class Finding(NamedTuple):
    """The kind of a find and its first characters: evidence must not spread what leaked."""

    kind: str
    masked: str


def found(kind: str, text: str) -> Finding:
    """Return a find, masked."""
    return Finding(kind, f"{text[:_SHOWN]}… ({len(text)} characters)")
