"""What the gateway must know of a request before it decides anything, decoding no more than that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import Struct

from pilothouse.gateway.dialects.reading import read_as
from pilothouse.gateway.types import Body, Wire

_MAX_TAGS: Final = 16
_MAX_TAG: Final = 512
_MAX_NAME: Final = 512
_MAX_COUNT: Final = 2**31 - 1
_MAX_ANSWERS: Final = 1024
_NO_TAGS: Final[dict[str, str]] = {}


class RequestFacts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a request says about itself.

    Attributes:
        model: The model's name; never empty, unless the address names it.
        stream: Whether a stream is wanted.
        max_output_tokens: The client's own limit; None for none.
        user: The end user's id, as the client says.
        session: The conversation's id, as the client says.
        metadata: At most 16 tags.
        has_tools: Whether tools are declared.
        n: Answers wanted.
        include_usage: Whether the client itself wants the usage of a stream reported; true for forms that always do.
        images: Pictures in the request.
        files: Documents in the request.
        audio: Pieces of sound in the request.
    """

    model: str
    stream: bool = False
    max_output_tokens: int | None = None
    user: str = ""
    session: str = ""
    metadata: dict[str, str] = _NO_TAGS
    has_tools: bool = False
    n: int = 1
    include_usage: bool = False
    images: int = 0
    files: int = 0
    audio: int = 0


class _Shape(Struct, frozen=True):
    """What a form calls things."""

    needed: str
    is_list: bool = False
    reports_usage: bool = False
    pictures: bytes = b""
    documents: bytes = b""
    sounds: bytes = b""


_SHAPES: Final[dict[Wire, _Shape]] = {
    "openai.chat": _Shape(
        needed="messages",
        is_list=True,
        pictures=b'"image_url":',
        documents=b'"file":',
        sounds=b'"input_audio":',
    ),
    "openai.completions": _Shape(needed="prompt"),
    "openai.responses": _Shape(
        needed="",
        reports_usage=True,
        pictures=b'"image_url":',
        documents=b'"input_file"',
        sounds=b'"input_audio":',
    ),
    "openai.embeddings": _Shape(needed="input"),
    "openai.images": _Shape(needed="prompt"),
    "openai.speech": _Shape(needed="input"),
    "openai.moderations": _Shape(needed="input"),
    "anthropic.messages": _Shape(
        needed="messages",
        is_list=True,
        reports_usage=True,
        pictures=b'"image"',
        documents=b'"document"',
    ),
    "anthropic.count_tokens": _Shape(
        needed="messages", is_list=True, reports_usage=True, pictures=b'"image"', documents=b'"document"'
    ),
    "cohere.rerank": _Shape(needed="documents", is_list=True),
}
_OTHER: Final = _Shape(needed="")

_text = msgspec.json.Decoder(str)
_whole = msgspec.json.Decoder(int)
_objects = msgspec.json.Decoder(dict[str, Any])
_Reader = Callable[["_Found", msgspec.Raw], None]


class _Found:
    """What is being read of one request."""

    __slots__ = ("has_tools", "include_usage", "limit", "metadata", "model", "n", "session", "stream", "user")

    def __init__(self) -> None:
        self.model = ""
        self.stream = False
        self.limit: int | None = None
        self.user = ""
        self.session = ""
        self.metadata = _NO_TAGS
        self.has_tools = False
        self.n = 1
        self.include_usage = False


def check_request(wire: Wire, body: Body, *, model: str = "") -> RequestFacts:
    """Check a request and return what must be known of it.

    Args:
        wire: Its form.
        body: Decoded one level deep.
        model: The model that the address names; then the body need not.

    Raises:
        ValueError: naming the field that is wrong.
    """
    shape = _SHAPES.get(wire, _OTHER)
    found = _Found()
    found.model = model
    for field in body:
        reader = _READERS.get(field)
        if reader is not None:
            raw = body[field]
            if bytes(raw) != b"null":
                reader(found, raw)
    _check_length(model, "model")
    if not found.model:
        raise ValueError("`model` is missing: name the model, as listed at /v1/models")
    media = _needed(shape, body)
    return RequestFacts(
        model=found.model,
        stream=found.stream,
        max_output_tokens=found.limit,
        user=found.user,
        session=found.session,
        metadata=found.metadata,
        has_tools=found.has_tools,
        n=found.n,
        include_usage=found.include_usage or shape.reports_usage,
        images=media.count(shape.pictures) if shape.pictures and media else 0,
        files=media.count(shape.documents) if shape.documents and media else 0,
        audio=media.count(shape.sounds) if shape.sounds and media else 0,
    )


