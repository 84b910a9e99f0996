"""Small changes to a body that passes: every value that is not changed stays byte by byte."""

from __future__ import annotations

from typing import Final

import msgspec

from pilothouse.gateway.dialects.reading import read_as
from pilothouse.gateway.types import Body

TRUE: Final = msgspec.Raw(b"true")

_encode = msgspec.json.Encoder().encode
_whole: Final = msgspec.json.Decoder(int)
_text: Final = msgspec.json.Decoder(str)


def is_null(body: Body, field: str) -> bool:
    """Tell whether a field is missing or null."""
    raw = body.get(field)
    return raw is None or bytes(raw) == b"null"


def is_true(body: Body, field: str) -> bool:
    """Tell whether a field is true."""
    raw = body.get(field)
    return raw is not None and bytes(raw) == b"true"


def text_field(body: Body, field: str) -> str:
    """Return a string field; empty where it is missing or null.

    Raises:
        ValueError: where it is something else.
    """
    return "" if is_null(body, field) else read_as(_text, body[field], f"`{field}`")


def count_field(body: Body, field: str) -> int | None:
    """Return a field that holds a count of one or more; None where it is missing or null.

    Raises:
        ValueError: where it is something else.
    """
    if is_null(body, field):
        return None
    number = read_as(_whole, body[field], f"`{field}`")
    if number < 1:
        raise ValueError(f"`{field}` must be 1 or more, not {number}")
    return number


def bound(body: Body, fields: tuple[str, ...], absent: str, most: int | None) -> Body:
    """Return a body whose limit of output is at most ``most``.

    Args:
        body: It is not changed.
        fields: The names the limit may have; each that is there is bounded.
        absent: The name it gets where none is there.
        most: None for no bound.
    """
    if most is None:
        return body
    changed = dict(body)
    named = False
    for field in fields:
        number = count_field(body, field)
        if number is None:
            continue
        named = True
        if number > most:
            changed[field] = raw(most)
    if not named:
        changed[absent] = raw(most)
    return changed


def raw(value: object) -> msgspec.Raw:
    """Return a value as JSON."""
    return msgspec.Raw(_encode(value))


def with_model(body: Body, model: str | None) -> Body:
    """Return a body for a model; None leaves it."""
    return body if model is None else {**body, "model": raw(model)}


def written(body: Body) -> bytes:
    """Return the body as JSON."""
    return _encode(body)
