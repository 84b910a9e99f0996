"""Strict conversion of parsed files into frozen types, with errors that point at the line."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from pilothouse.core.errors import ConfigError, UserError, nearest_hint

T = TypeVar("T")
Key = str | int
Where = Callable[..., str] | str

_PLACE = re.compile(r" - at `(?P<path>[^`]*)`$")
_STEP = re.compile(r"\.(?P<name>[^.\[\]]+)|\[(?P<index>\d+|\.\.\.)\]")
_UNKNOWN = re.compile(r"^Object contains unknown field `(?P<name>.*)`$")


def convert(data: object, kind: type[T], *, where: Where = "", error: type[UserError] = ConfigError) -> T:
    """Return ``data`` as ``kind``; nothing is coerced except integers to floats.

    Args:
        data: Dicts, lists and scalars, as a parser made them.
        kind: A frozen struct that forbids unknown fields, or any type msgspec knows.
        where: The place itself, or a function from the keys of an entry to its ``file:line``.
        error: The class to raise.

    Raises:
        UserError: of class ``error``, naming file, line and, for an unknown key, the nearest known one.
    """
    try:
        return msgspec.convert(data, kind, strict=True)
    except msgspec.ValidationError as problem:
        raise _explain(str(problem), kind, where, error) from problem


def _explain(text: str, kind: Any, where: Where, error: type[UserError]) -> UserError:
    place = _PLACE.search(text)
    keys = _keys(place["path"]) if place else ()
    message = text[: place.start()] if place else text
    unknown = _UNKNOWN.match(message)
    if unknown:
        name = unknown["name"]
        known = _field_names(kind, keys)
        return error(
            f"unknown key '{name}'",
            where=_locate(where, (*keys, name)),
            expected=nearest_hint(name, known) if known else None,
        )
    shown = ".".join(str(key) for key in keys)
    return error(f"{shown}: {message}" if shown else message, where=_locate(where, keys))


def _keys(path: str) -> tuple[Key, ...]:
    keys: list[Key] = []
    for step in _STEP.finditer(path):
        if step["name"] is not None:
            keys.append(step["name"])
        else:
            # msgspec writes [...] for the value of a mapping, whose key it does not tell.
            keys.append("*" if step["index"] == "..." else int(step["index"]))
    return tuple(keys)


def _locate(where: Where, keys: tuple[Key, ...]) -> str | None:
    return (where if isinstance(where, str) else where(*keys)) or None


def _field_names(kind: Any, keys: tuple[Key, ...]) -> list[str]:
    """Return the field names of the struct that stands at ``keys`` inside ``kind``."""
    for key in keys:
        kind = _member(kind, key)
    structs = [item for item in _alternatives(kind) if isinstance(item, type) and issubclass(item, msgspec.Struct)]
    return [field.encode_name for item in structs for field in msgspec.structs.fields(item)]


def _member(kind: Any, key: Key) -> Any:
    for item in _alternatives(kind):
        if isinstance(item, type) and issubclass(item, msgspec.Struct):
            for field in msgspec.structs.fields(item):
                if field.encode_name == key:
                    return field.type
        arguments = typing.get_args(item)
        if arguments:
            return arguments[-1] if arguments[-1] is not Ellipsis else arguments[0]
    return None


def _alternatives(kind: Any) -> tuple[Any, ...]:
    is_union = isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union
    return typing.get_args(kind) if is_union else (kind,)