def _needed(shape: _Shape, body: Body) -> bytes:
    """Return the bytes of what the request is about; empty where they need not be looked at."""
    if not shape.needed:
        raw = body.get("input")
        return bytes(raw) if raw is not None and shape.pictures else b""
    raw = body.get(shape.needed)
    if raw is None:
        raise ValueError(f"`{shape.needed}` is missing")
    found = bytes(raw)
    if found == b"null":
        raise ValueError(f"`{shape.needed}` is missing")
    if shape.is_list and not found.startswith(b"["):
        raise ValueError(f"`{shape.needed}` must be a list")
    return found


def _model(found: _Found, raw: msgspec.Raw) -> None:
    model = read_as(_text, raw, "`model`")
    if not model:
        raise ValueError("`model` is empty: name the model, as listed at /v1/models")
    _check_length(model, "model")
    found.model = found.model or model


def _stream(found: _Found, raw: msgspec.Raw) -> None:
    said = bytes(raw)
    if said not in {b"true", b"false"}:
        raise ValueError("`stream` must be true or false")
    found.stream = said == b"true"


def _count(raw: msgspec.Raw, field: str, most: int = _MAX_COUNT) -> int:
    number = read_as(_whole, raw, f"`{field}`")
    if not 1 <= number <= most:
        raise ValueError(f"`{field}` must be 1 to {most:,}" + (f", not {number}" if -most < number < 1 else ""))
    return number


def _check_length(text: str, field: str) -> None:
    """Refuse what would stand in every row and every span of the call, and does not fit there."""
    if len(text) > _MAX_NAME:
        raise ValueError(f"`{field}` is longer than {_MAX_NAME} characters")


def _limit(field: str) -> _Reader:
    def read(found: _Found, raw: msgspec.Raw) -> None:
        number = _count(raw, field)
        found.limit = number if found.limit is None else min(found.limit, number)

    return read


def _n(found: _Found, raw: msgspec.Raw) -> None:
    found.n = _count(raw, "n", _MAX_ANSWERS)


def _user(found: _Found, raw: msgspec.Raw) -> None:
    found.user = read_as(_text, raw, "`user`")
    _check_length(found.user, "user")


def _session(field: str) -> _Reader:
    def read(found: _Found, raw: msgspec.Raw) -> None:
        said = read_as(_text, raw, f"`{field}`")
        _check_length(said, field)
        found.session = found.session or said

    return read


def _conversation(found: _Found, raw: msgspec.Raw) -> None:
    if bytes(raw).startswith(b"{"):
        found.session = str(read_as(_objects, raw, "`conversation`").get("id") or "")
    else:
        found.session = read_as(_text, raw, "`conversation`")
    _check_length(found.session, "conversation")


def _metadata(found: _Found, raw: msgspec.Raw) -> None:
    tags = read_as(_objects, raw, "`metadata`")
    if len(tags) > _MAX_TAGS:
        raise ValueError(f"`metadata` may hold {_MAX_TAGS} tags, not {len(tags)}")
    for name, value in tags.items():
        if value is not None and not isinstance(value, str):
            raise ValueError(f"`metadata.{name}` must be a string")
        if len(name) > _MAX_TAG or len(value or "") > _MAX_TAG:
            raise ValueError(f"`metadata.{name[:40]}` is longer than {_MAX_TAG} characters")
    found.metadata = {name: value for name, value in tags.items() if value}
    found.user = found.user or found.metadata.get("user_id", "")
    found.session = found.session or found.metadata.get("session_id", "") or found.metadata.get("session", "")


def _tools(found: _Found, raw: msgspec.Raw) -> None:
    said = bytes(raw)
    if not said.startswith(b"["):
        raise ValueError("`tools` must be a list")
    found.has_tools = found.has_tools or said.strip(b"[] \t\r\n") != b""


def _stream_options(found: _Found, raw: msgspec.Raw) -> None:
    wanted = read_as(_objects, raw, "`stream_options`").get("include_usage")
    if wanted is not None and not isinstance(wanted, bool):
        raise ValueError("`stream_options.include_usage` must be true or false")
    found.include_usage = bool(wanted)


_READERS: Final[dict[str, _Reader]] = {
    "model": _model,
    "stream": _stream,
    "max_tokens": _limit("max_tokens"),
    "max_completion_tokens": _limit("max_completion_tokens"),
    "max_output_tokens": _limit("max_output_tokens"),
    "n": _n,
    "user": _user,
    "conversation": _conversation,
    "previous_response_id": _session("previous_response_id"),
    "prompt_cache_key": _session("prompt_cache_key"),
    "metadata": _metadata,
    "tools": _tools,
    "functions": _tools,
    "stream_options": _stream_options,
}
