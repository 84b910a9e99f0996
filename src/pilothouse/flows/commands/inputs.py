"""Inputs as they are given to `flow test`: pairs, and files of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from pilothouse.core.errors import DataError, UserError, nearest_hint
from pilothouse.flows.types import Flow


def read_rows(given: Sequence[str]) -> list[dict[str, Any]]:
    """Return the inputs of the lines to be run: those of a file, with single values on top.

    Raises:
        UserError: for text that is neither ``key=value`` nor a file.
        DataError: for a file that is not JSON, with its line.
    """
    rows: list[dict[str, Any]] = [{}]
    values: dict[str, Any] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if equals and not Path(text).is_file():
            values[key] = value
        elif Path(text).is_file():
            rows = _read_file(Path(text))
        else:
            raise UserError(f"'{text}' is neither an input nor a file", expected="key=value, file.json or file.jsonl")
    return [{**row, **values} for row in rows]


def pair(text: str) -> tuple[str, str]:
    """Return the two sides of ``key=value``.

    Raises:
        UserError: for text without an equals sign.
    """
    key, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"'{text}' is not a pair", expected="key=value")
    return key, value


def _read_file(path: Path) -> list[dict[str, Any]]:
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix == ".jsonl":
        numbered = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        return [_row(_parsed(line, f"{path}:{number}"), f"{path}:{number}") for number, line in numbered]
    data = _parsed(text, str(path))
    items: list[Any] = cast("list[Any]", data) if isinstance(data, list) else [data]
    return [_row(item, str(path)) for item in items]


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise DataError(f"this is not JSON: {error}", where=where) from error


def _row(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DataError("this is not an object with inputs", where=where, expected='{"input": value}')
    return cast("dict[str, Any]", value)


def check_rows(tried: Flow, rows: Sequence[dict[str, Any]]) -> None:
    """Refuse inputs that the flow does not have.

    Raises:
        UserError: naming the nearest input.
    """
    for row in rows:
        for name in row:
            if name not in tried.inputs:
                raise UserError(f"the flow has no input '{name}'", expected=nearest_hint(name, tried.inputs))
