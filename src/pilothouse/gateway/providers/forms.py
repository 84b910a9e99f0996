"""What the vendors' files share: groups of forms, plain headers, the address of a form in OpenAI's manner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from pilothouse.gateway.refusals import Refusal
from pilothouse.gateway.types import Wire
from pilothouse.models.secret import Secret

Headers = tuple[tuple[str, str | Secret], ...]

CHAT: Final[frozenset[Wire]] = frozenset(
    ("openai.chat", "openai.completions", "openai.responses", "anthropic.messages"),
)
"""Forms of a conversation: any of them can be translated into any other form of one."""

OPERATIONS: Final[dict[Wire, str]] = {
    "openai.chat": "chat/completions",
    "openai.completions": "completions",
    "openai.responses": "responses",
    "openai.embeddings": "embeddings",
    "openai.images": "images/generations",
    "openai.speech": "audio/speech",
    "openai.transcriptions": "audio/transcriptions",
    "openai.moderations": "moderations",
    "cohere.rerank": "rerank",
}
"""Where a form is served, below the base address, by those who speak as OpenAI does."""

PATH: Final = ":path"
METHOD: Final = ":method"
"""Names, among the client's headers, of its path below ``/v1`` (query included) and its method, as HTTP/2 has them.

They matter for forms that are served at several addresses: pictures, transcriptions, and whatever passes raw.
"""

_MANY: Final[dict[Wire, tuple[str, ...]]] = {
    "openai.images": ("images/",),
    "openai.transcriptions": ("audio/",),
    "openai.responses": ("responses",),
}
_METHODS: Final = frozenset(("GET", "POST", "DELETE", "PATCH", "PUT"))
_JSON: Final = "application/json"


def operation(wire: Wire, headers: Mapping[str, str]) -> tuple[str, str]:
    """Return the method and the path, below the base address, that a call goes to.

    Raises:
        Refusal: for a path that leaves what it was let in for.
    """
    path = headers.get(PATH, "")
    if not path:
        if wire not in OPERATIONS:
            raise Refusal("not_supported", f"a call of the form {wire} needs the path it came by")
        return "POST", OPERATIONS[wire]
    if wire != "openai.raw" and not path.startswith(_MANY.get(wire, ())):
        return "POST", OPERATIONS[wire]
    if not is_plain(path):
        raise Refusal("unknown_endpoint", "the path has parts that cannot be handed on")
    method = headers.get(METHOD, "POST").upper()
    if method not in _METHODS:
        raise Refusal("method_not_allowed", f"the method {method[:16]} is not handed on")
    return method, path


def is_plain(path: str) -> bool:
    """Tell whether a path stays where it is put: no empty part, no dots that climb, no escapes, no fragment."""
    place, _, query = path.partition("?")
    if not path.isascii() or not path.isprintable() or any(letter in path for letter in "\\# @%" if letter != "%"):
        return False
    return "%" not in place and all(part.strip(".") for part in place.split("/")) and "?" not in query


def segment(model: str, safe: str = "") -> str:
    """Return a model's name as one part of a path.

    Raises:
        Refusal: for a name that would climb out of it.
    """
    if not model.strip("."):
        raise Refusal("model_not_found", "the call names no model that can stand in an address")
    return quote(model, safe=safe)


def passed(fixed: Headers, given: Mapping[str, str], names: tuple[str, ...]) -> Headers:
    """Return the fixed headers, and of the client's those that the vendor may see; the body is JSON by default."""
    further = [(name, given[name]) for name in names if name in given]
    kind = given.get("content-type", _JSON)
    # Only a form with files says otherwise; what else a client may write there is not handed on.
    kind = kind if kind.startswith("multipart/form-data") else _JSON
    return (*fixed, ("content-type", kind), *further)


def base_of(address: str) -> str:
    """Return an address without the slashes at its end."""
    return address.rstrip("/")
