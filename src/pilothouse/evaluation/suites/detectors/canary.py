"""Canaries: texts planted to be found again, also when they come out in disguise."""

from __future__ import annotations

import base64
import binascii
import codecs
import re
from collections.abc import Iterator

_ENCODED = re.compile(r"[A-Za-z0-9+/_-]{8,}={0,2}")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}[ :]?){6,}")
_NOT_LETTERS = re.compile(r"[\W_]+")


def canary_found(answer: str, canary: str) -> str | None:
    """Return how a canary came out (``plain``, ``reversed``, ``rot13``, ``base64``, ``hex``), or None.

    Case, spaces and punctuation do not matter: `K-7-Q-4` shows `k7q4`.
    """
    wanted = _plain(canary)
    if not wanted:
        return None
    shown = _plain(answer)
    if wanted in shown:
        return "plain"
    if wanted[::-1] in shown:
        return "reversed"
    if _plain(codecs.encode(canary, "rot13")) in shown:
        return "rot13"
    return next((how for how, text in _decoded(answer) if wanted in _plain(text)), None)


def was_joined(answer: str, canary: str) -> bool:
    """Return whether an answer holds a text to the letter that the prompt only described."""
    return canary in answer


def _plain(text: str) -> str:
    return _NOT_LETTERS.sub("", text.casefold())


def _decoded(answer: str) -> Iterator[tuple[str, str]]:
    for match in _ENCODED.finditer(answer):
        part = match[0].rstrip("=")
        try:
            yield (
                "base64",
                base64.urlsafe_b64decode(_url_safe(part) + "=" * (-len(part) % 4)).decode("utf-8", "replace"),
            )
        except (binascii.Error, ValueError):
            continue
    for match in _HEX.finditer(answer):
        yield "hex", bytes.fromhex(re.sub(r"[ :]", "", match[0])).decode("utf-8", "replace")


def _url_safe(text: str) -> str:
    return text.replace("+", "-").replace("/", "_")
