"""A row as one JSON line, and back, with nothing lost in silence.

JSON has no NaN and no infinity, and msgspec would write null for them: they become ``{"$number": "nan"}`` and are
read back as numbers. A value that JSON has no form for becomes ``{"$type": ..., "$text": ...}``, and the row says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from typing import Any, cast

import msgspec

from pilothouse.core.errors import StorageError
from pilothouse.experiments.runs.types import RunRow

_NUMBER = "$number"
_NUMBERS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
_TEXT_LIMIT = 500

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(RunRow)


def encode_row(row: RunRow) -> bytes:
    """Return the row as one line of JSON, without its line end."""
    try:
        line = _encoder.encode(row)
    except (TypeError, ValueError, OverflowError, RecursionError, UnicodeError):
        return _encoder.encode(_plain_row(row))
    # Every NaN is written as null, so a line without null had none.
    if b"null" in line and _has_odd_number((row.inputs, row.outputs, [node.output for node in row.nodes])):
        return _encoder.encode(_plain_row(row))
    return line


def decode_row(line: bytes) -> RunRow:
    """Return the row of a line.

    Raises:
        StorageError: when the line is damaged.
    """
    try:
        row = _decoder.decode(line)
    except msgspec.DecodeError as error:
        raise StorageError(f"a recorded row is damaged: {error}") from error
    if b'"$number"' not in line:
        return row
    nodes = tuple(msgspec.structs.replace(node, output=_restore(node.output)) for node in row.nodes)
    return msgspec.structs.replace(row, inputs=_restore(row.inputs), outputs=_restore(row.outputs), nodes=nodes)


def _plain_row(row: RunRow) -> RunRow:
    odd: list[str] = []
    inputs = _plain(row.inputs, "inputs", odd)
    outputs = _plain(row.outputs, "outputs", odd)
    nodes = tuple(msgspec.structs.replace(node, output=_plain(node.output, node.node, odd)) for node in row.nodes)
    notes = tuple(f"{place} has no JSON form and was recorded as text" for place in odd)
    return msgspec.structs.replace(row, inputs=inputs, outputs=outputs, nodes=nodes, notes=row.notes + notes)


def _plain(value: Any, place: str, odd: list[str], depth: int = 0) -> Any:
    # Subclasses (NumPy's float64, enumerations, marked strings) become the plain type they stand for.
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str):
        return str.__str__(value).encode(errors="replace").decode()
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {_NUMBER: str(float(value))}
    if depth < 64:
        if isinstance(value, Mapping):
            items = cast("Mapping[object, object]", value).items()
            return {str(key): _plain(item, f"{place}.{key}", odd, depth + 1) for key, item in items}
        if isinstance(value, Sequence | Set) and not isinstance(value, bytes | bytearray):
            members = cast("Sequence[object]", value)
            return [_plain(item, f"{place}[{index}]", odd, depth + 1) for index, item in enumerate(members)]
        if isinstance(value, msgspec.Struct):
            return _plain(msgspec.structs.asdict(value), place, odd, depth + 1)
        if is_dataclass(value) and not isinstance(value, type):
            return _plain({item.name: getattr(value, item.name) for item in fields(value)}, place, odd, depth + 1)
        scalar = getattr(value, "item", None)  # NumPy's scalars
        if callable(scalar) and getattr(value, "shape", None) == ():
            return _plain(scalar(), place, odd, depth + 1)
    odd.append(place)
    return {"$type": f"{type(value).__module__}.{type(value).__qualname__}", "$text": _text(value)}


def _text(value: object) -> str:
    try:
        return repr(value)[:_TEXT_LIMIT]
    except Exception as error:  # noqa: BLE001 - the user's __repr__ may do anything; the row is worth more
        return f"<{type(error).__name__} in __repr__>"


def _has_odd_number(value: Any) -> bool:
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, Mapping):
        return any(_has_odd_number(item) for item in cast("Mapping[object, object]", value).values())
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray):
        return any(_has_odd_number(item) for item in cast("Sequence[object]", value))
    return False


def _restore(value: Any) -> Any:
    if isinstance(value, dict):
        entries = cast("dict[str, Any]", value)
        if len(entries) == 1 and isinstance(name := entries.get(_NUMBER), str) and name in _NUMBERS:
            return _NUMBERS[name]
        return {key: _restore(item) for key, item in entries.items()}
    if isinstance(value, list):
        return [_restore(item) for item in cast("list[Any]", value)]
    return value
