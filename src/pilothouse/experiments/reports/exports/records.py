"""One record for every row and arm: what CSV, JSON lines, Parquet and the tables of tracking servers are made of."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from pilothouse.experiments.comparison import Answer, Arm, ExperimentComparison, RowView
from pilothouse.experiments.runs.exports.tabular import json_number, kind_of, union

FIXED: Final = {
    "row": "VARCHAR",
    "number": "BIGINT",
    "repeat": "BIGINT",
    "variant": "VARCHAR",
    "run": "VARCHAR",
    "truth": "VARCHAR",
    "label": "VARCHAR",
    "right": "BOOLEAN",
    "primary_score": "DOUBLE",
    "seconds": "DOUBLE",
    "cached": "BOOLEAN",
    "input_tokens": "BIGINT",
    "output_tokens": "BIGINT",
    "error_node": "VARCHAR",
    "error": "VARCHAR",
}
"""Columns that every record has, with DuckDB's types for them."""

NESTED: Final = ("inputs", "outputs", "scores", "states")
"""Mappings of a record; a flat record has a column ``inputs.text`` for each of their entries."""

Record = dict[str, Any]
_LONE: Final = re.compile("[\ud800-\udfff]")


def records(found: ExperimentComparison, rows: Iterable[RowView]) -> Iterator[Record]:
    """Yield a record for every row and arm, in the data's order; an arm without the row has none.

    ``scores`` has the value of every score, None without one; ``states`` says ``ok`` or why there is none.
    """
    for row in rows:
        for arm, answer in zip(found.arms, row.answers, strict=True):
            if answer is not None:
                yield record_of(row, arm, answer)


def record_of(row: RowView, arm: Arm, answer: Answer) -> Record:
    """Return what one arm made of one row."""
    return {
        "row": row.id,
        "number": row.number,
        "repeat": row.repeat,
        "variant": arm.name,
        "run": arm.run,
        "truth": row.truth,
        "label": answer.label,
        "right": answer.right,
        "primary_score": answer.primary,
        "seconds": answer.duration,
        "cached": answer.cached,
        "input_tokens": answer.usage.input_tokens,
        "output_tokens": answer.usage.output_tokens,
        "error_node": answer.error_node,
        "error": answer.error,
        "inputs": row.inputs,
        "outputs": answer.outputs,
        "scores": {name: None if name in answer.states else value for name, value in answer.scores.items()},
        "states": {name: answer.states.get(name, "ok") for name in answer.scores},
    }


def flat(record: Mapping[str, Any]) -> Record:
    """Return a record without mappings: ``inputs.text``, ``outputs.label``, ``scores.exact``, ``states.exact``."""
    nested = {f"{group}.{name}": value for group in NESTED for name, value in record[group].items()}
    return {**{name: value for name, value in record.items() if name not in NESTED}, **nested}


def widen(columns: dict[str, str], record: Mapping[str, Any]) -> None:
    """Let ``columns`` hold a flat record, too: column -> type, nothing for a column without a value so far."""
    for name, value in record.items():
        if name in FIXED:
            continue
        if value is None:
            columns.setdefault(name, "")
        else:
            columns[name] = union(columns.get(name, ""), kind_of(value))


def typed(columns: Mapping[str, str]) -> dict[str, str]:
    """Return all columns with their types, inputs first; what is of several kinds is text."""
    ordered = sorted(columns.items(), key=lambda item: NESTED.index(item[0].partition(".")[0]))
    return {**FIXED, **{name: "VARCHAR" if kind in ("", "JSON") else kind for name, kind in ordered}}


def encoded(record: Mapping[str, Any]) -> bytes:
    """Return a record as JSON: numbers that JSON lacks by their names, halves of characters written out."""
    shown = {name: json_number(value) for name, value in record.items()}
    try:
        return msgspec.json.encode(shown)
    except UnicodeEncodeError:
        return msgspec.json.encode(whole(shown))


def write_lines(path: Path, found: ExperimentComparison, rows: Iterable[RowView]) -> None:
    """Write the records as JSON lines, one in memory at a time."""
    with path.open("wb") as sink:
        for record in records(found, rows):
            sink.write(encoded(_finite(record)) + b"\n")


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in cast("Sequence[Any]", value)]
    return value


def whole(value: Any) -> Any:
    """Return a value without halves of characters, which UTF-8 cannot hold: they are written out by number."""
    if isinstance(value, str):
        return _LONE.sub(lambda match: f"\\u{ord(match[0]):04x}", value)
    if isinstance(value, Mapping):
        return {whole(name): whole(item) for name, item in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [whole(item) for item in cast("Sequence[Any]", value)]
    return value
