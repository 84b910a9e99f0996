"""Rows as prompt flow's details: one column for each input and output, a failed row told as failed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

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
