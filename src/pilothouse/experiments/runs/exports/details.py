"""Rows as prompt flow's details: one column for each input and output, a failed row told as failed."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from pilothouse.core.storage.faults import disk_fault
from pilothouse.core.storage.files import sync_file
from pilothouse.experiments.runs.types import RunRow

Rows = Callable[[], Iterable[RunRow]]
"""Yields the rows in input order; may be called again."""

LINE = "inputs.line_number"
STATUS = "status"
FAILED = "(Failed)"


def detail_columns(rows: Iterable[RunRow]) -> list[str]:
    """Return the columns of some rows: the line, its status, all inputs, all outputs."""
    inputs: dict[str, None] = {}
    outputs: dict[str, None] = {}
    for row in rows:
        inputs.update(dict.fromkeys(row.inputs))
        outputs.update(dict.fromkeys(row.outputs))
    return [LINE, STATUS, *(f"inputs.{name}" for name in inputs), *(f"outputs.{name}" for name in outputs)]


def details(rows: Rows, repeat: int) -> Iterator[dict[str, Any]]:
    """Yield every row by column; an output of a row without an answer is ``(Failed)``, one that was not given is None.

    Args:
        rows: The rows.
        repeat: Lines per row of the data.
    """
    columns = detail_columns(rows())
    for row in rows():
        empty = None if row.status == "completed" else FAILED
        found: dict[str, Any] = {column: empty if column.startswith("outputs.") else None for column in columns}
        found[LINE] = row.number * repeat + row.repeat
        found[STATUS] = row.status
        found |= {f"inputs.{name}": value for name, value in row.inputs.items()}
        if row.status == "completed":
            found |= {f"outputs.{name}": value for name, value in row.outputs.items()}
        yield found


def write_details(rows: Rows, repeat: int, folder: Path) -> tuple[Path, ...]:
    """Write `details.csv` and `details.jsonl`, each whole or not at all; files of these names are replaced.

    Raises:
        StorageError: the disk is full or forbidden.
    """
    lines = (line.encode("utf-8", "backslashreplace") for line in csv_lines(details(rows, repeat)))
    _write(folder / "details.csv", lines)
    _write(folder / "details.jsonl", (msgspec.json.encode(row) + b"\n" for row in details(rows, repeat)))
    return folder / "details.csv", folder / "details.jsonl"


def csv_lines(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield rows as lines of CSV, the names of the columns first."""
    sink = io.StringIO(newline="")
    writer = csv.writer(sink, lineterminator="\n")
    for place, row in enumerate(rows):
        if place == 0:
            writer.writerow(row)
        writer.writerow(map(cell, row.values()))
        yield sink.getvalue()
        sink.seek(0)
        sink.truncate()


def cell(value: Any) -> str:
    """Return a value as the text of a cell: strings as they are, everything else as JSON."""
    return "" if value is None else value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _write(path: Path, lines: Iterable[bytes]) -> None:
    partial = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("wb") as sink:
                sink.writelines(lines)
                sync_file(sink)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise disk_fault(error, path, "write the details") from error
