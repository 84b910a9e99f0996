"""Rows as a table: CSV for spreadsheets, Parquet with types for analysis.

A column of inputs or outputs keeps its type where all its values share one; any other value is its JSON text.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from pilothouse.experiments.runs.types import Run, RunRow

Rows = Callable[[], Iterator[RunRow]]

_FIXED = {
    "line_id": "VARCHAR",
    "number": "BIGINT",
    "repeat": "BIGINT",
    "status": "VARCHAR",
    "error": "VARCHAR",
    "duration": "DOUBLE",
    "cached": "BOOLEAN",
    "input_tokens": "BIGINT",
    "output_tokens": "BIGINT",
    "cost_usd": "DOUBLE",
    "attempt": "BIGINT",
    "trace_id": "VARCHAR",
}
_SCALARS = ((bool, "BOOLEAN"), (int, "BIGINT"), (float, "DOUBLE"), (str, "VARCHAR"))
_LARGEST = 2**63


def write_csv(_run: Run, rows: Rows, folder: Path) -> None:
    """Write `rows.csv`."""
    columns = _columns(rows())
    with (folder / "rows.csv").open("w", encoding="utf-8", newline="") as sink:
        writer = csv.DictWriter(sink, columns)
        writer.writeheader()
        writer.writerows(_flat(row, columns) for row in rows())


def write_parquet(_run: Run, rows: Rows, folder: Path) -> None:
    """Write `rows.parquet`."""
    import duckdb

    columns = _columns(rows())
    shown = distinct(columns)
    lines = folder / "rows.jsonl"
    with lines.open("wb") as sink:
        for row in rows():
            cells = {shown[name]: json_number(value) for name, value in _flat(row, columns).items()}
            sink.write(msgspec.json.encode(cells) + b"\n")
    with duckdb.connect() as connection:
        types = {shown[name]: kind for name, kind in columns.items()}
        table = connection.read_json(str(lines), columns=types, format="newline_delimited")
        table.write_parquet(str(folder / "rows.parquet"))
    lines.unlink()


def _columns(rows: Iterator[RunRow]) -> dict[str, str]:
    """Return all columns with their types, those of inputs and outputs after what every row has."""
    found: dict[str, str] = {}
    for row in rows:
        for name, value in _values(row):
            if value is not None:
                found[name] = union(found.get(name, ""), kind_of(value))
            else:
                found.setdefault(name, "")
    return {**_FIXED, **{name: "VARCHAR" if kind in ("", "JSON") else kind for name, kind in found.items()}}


def union(left: str, right: str) -> str:
    """Return the type of a column that holds both; nothing is the type of a column without a value."""
    if left in ("", right):
        return right
    return "DOUBLE" if {left, right} == {"BIGINT", "DOUBLE"} else "JSON"


def distinct(columns: Iterable[str]) -> dict[str, str]:
    """Return names that differ by more than capitals, which DuckDB does not tell apart."""
    shown: dict[str, str] = {}
    taken: set[str] = set()
    for name in columns:
        made, count = name, 1
        while made.casefold() in taken:
            count += 1
            made = f"{name}_{count}"
        taken.add(made.casefold())
        shown[name] = made
    return shown


def json_number(value: Any) -> Any:
    """Return a value that JSON can hold: it has no NaN, but DuckDB reads its name as one."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def kind_of(value: Any) -> str:
    """Return DuckDB's type for a value; JSON for what is no scalar that it knows."""
    if isinstance(value, int) and not isinstance(value, bool) and not -_LARGEST <= value < _LARGEST:
        return "JSON"
    return next((name for kind, name in _SCALARS if type(value) is kind), "JSON")


def _values(row: RunRow) -> Iterator[tuple[str, Any]]:
    for name, value in row.inputs.items():
        yield f"inputs.{name}", value
    for name, value in row.outputs.items():
        yield f"outputs.{name}", value


def _flat(row: RunRow, columns: dict[str, str]) -> dict[str, Any]:
    return {
        "line_id": row.line_id,
        "number": row.number,
        "repeat": row.repeat,
        "status": row.status,
        "error": row.error.message if row.error is not None else None,
        "duration": row.duration,
        "cached": row.cached,
        "input_tokens": row.usage.input_tokens,
        "output_tokens": row.usage.output_tokens,
        "cost_usd": float(row.cost) if row.cost is not None else None,
        "attempt": row.attempt,
        "trace_id": row.trace_id,
        **{name: _cell(value, columns[name]) for name, value in _values(row)},
    }


def _cell(value: Any, kind: str) -> Any:
    if value is None or isinstance(value, str) or kind != "VARCHAR":
        return value
    return msgspec.json.encode(value).decode()
