"""Text of strangers, made inert: escaped, isolated from its surroundings, and with nothing hidden in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

import msgspec
from markupsafe import Markup, escape

_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Characters that show nothing yet change what is read: controls, marks of direction, tags, lone surrogates.

The joiners U+200C and U+200D stay: scripts and emoji need them.
"""


def plain(value: Any) -> str:
    """Return a value as the text that a person reads: strings as they are, everything else as JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError:
        # A lone surrogate, which JSON text may carry as an escape: write it as one.
        return json.dumps(value, default=str)


def reveal(text: str) -> str:
    """Return ``text`` with every hidden character written out, such as ``<U+202E>``; for a terminal."""
    return _HIDDEN.sub(lambda match: f"<U+{ord(match[0]):04X}>", text)


def inert(text: str) -> Markup:
    """Return ``text`` escaped, with every hidden character shown by its number."""
    marked = _HIDDEN.sub(
        lambda match: f'<span class="ctl" title="hidden character">U+{ord(match[0]):04X}</span>',
        str(escape(text.replace("\r\n", "\n"))),
    )
    return Markup(marked)  # noqa: S704 - escaped above; only our own span was added


def seen(value: Any) -> Markup:
    """Return any value as inert text whose direction cannot spill over into what surrounds it."""
    return Markup("<bdi>{}</bdi>").format(inert(plain(value)))


def shorten(text: str, limit: int) -> str:
    """Return ``text``, cut to ``limit`` characters with a word on what was cut."""
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text) - limit:,} more characters)"


def clip(text: str, limit: int) -> str:
    """Return ``text`` cut to ``limit`` characters, an ellipsis last."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def clip_apart(names: Iterable[str], limit: int) -> dict[str, str]:
    """Return names cut to ``limit`` characters so that they stay apart: at their ends, or in their middle.

    Args:
        names: The names; equal ones are one.
        limit: At least 8.
    """
    listed = list(dict.fromkeys(names))
    head = (limit - 1) // 3
    middle = {name: name if len(name) <= limit else f"{name[:head]}…{name[head + 1 - limit :]}" for name in listed}
    numbered = {
        name: name if len(name) <= limit else f"{name[: limit - 5]}…{place}" for place, name in enumerate(listed, 1)
    }
    for found in ({name: clip(name, limit) for name in listed}, middle):
        if len(set(found.values())) == len(listed):
            return found
    return numbered
