"""JSON lines: one object on each line. Dates stay strings, integers stay integers, absent keys stay absent."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import msgspec

from pilothouse.core.errors import DataError
from pilothouse.datasets.readers.base import ReadOptions, Record, open_text

_decode = msgspec.json.Decoder().decode
_ENDS_OF_KEYS = re.compile(r'"\s*:')


def read_jsonl(path: Path, options: ReadOptions) -> Iterator[Record]:
    """Yield the records of a file with one JSON object on each line; empty lines are passed over.

    Raises:
        DataError: for a line that is not one JSON object, with file and line.
    """
    with open_text(path, options, newline="\n") as stream:
        for number, line in enumerate(stream, 1):
            if not line.isspace():
                yield Record(path, number, read_object(line, f"{path}:{number}"))


def read_object(text: str, where: str) -> dict[str, Any]:
    """Return the JSON object that ``text`` is.

    Args:
        text: One JSON value.
        where: Its place, for errors.

    Raises:
        DataError: when it is not JSON, not an object, has a number JSON cannot hold or a key twice.
    """
    try:
        value: object = _decode(text)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise _broken(text, where, error) from error
    if not isinstance(value, dict):
        raise DataError(f"this is {_kind(value)}", where=where, expected='an object, such as {"text": "..."}')
    data = cast("dict[str, Any]", value)
    # The parser keeps the last of two equal keys. Every key is followed by a colon, so when there are as many colons
    # (or colons after a quotation mark) as keys on the top level, no key was lost; else it is looked at closely.
    if text.count(":") != len(data) and len(_ENDS_OF_KEYS.findall(text)) != len(data):
        json.loads(text, object_pairs_hook=lambda pairs: _refuse_double(pairs, where), parse_int=str, parse_float=str)
    return data


def _refuse_double(pairs: list[tuple[str, Any]], where: str) -> None:
    names: set[str] = set()
    for name, _ in pairs:
        if name in names:
            raise DataError(f"the key '{name}' stands twice in one object", where=where, fix="keep one of the two")
        names.add(name)


def _broken(text: str, where: str, error: Exception) -> DataError:
    start = text.lstrip()[:1]
    if isinstance(error, RecursionError):
        return DataError("the JSON is nested too deeply", where=where)
    if start == "[":
        return DataError(
            "an array begins on this line and does not end on it",
            where=where,
            expected="one object on each line",
            fix="name the file .json if the whole of it is one array of objects",
        )
    if "out of range" in str(error):
        return DataError("a number is too big to be kept", where=where, fix="write it as a string")
    if any(word in text for word in ("NaN", "Infinity")):
        return DataError(
            "this is not JSON; NaN and Infinity are not JSON numbers",
            where=where,
            fix="write null, or leave the key out",
        )
    reason = str(error).removeprefix("JSON is malformed: ")
    return DataError(f"this is not JSON: {reason}", where=where, expected='one whole object, such as {"text": "..."}')


def _kind(value: object) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else "a boolean"
    if isinstance(value, list):
        return "an array"
    return "a string" if isinstance(value, str) else "a number"
