"""Secrets of connections kept out of what is recorded; what nodes pass to each other stays as it is."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, cast

import msgspec

from pilothouse.models.secret import MASK, SHORTEST, Secret, redact

_PLAIN = frozenset({int, float, bool, type(None)})
_encoder = msgspec.json.Encoder(enc_hook=repr)


def every_form(secrets: Collection[Secret]) -> tuple[Secret, ...]:
    """Return secrets with the forms that JSON gives them; those too short to be told from text are left out."""
    values = [secret.reveal().strip() for secret in secrets]
    escaped = [msgspec.json.encode(value).decode()[1:-1] for value in values]
    return tuple(Secret(value) for value in dict.fromkeys([*values, *escaped]) if len(value) >= SHORTEST)


def hidden(value: Any, secrets: Collection[Secret]) -> Any:
    """Return a value with every occurrence of a secret in it, at any depth, replaced.

    An object that shows a secret when it is printed is recorded as its print.
    """
    if isinstance(value, str):
        clean = redact(value, secrets)
        return value if clean == value else clean
    if type(value) in _PLAIN:
        return value
    if isinstance(value, dict):
        items = cast("dict[Any, Any]", value).items()
        return {hidden(key, secrets): hidden(item, secrets) for key, item in items}
    if isinstance(value, list | tuple | set | frozenset):
        kind: Any = next(item for item in (list, tuple, set, frozenset) if isinstance(value, item))
        return kind(hidden(item, secrets) for item in cast("Collection[Any]", value))
    return _printed(value, secrets)


def _printed(value: Any, secrets: Collection[Secret]) -> Any:
    try:
        text = _encoder.encode(value).decode()
    except Exception:  # noqa: BLE001 - the user's __repr__ may raise anything; what cannot be read is not shown
        return MASK
    clean = redact(text, secrets)
    return value if clean == text else clean
