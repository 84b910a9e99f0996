"""How an answer looks: its form, its length, its sentences."""

from __future__ import annotations

import json
import re
from typing import Literal

Form = Literal["empty", "json", "code", "table", "list", "headings", "prose"]

_ITEM = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+\S", re.MULTILINE)
_TABLE = re.compile(r"^\s*\|.*\|\s*$", re.MULTILINE)
_HEADING = re.compile(r"^#{1,6} \S", re.MULTILINE)
_SENTENCE_END = re.compile(r"[.!?]+(?=\s|$)")


def form_of(answer: str) -> Form:
    """Return the most telling form of an answer."""
    text = answer.strip()
    if not text:
        return "empty"
    if text[0] in "{[" and _is_json(text):
        return "json"
    if "```" in text:
        return "code"
    if len(_TABLE.findall(text)) > 1:
        return "table"
    if len(_ITEM.findall(text)) > 1:
        return "list"
    return "headings" if _HEADING.search(text) else "prose"


def words(answer: str) -> int:
    """Return the number of words."""
    return len(answer.split())


def words_a_sentence(answer: str) -> float:
    """Return the mean length of sentences in words; 0.0 without words."""
    return words(answer) / max(1, len(_SENTENCE_END.findall(answer)))


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
