"""What a data file tells: whether it can be read, its columns, and which values prompt flow changed on the way.

Prompt flow reads data with pandas: in JSON and JSON-lines files it makes time stamps of texts in columns that are named
like dates, floats of integers beside nulls, and NaN of what is absent. Here JSON stays JSON.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

from msgspec import Struct

from pilothouse.experiments.migration.types import Finding, change, note

READ: Final = 4 * 1024 * 1024
"""Bytes of a data file that are looked at."""

# The names by which pandas takes a column of JSON for dates, and a text that it can make one of.
_DATE_COLUMN = re.compile(r"date|modified|timestamp.*|.*_at|.*_time", re.IGNORECASE | re.DOTALL)
_DATE = re.compile(r"\d{4}-\d\d(-\d\d([T ]\d\d:\d\d.*)?)?")


class DataReport(Struct, frozen=True, kw_only=True):
    """What a data file holds.

    Attributes:
        columns: Of its rows; empty when there are none.
        findings: What is to be known.
        read: Whether its rows were looked at.
    """

    columns: frozenset[str] = frozenset()
    findings: tuple[Finding, ...] = ()
    read: bool = True


def check_data(path: Path) -> DataReport:
    """Look at the rows of a data file, as far as `READ` goes."""
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return _parquet(path)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            raw = file.read(READ)
    except OSError as error:
        return DataReport(findings=(change(f"the file cannot be read: {error.strerror}", "make it readable"),))
    cut = size > len(raw)
    if cut:
        raw = raw[: raw.rfind(b"\n") + 1]
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        return DataReport(findings=(change(f"byte {error.start} is not UTF-8", "save the file as UTF-8", line),))
    if cut and (suffix == ".json" or not raw):
        reason = f"it has {size:,} bytes" + (", and a JSON file is read whole or not at all" if raw else " in one line")
        return DataReport(findings=(Finding(verdict="unread", message=reason),), read=False)
    found = _delimited(text, "," if suffix == ".csv" else "\t") if suffix in {".csv", ".tsv"} else _json(text, suffix)
    if cut:
        part = Finding(verdict="unread", message=f"only its first {len(raw):,} of {size:,} bytes were read")
        found = DataReport(columns=found.columns, findings=(*found.findings, part))
    return found


def _parquet(path: Path) -> DataReport:
    try:
        with path.open("rb") as file:
            is_parquet = file.read(4) == b"PAR1"
    except OSError:
        is_parquet = False
    if not is_parquet:
        return DataReport(findings=(change("this is not a Parquet file", "write it anew"),))
    return DataReport(findings=(Finding(verdict="unread", message="its rows were not looked at"),), read=False)


def _delimited(text: str, delimiter: str) -> DataReport:
    reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter, strict=True)
    try:
        head = next(reader, list[str]())
        first = next(reader, None)
    except csv.Error as error:
        return DataReport(findings=(change(f"the file cannot be read: {error}", "mend this line", reader.line_num),))
    if not head:
        return DataReport(findings=(change("the file is empty", "write a line of column names", 1),))
    findings: list[Finding] = []
    twice = sorted({name for name in head if head.count(name) > 1})
    if twice:
        findings.append(change(f"the column '{twice[0]}' stands twice", "rename one of the two", 1))
    if first is None:
        findings.append(note("it has column names and no row"))
    elif len(first) != len(head):
        counts = f"the first row has {len(first)} fields, the head {len(head)}"
        findings.append(change(counts, "quote the fields that hold the delimiter", reader.line_num))
    return DataReport(columns=frozenset(head), findings=tuple(findings))


def _json(text: str, suffix: str) -> DataReport:
    try:
        rows = list(_rows(text, suffix))
    except _BadLine as error:
        return DataReport(findings=(change(f"this is not JSON: {error.reason}", "mend this line", error.line),))
    mappings = [cast("dict[str, Any]", row) for row in rows if isinstance(row, dict)]
    if suffix == ".json" and len(mappings) != len(rows):
        reason = "it is JSON, but no list of rows: it was not taken for data"
        return DataReport(findings=(Finding(verdict="unread", message=reason),), read=False)
    if len(mappings) != len(rows):
        return DataReport(findings=(change("a line is no mapping", 'write each row as {"column": value}'),))
    if not rows:
        return DataReport(findings=(note("it has no row"),))
    columns = list(dict.fromkeys(name for row in mappings for name in row))
    findings = [finding for name in columns for finding in _retyped(name, mappings)]
    return DataReport(columns=frozenset(columns), findings=tuple(findings))


class _BadLine(Exception):
    def __init__(self, reason: str, line: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


def _rows(text: str, suffix: str) -> Iterator[Any]:
    if suffix == ".json":
        try:
            value: Any = json.loads(text) if text.strip() else []
        except (ValueError, RecursionError) as error:
            raise _BadLine(getattr(error, "msg", str(error)), getattr(error, "lineno", 1)) from error
        # A mapping is one thing, such as a settings file or a sample request, not rows.
        yield from cast("list[Any]", value) if isinstance(value, list) else [None]
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield json.loads(line)
            except (ValueError, RecursionError) as error:
                raise _BadLine(getattr(error, "msg", str(error)), number) from error


def _retyped(name: str, rows: list[dict[str, Any]]) -> Iterator[Finding]:
    values = [row.get(name) for row in rows]
    given = [value for value in values if value is not None]
    if _DATE_COLUMN.fullmatch(name) and given and all(isinstance(item, str) and _DATE.match(item) for item in given):
        yield note(
            f"prompt flow handed '{name}' on as a pandas Timestamp; here it stays the text '{given[0]}'",
            fix="a tool that calls methods of a Timestamp must parse the text itself",
        )
    if len(given) < len(values) and given and all(type(item) is int for item in given):
        yield note(
            f"prompt flow made floats of the whole numbers of '{name}', because some are null or absent; "
            "here they stay whole",
            fix="compare numbers, not their texts",
        )
    absent = sum(1 for row in rows if name not in row)
    if absent:
        yield note(
            f"'{name}' is absent from {absent} of {len(rows)} rows: prompt flow filled in NaN, here an input's "
            "default applies, and a row whose input has none fails",
        )
