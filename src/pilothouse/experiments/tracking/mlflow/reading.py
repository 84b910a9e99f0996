"""Tables of MLflow read as rows, whoever wrote them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

import msgspec
from msgspec import Struct

from pilothouse.core.errors import DataError
from pilothouse.experiments.runs.types import RunRow
from pilothouse.flows.results import ErrorInfo
from pilothouse.models.types import Usage

_OWN: Final = frozenset(
    ("number", "repeat", "label", "right", "primary_score", "seconds", "cached", "input_tokens", "output_tokens",
     "error_node", "error")
)  # fmt: skip
_OUTPUTS: Final = ("outputs", "output", "predictions", "prediction", "response", "answer")
_JUDGED: Final = ("scores", "states")
_ID: Final = "row"
_ERROR: Final = "MlflowError"


class Columns(Struct, frozen=True, kw_only=True):
    """What becomes of every column of a table.

    Attributes:
        inputs: Column -> name of the input; an empty name = the column holds a mapping of them.
        outputs: Column -> name of the output, likewise.
        left_out: Scores and what follows from them: they are judged here anew.
        is_own: Whether the table was logged by Pilothouse.
    """

    inputs: dict[str, str]
    outputs: dict[str, str]
    left_out: tuple[str, ...] = ()
    is_own: bool = False


class Table(Struct, frozen=True, kw_only=True):
    """A table: names of its columns, and its rows of values."""

    columns: tuple[str, ...]
    data: tuple[tuple[Any, ...], ...]

    @property
    def records(self) -> Iterator[dict[str, Any]]:
        """The rows by their columns' names."""
        return (dict(zip(self.columns, row, strict=True)) for row in self.data)


def read_table(path: Path) -> Table:
    """Read a table as MLflow writes it: JSON with ``columns`` and ``data``, or Parquet.

    Raises:
        DataError: it is neither.
    """
    if path.suffix == ".parquet":
        return _parquet(path)
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Table)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DataError(
            "this is no table of MLflow", where=path.name, expected='{"columns": [...], "data": [[...], ...]}'
        ) from error
    if any(len(row) != len(found.columns) for row in found.data):
        raise DataError("a row of the table has not as many values as the table has columns", where=path.name)
    return found


def columns_of(table: Table, outputs: Sequence[str] = ()) -> Columns:
    """Return what becomes of the columns.

    Args:
        table: The table.
        outputs: Columns that are outputs, whatever they are called.

    Raises:
        DataError: no column can be the output.
    """
    is_own = {_ID, "number", "primary_score"} <= set(table.columns)
    taken: dict[str, str] = {}
    given: dict[str, str] = {}
    left_out: list[str] = []
    for column in table.columns:
        group, name = _grouped(column)
        if column in outputs:
            taken[column] = name or column
        elif group in _OUTPUTS:
            taken[column] = name
        elif group in _JUDGED or column.endswith(("/score", "/justification", "/value", "/rationale")):
            left_out.append(column)
        elif not (is_own and (column in _OWN or column == _ID)):
            given[column] = name if group in ("inputs", "input", "request") else column
    if not taken and not is_own:
        raise DataError(
            "no column of the table looks like an output",
            where=", ".join(table.columns[:12]),
            expected=f"a column called {', '.join(_OUTPUTS)}, or outputs.x",
            fix="name it with --output COLUMN",
        )
    return Columns(inputs=given, outputs=taken, left_out=tuple(left_out), is_own=is_own)


def rows_of(table: Table, columns: Columns) -> Iterator[RunRow]:
    """Yield the rows of a table."""
    for number, record in enumerate(table.records):
        error = record.get("error") if columns.is_own else None
        place: dict[str, Any] = record if columns.is_own else {}
        yield RunRow(
            line_id=str(place.get(_ID, number)),
            number=int(place.get("number", number)),
            repeat=int(place.get("repeat", 0)),
            status="completed" if error is None else "failed",
            inputs=_picked(record, columns.inputs),
            outputs=_picked(record, columns.outputs) if error is None else {},
            usage=Usage(
                input_tokens=int(place.get("input_tokens") or 0), output_tokens=int(place.get("output_tokens") or 0)
            ),
            duration=float(place.get("seconds") or 0.0),
            error=None if error is None else ErrorInfo(type=_ERROR, message=str(error), node=place.get("error_node")),
        )


def digest_of(rows: Iterator[RunRow]) -> str:
    """Return the digest of the rows' ids and inputs: runs with the same one can be compared row by row."""
    found = hashlib.sha256()
    encode = msgspec.json.Encoder(order="deterministic").encode
    for row in rows:
        found.update(encode([row.line_id, row.number, row.repeat, row.inputs]) + b"\n")
    return found.hexdigest()


def _grouped(column: str) -> tuple[str, str]:
    for mark in (".", "/"):
        group, found, name = column.partition(mark)
        if found and group in (*_OUTPUTS, *_JUDGED, "inputs", "input", "request"):
            return group, name
    return column, ""


def _picked(record: Mapping[str, Any], columns: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for column, name in columns.items():
        value = record[column]
        if name:
            found[name] = value
        elif isinstance(value, Mapping):
            found |= cast("Mapping[str, Any]", value)
        else:
            found[column] = value
    return found


def _parquet(path: Path) -> Table:
    import duckdb

    try:
        with duckdb.connect() as connection:
            found = connection.read_parquet(str(path))
            return Table(columns=tuple(found.columns), data=tuple(found.fetchall()))
    except duckdb.Error as error:
        raise DataError("this is no Parquet table", where=path.name) from error
