"""One byte form of every value, so that the same content has the same digest."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec

from pilothouse.core.errors import DataError

CHUNK = 1 << 20

_PLAIN = {str, int, bool, type(None)}

_encoder = msgspec.json.Encoder(order="deterministic")


def canonical_json(value: object) -> bytes:
    """Return ``value`` as JSON with sorted keys and no spaces, in UTF-8.

    Raises:
        DataError: for NaN, an infinity, or a type JSON has no form for.
    """
    try:
        encoded = _encoder.encode(value)
    except (TypeError, ValueError, UnicodeEncodeError) as error:
        _refuse_unwritable(value, "$")  # names the place, where it is a number
        raise DataError(f"the value has no JSON form: {error}") from error
    # msgspec writes NaN and the infinities as null: content would change in silence. Without null there were none.
    if b"null" in encoded and not _is_writable(value):
        _refuse_unwritable(value, "$")
    return encoded


def digest(value: object) -> str:
    """Return the SHA-256 of the canonical JSON of ``value``, in hexadecimal."""
    return digest_bytes(canonical_json(value))


def digest_bytes(data: bytes) -> str:
    """Return the SHA-256 of ``data``, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal, with flat memory."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_tree(root: Path, ignore: Callable[[Path], bool] = lambda _path: False) -> str:
    """Return one digest of all files below ``root``: their relative names and contents.

    Args:
        root: A folder.
        ignore: Told each path relative to ``root``; a folder or file it accepts is left out.
    """
    files: dict[str, str] = {}
    pending = [root]
    while pending:
        for path in sorted(pending.pop().iterdir()):
            relative = path.relative_to(root)
            if ignore(relative):
                continue
            if path.is_dir():
                pending.append(path)
            elif path.is_file():
                files[relative.as_posix()] = digest_file(path)
    return digest(files)


def _is_writable(value: Any) -> bool:
    """Return whether a value holds no NaN and no infinity; quick, because it is asked about every call of a model."""
    pending: list[Any] = [value]
    inner: Iterable[Any]
    for item in pending:  # grows while it is walked
        kind = cast("type[Any]", type(item))
        if kind is dict:
            inner = item.values()
        elif kind is list or kind is tuple:
            inner = item
        elif isinstance(item, msgspec.Struct):
            inner = msgspec.structs.astuple(item)
        elif isinstance(item, float):
            if not math.isfinite(item):
                return False
            continue
        elif isinstance(item, Mapping):
            inner = cast("Mapping[Any, Any]", item).values()
        elif isinstance(item, Sequence) and not isinstance(item, str | bytes | bytearray):
            inner = cast("Sequence[Any]", item)
        else:
            continue
        pending.extend([each for each in inner if type(each) not in _PLAIN])
    return True


def _refuse_unwritable(value: Any, place: str) -> None:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise DataError(f"the number {value} at {place} has no JSON form", expected="a finite number or null")
    elif isinstance(value, Mapping):
        for key, item in cast("Mapping[object, object]", value).items():
            _refuse_unwritable(item, f"{place}.{key}")
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray):
        for index, item in enumerate(cast("Sequence[object]", value)):
            _refuse_unwritable(item, f"{place}[{index}]")
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            _refuse_unwritable(getattr(value, name), f"{place}.{name}")
