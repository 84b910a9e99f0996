"""JSON of strangers: read with an error in words, whatever they sent."""

from __future__ import annotations

import base64
import binascii
from typing import Any, TypeVar, cast

import msgspec

from pilothouse.gateway.types import Body

T = TypeVar("T")

_bodies = msgspec.json.Decoder(Body)
_objects = msgspec.json.Decoder(dict[str, Any])


def read_body(data: bytes) -> Body:
    """Decode the body of a request one level deep.

    Raises:
        ValueError: for what is no JSON object in UTF-8.
    """
    return _read(_bodies, data, "the body")


def read_object(data: bytes, what: str = "the body") -> dict[str, Any]:
    """Decode a JSON object.

    Raises:
        ValueError: for what is no JSON object in UTF-8.
    """
    return _read(_objects, data, what)


def read_as(decoder: msgspec.json.Decoder[T], data: bytes | msgspec.Raw, what: str) -> T:
    """Decode by a typed decoder.

    Raises:
        ValueError: for what does not fit, with the place.
    """
    try:
        return decoder.decode(data)
    except RecursionError as error:
        raise ValueError(f"{what} is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{what} is not in UTF-8: {error.reason} at byte {error.start}") from error
    except msgspec.DecodeError as error:
        raise ValueError(f"{what} cannot be read: {error}") from error


def convert(value: Any, kind: type[T], what: str) -> T:
    """Turn decoded JSON into a struct.

    Raises:
        ValueError: for what does not fit, with the place.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise ValueError(f"{what}: {error}") from error


def fields_of(value: Any, what: str) -> dict[str, Any]:
    """Return a JSON object.

    Raises:
        ValueError: where it is something else.
    """
    if isinstance(value, dict):
        return cast("dict[str, Any]", value)
    raise ValueError(f"{what} must be an object")


def list_of(value: Any, what: str) -> list[Any]:
    """Return a JSON list.

    Raises:
        ValueError: where it is something else.
    """
    if isinstance(value, list):
        return cast("list[Any]", value)
    raise ValueError(f"{what} must be a list")


def text_of(value: Any, what: str) -> str:
    """Return a JSON string.

    Raises:
        ValueError: where it is something else.
    """
    if isinstance(value, str):
        return value
    raise ValueError(f"{what} must be a string")


def bytes_of(text: str, what: str) -> bytes:
    """Return what is written in base64.

    Raises:
        ValueError: where it is not.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"{what} is not in base64: {error}") from error


def data_url(url: str, what: str) -> tuple[str, bytes] | None:
    """Return media type and bytes of a data address; None for any other address.

    Raises:
        ValueError: for a data address that cannot be read.
    """
    if not url.startswith("data:"):
        return None
    head, comma, data = url[5:].partition(",")
    if not comma or not head.endswith(";base64"):
        raise ValueError(f"{what} must be an address, or data:<media type>;base64,<bytes>")
    return head.removesuffix(";base64") or "text/plain", bytes_of(data, what)


def _read(decoder: msgspec.json.Decoder[T], data: bytes, what: str) -> T:
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError as error:
            raise ValueError(f"{what} is not in UTF-8: {error.reason} at byte {error.start}") from error
    return read_as(decoder, data, what)
