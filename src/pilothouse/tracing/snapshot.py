"""Arguments and results as JSON text for a span: bounded in size, without secrets, never raising.

What is given may be anything. Plain data, dataclasses and msgspec structs keep their shape; other objects are shown by
their `repr`. A value is hidden when its type is called ``Secret``, or when its name says that it is one.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

import msgspec

HIDDEN: Final = "***"

MAX_TEXT: Final = 16_384
"""Characters of one snapshot."""

_MAX_STRING: Final = 4096
_MAX_ITEMS: Final = 256
_MAX_DEPTH: Final = 8

_SECRET_NAME: Final = re.compile(
    r"(?i:secret|passw(?:or)?d|passphrase|credential|api[_-]?key)"
    r"|(?:^|[_\-.])(?i:key|token|authorization)$|[a-z](?:Key|Token|Authorization)$"
)


def snapshot(value: object, limit: int = MAX_TEXT) -> str:
    """Return ``value`` as JSON text of ``limit`` characters at most; a cut text ends in a mark with its full length.

    Entries of mappings, dataclasses and structs that are named like secrets are hidden.
    """
    text = msgspec.json.encode(_plain(value, _MAX_DEPTH)).decode()
    return text if len(text) <= limit else f"{text[:limit]}… [{len(text)} characters]"


def is_secret_name(name: str) -> bool:
    """Tell whether a value of this name is a secret: ``api_key``, ``accessToken``, ``password``; not ``max_tokens``."""
    return _SECRET_NAME.search(name) is not None


def _plain(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return _shortened(value)
    if type(value).__name__ == "Secret":
        return HIDDEN
    if depth == 0:
        return "…"
    if isinstance(value, Mapping):
        return _object(cast("Mapping[Any, Any]", value).items(), depth)
    if isinstance(value, list | tuple | set | frozenset):
        return _array(cast("Iterable[Any]", value), depth)
    if isinstance(value, msgspec.Struct):
        return _object(((name, getattr(value, name, None)) for name in value.__struct_fields__), depth)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _object(((item.name, getattr(value, item.name, None)) for item in dataclasses.fields(value)), depth)
    return _shown(value)


def _object(items: Iterable[tuple[Any, Any]], depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number, (key, value) in enumerate(items):
        if number == _MAX_ITEMS:
            found["…"] = "more entries"
            break
        name = _shortened(key if isinstance(key, str) else _shown(key))
        hidden = is_secret_name(name) and not (value is None or isinstance(value, bool | int | float))
        found[name] = HIDDEN if hidden else _plain(value, depth - 1)
    return found


def _array(items: Iterable[Any], depth: int) -> list[Any]:
    found: list[Any] = []
    for number, item in enumerate(items):
        if number == _MAX_ITEMS:
            found.append("… more items")
            break
        found.append(_plain(item, depth - 1))
    return found


def _shown(value: object) -> str:
    try:
        return _shortened(repr(value))
    except Exception as error:  # noqa: BLE001 - repr is the user's code, and a span must not break the user's run
        return f"<{type(value).__name__}: its repr raised {type(error).__name__}>"


def _shortened(text: str) -> str:
    # JSON cannot hold half of a surrogate pair
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= _MAX_STRING else f"{text[:_MAX_STRING]}… [{len(text)} characters]"
