"""Rows of a run and of an evaluator's own file as one: joined by their place, as prompt flow joins them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

from pilothouse.core.errors import DataError
from pilothouse.datasets.files import find_files, read_files
from pilothouse.datasets.readers.base import ReadOptions

MOST: Final = 64 * 1024 * 1024
"""Bytes of a file beyond which it is not joined: all rows are in memory."""

Rows = list[dict[str, Any]]


def read_rows(path: Path) -> Rows:
    """Return all rows of a data file or folder.

    Raises:
        NotFound: when it is not there.
        DataError: for a row that cannot be accepted, or a file beyond `MOST`.
    """
    files = find_files(path)
    size = sum(file.stat().st_size for file in files.files)
    if size > MOST:
        raise DataError(f"it has {size:,} bytes", where=str(path), expected=f"at most {MOST:,}")
    return [dict(record.data) for record in read_files(files, ReadOptions())]


def join_columns(rows: Rows, other: Path, wanted: Collection[str]) -> Rows:
    """Return ``rows`` with the columns ``wanted`` of the file ``other`` beside them, row by row.

    Raises:
        NotFound: when the file is not there.
        DataError: for another number of rows, a row without such a column, or a column of both with other values.
    """
    theirs = read_rows(other)
    if len(theirs) != len(rows):
        raise DataError(f"it has {len(theirs)} rows, the data of the run {len(rows)}")
    joined: Rows = []
    for number, (row, beside) in enumerate(zip(rows, theirs, strict=True), 1):
        added: dict[str, Any] = {}
        for path in wanted:
            # A reference may go on into a value: ${data.answer.text}.
            name = path if path in beside else path.partition(".")[0]
            if name not in beside:
                raise DataError(f"its row {number} has no '{name}'")
            if name in row and str(row[name]) != str(beside[name]):
                raise DataError(f"'{name}' of row {number} differs from that of the run's data")
            added[name] = beside[name]
        joined.append({**added, **row})
    return joined
