"""Comma and tab separated values (RFC 4180). Every value is the string that stands there: nothing is retyped."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

from pilothouse.core.errors import DataError
from pilothouse.datasets.readers.base import ReadOptions, Record, open_text

CELL_LIMIT = 64 * 1024 * 1024
"""Characters in one cell; more is a quote that is never closed, found before it has eaten the memory."""


def read_csv(path: Path, options: ReadOptions) -> Iterator[Record]:
    """Yield the records of a file of comma separated values; the first line names the columns.

    Raises:
        DataError: for a header or a record that cannot be accepted, with file and line.
    """
    return _read(path, options, options.delimiter or ",")


def read_tsv(path: Path, options: ReadOptions) -> Iterator[Record]:
    """Yield the records of a file of tab separated values; otherwise as :func:`read_csv`."""
    return _read(path, options, options.delimiter or "\t")


def _read(path: Path, options: ReadOptions, delimiter: str) -> Iterator[Record]:
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise DataError(f"{delimiter!r} cannot stand between cells", expected="one character, such as , or ;")
    # The limit belongs to the process and the standard one, 128 KiB, is below a long document.
    csv.field_size_limit(max(csv.field_size_limit(), CELL_LIMIT))
    with open_text(path, options, newline="") as stream:
        lines = _refuse_nul(stream, path)
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        names: list[str] | None = None
        start = 1
        try:
            for cells in reader:
                if not cells:  # an empty line
                    pass
                elif names is None:
                    names = _header(cells, path, start)
                elif len(cells) == len(names):
                    yield Record(path, start, dict(zip(names, cells, strict=True)))
                else:
                    raise _ragged(path, start, len(cells), names, delimiter)
                start = reader.line_num + 1
        except csv.Error as error:
            raise _broken(path, start, reader.line_num, error) from error


def _refuse_nul(lines: Iterable[str], path: Path) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        if "\0" in line:
            raise DataError(
                "there is a NUL character, so this is not plain text",
                where=f"{path}:{number}",
                fix="if a spreadsheet wrote it, try --encoding utf-16; otherwise export it again as CSV",
            )
        yield line


def _header(cells: list[str], path: Path, line: int) -> list[str]:
    for index, name in enumerate(cells):
        if not name.strip():
            raise DataError(
                f"column {index + 1} has no name",
                where=f"{path}:{line}",
                expected="a name for every column in the first line",
                fix="name it, or leave the column out (pandas writes one: to_csv(..., index=False))",
            )
        if name in cells[:index]:
            raise DataError(
                f"two columns are called '{name}': {cells.index(name) + 1} and {index + 1}",
                where=f"{path}:{line}",
                fix="rename one of them",
            )
    return cells


def _ragged(path: Path, line: int, found: int, names: list[str], delimiter: str) -> DataError:
    shown = "a tab" if delimiter == "\t" else f"'{delimiter}'"
    return DataError(
        f"this record has {found} {'cell' if found == 1 else 'cells'}",
        where=f"{path}:{line}",
        expected=f"{len(names)}, as the header has",
        fix=f"put quotes around a cell that holds {shown} or a line end",
    )


def _broken(path: Path, start: int, line: int, error: csv.Error) -> DataError:
    reason = str(error)
    if "unexpected end of data" in reason or "field larger" in reason:
        return DataError(
            "a quote is opened in this record and never closed",
            where=f"{path}:{start}",
            fix='close it, or double a quote that belongs to the text: ""',
        )
    return DataError(
        f"this is not CSV: {reason}",
        where=f"{path}:{line}",
        fix='double a quote that belongs to the text ("") and put quotes around the whole cell',
    )
