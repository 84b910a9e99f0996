"""The part of the configuration that is versioned, as plain JSON: what calls are decided by.

Host, port and the like belong to a process and stay in its `pilothouse.yaml`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

import msgspec
from msgspec import NODEFAULT, UNSET, Struct, UnsetType

from pilothouse.core.errors import ConfigError, NotFound, nearest_hint
from pilothouse.core.structs import convert
from pilothouse.gateway.config.types import ConfigChange
from pilothouse.gateway.settings import GatewaySettings

PARTS: Final = ("routes", "limits", "guards", "capture")
"""What is versioned."""

Document = dict[str, Any]
Path = Sequence[str | int]


def document_of(settings: GatewaySettings) -> Document:
    """Return the versioned part, without what is as by default: a new field of a later release changes nothing."""
    return {name: value for name, value in _plain(settings).items() if name in PARTS}


def full_document(settings: GatewaySettings) -> Document:
    """Return the versioned part with all defaults written out."""
    return {name: msgspec.to_builtins(getattr(settings, name)) for name in PARTS}


def settings_of(document: object, own: GatewaySettings, where: str) -> GatewaySettings:
    """Return a process's settings with the versioned part of ``document``.

    Args:
        document: As ``document_of`` made it.
        own: The process's own section.
        where: What the document is called in messages.

    Raises:
        ConfigError: when it is no configuration, naming the place in it.
    """
    if not isinstance(document, dict):
        raise ConfigError("a configuration is a mapping", where=where, expected=", ".join(PARTS))
    given = cast("Document", document)
    for name in given:
        if name not in PARTS:
            raise ConfigError(f"'{name}' is not versioned", where=where, expected=nearest_hint(str(name), PARTS))
    found = convert(given, GatewaySettings, where=lambda *keys: f"{where}: {'.'.join(map(str, keys))}".rstrip(": "))
    return msgspec.structs.replace(own, **{name: getattr(found, name) for name in PARTS})


def differences(before: Any, after: Any, path: tuple[str, ...] = ()) -> Iterator[ConfigChange]:
    """Yield where two documents differ, leaf by leaf; a mapping that only one of them has is one difference."""
    if isinstance(before, dict) and isinstance(after, dict):
        left, right = cast("Document", before), cast("Document", after)
        for key in sorted({*left, *right}):
            yield from differences(left.get(key), right.get(key), (*path, key))
    elif isinstance(before, list) and isinstance(after, list):
        old, new = cast("list[Any]", before), cast("list[Any]", after)
        for place in range(max(len(old), len(new))):
            yield from differences(
                old[place] if place < len(old) else None,
                new[place] if place < len(new) else None,
                (*path, str(place)),
            )
    elif before != after or isinstance(before, bool) != isinstance(after, bool):
        yield ConfigChange(path=".".join(path), before=before, after=after)


def edited(document: Document, path: Path | str, value: object | UnsetType) -> Document:
    """Return a document with one value changed, or removed where ``value`` is ``UNSET``.

    Args:
        document: A full document; it stays as it is.
        path: Keys and places; or a text such as ``routes.chat.deployments.0.weight``, where a key that holds a dot is
            found as long as it exists; or a JSON pointer, ``/routes/gpt-4.1/fallback``.
        value: JSON.

    Raises:
        NotFound: when the way to it does not exist, naming what does.
    """
    copy: Any = msgspec.json.decode(msgspec.json.encode(document))
    keys = _keys(copy, path) if isinstance(path, str) else [str(key) for key in path]
    if not keys:
        raise NotFound("the path is empty", expected="routes.NAME.deployments.0.weight")
    target: Any = copy
    for depth, key in enumerate(keys[:-1]):
        target = _step(target, key, keys[: depth + 1])
    last = keys[-1]
    if isinstance(target, list):
        items = cast("list[Any]", target)
        place = _place(items, last, keys, may_append=value is not UNSET)
        if value is UNSET:
            del items[place]
        else:
            items[place : place + 1] = [value]
    elif isinstance(target, dict):
        entries = cast("Document", target)
        if value is UNSET:
            if last not in entries:
                raise _nothing_at(keys, entries)
            del entries[last]
        else:
            entries[last] = value
    else:
        raise _nothing_at(keys, ())
    return copy


def _plain(value: object) -> Any:
    if isinstance(value, Struct):
        found: Document = {}
        for field in msgspec.structs.fields(type(value)):
            content = getattr(value, field.name)
            default = field.default if field.default_factory is NODEFAULT else field.default_factory()
            if default is NODEFAULT or content != default:
                found[field.encode_name] = _plain(content)
        return found
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in cast("Mapping[object, object]", value).items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in cast("Sequence[object]", value)]
    return msgspec.to_builtins(value)


def _keys(document: object, path: str) -> list[str]:
    if path.startswith("/"):
        return [key.replace("~1", "/").replace("~0", "~") for key in path[1:].split("/")]
    parts = path.split(".")
    keys: list[str] = []
    here: Any = document
    while parts:
        known: Document = cast("Any", here) if isinstance(here, dict) else {}
        length = next((size for size in range(len(parts), 0, -1) if ".".join(parts[:size]) in known), 1)
        key, parts = ".".join(parts[:length]), parts[length:]
        keys.append(key)
        here = _inside(here, key)
    return keys


def _inside(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        return cast("Document", value).get(key)
    if isinstance(value, list):
        items = cast("list[Any]", value)
        return items[int(key)] if key.isdecimal() and int(key) < len(items) else None
    return None


def _step(value: Any, key: str, so_far: list[str]) -> Any:
    if isinstance(value, dict) and key in value:
        return cast("Document", value)[key]
    if isinstance(value, list):
        items = cast("list[Any]", value)
        return items[_place(items, key, so_far, may_append=False)]
    raise _nothing_at(so_far, cast("Document", value) if isinstance(value, dict) else ())


def _place(items: list[Any], key: str, so_far: list[str], *, may_append: bool) -> int:
    if not (key.isascii() and key.isdecimal() and int(key) < len(items) + may_append):
        raise NotFound(f"there is nothing at {'.'.join(so_far)}", expected=f"a place from 0 to {len(items) - 1}")
    return int(key)


def _nothing_at(keys: list[str], known: Mapping[str, Any] | tuple[()]) -> NotFound:
    return NotFound(f"there is nothing at {'.'.join(keys)}", expected=nearest_hint(keys[-1], known))
