"""A request as the semantic cache sees it: the last thing the user said, and everything else."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final, cast

import msgspec
from msgspec import Struct

from pilothouse.gateway.cache.keys import body_digest
from pilothouse.gateway.types import Body, Wire

_LONGEST: Final = 4000
_NUMBER: Final = re.compile(r"\d+(?:[.,:/-]\d+)*")
_WORD: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_QUOTED: Final = re.compile(r"[\"“«`]([^\"”»`]{1,200})[\"”»`]|(?<!\w)['‘]([^'’]{1,200})['’](?!\w)")
_OPPOSITE_WORDS: Final = (
    "not no never none without nor neither cannot unless except kein keine keinen nicht nie ohne pas jamais sans "
    "sin nunca ni before after above below under over more less most least min max minimum maximum increase "
    "decrease enable disable allow deny add remove delete create first last second third start stop begin end "
    "open close left right true false buy sell import export encrypt decrypt encode decode ascending descending "
    "highest lowest high low hot cold win lose pros cons advantages disadvantages best worst upper lower old new "
    "today tomorrow yesterday tonight monday tuesday wednesday thursday friday saturday sunday january february "
    "march april may june july august september october november december one two three four five six seven "
    "eight nine ten eleven twelve twenty thirty fifty hundred thousand million billion"
)
_OPPOSITES: Final = frozenset(_OPPOSITE_WORDS.split())
_ORIGIN: Final = re.compile(r"\b(?:from|von|depuis|desde) (?:(?:the|a|an|my|our|der|dem|den|la|le|el) )?(\w+)")


class Split(Struct, frozen=True):
    """A request, split.

    Attributes:
        frame: Digest of all but ``text``: parameters, tools, system prompt, and the conversation before.
        text: What the user said last.
    """

    frame: bytes
    text: str


def split(wire: Wire, body: Body) -> Split | None:
    """Split a request; None where its last message is no plain text of a user, or where no answer may be kept.

    Raises:
        msgspec.DecodeError: for a body that is no JSON.
    """
    field = "input" if wire == "openai.responses" else "messages"
    if wire not in {"openai.chat", "anthropic.messages", "openai.responses"} or field not in body:
        return None
    raw = bytes(body[field])
    value = msgspec.json.decode(raw)
    # A key that stands twice is read by others in another way than here: such a request is nobody's like.
    if msgspec.json.encode(value).count(b'"') != raw.count(b'"'):
        return None
    text = _take(value)
    if text is None and isinstance(value, str) and wire == "openai.responses":
        text, value = value, ""
    if text is None or not text.strip() or len(text) > _LONGEST:
        return None
    digest = body_digest(wire, {**body, field: msgspec.Raw(msgspec.json.encode(value))})
    return None if digest is None else Split(hashlib.sha256(b"frame" + digest).digest(), text)


def _take(value: Any) -> str | None:
    """Take the text of the last message out of a conversation, and return it."""
    if not isinstance(value, list) or not value:
        return None
    last: Any = cast("list[Any]", value)[-1]
    if not isinstance(last, dict) or cast("dict[str, Any]", last).get("role") != "user":
        return None
    message = cast("dict[str, Any]", last)
    content = message.get("content")
    if isinstance(content, str):
        message["content"] = None
        return content
    parts = cast("list[Any]", content) if isinstance(content, list) else []
    if len(parts) == 1 and isinstance(parts[0], dict):
        part = cast("dict[str, Any]", parts[0])
        if part.get("type") in {"text", "input_text"} and isinstance(part.get("text"), str):
            text: str = part["text"]
            part["text"] = None
            return text
    return None


def marks(text: str) -> bytes:
    """Return a digest of what vectors are blind to: numbers, names, quotations, negations and opposites.

    Two texts whose marks differ are never taken for the same question, however alike their vectors are.
    """
    lower = text.lower()
    words = _WORD.findall(lower)
    opposites = sorted(
        word for word in words if word in _OPPOSITES or word.endswith(("n't", "n’t")) or word == "cannot"
    )
    found = [
        sorted(_NUMBER.findall(text)),
        [("not" if word.endswith(("n't", "n’t")) or word == "cannot" else word) for word in opposites],
        sorted(_QUOTED.findall(text)),
        sorted(_ORIGIN.findall(lower)),
        _names(text),
    ]
    return hashlib.sha256(msgspec.json.encode(found)).digest()


def _names(text: str) -> list[str]:
    """Return, in order, words written with a capital where no sentence begins, and words in capitals."""
    names: list[str] = []
    for match in _WORD.finditer(text):
        word, before = match[0], text[: match.start()].rstrip()[-1:]
        is_inside = before and before not in ".!?:\n"
        if len(word) > 1 and ((word[0].isupper() and is_inside) or (word.isupper() and len(word) > 1)):
            names.append(word.lower().removesuffix("'s").removesuffix("’s"))
    return names
