"""The report files of one comparison: page, rows, summary."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from pathlib import Path

from msgspec import Struct

from pilothouse.core.storage.faults import disk_fault
from pilothouse.core.storage.files import sync_file, write_atomic
from pilothouse.experiments.comparison import ExperimentComparison, RowView
from pilothouse.experiments.reports.csv import rows_csv, summary_csv
from pilothouse.experiments.reports.html import render

HTML, ROWS, SUMMARY = "report.html", "rows.csv", "summary.csv"


class ReportFiles(Struct, frozen=True, kw_only=True):
    """Where the reports are."""

    html: Path
    rows: Path
    summary: Path


def write_reports(
    folder: Path, found: ExperimentComparison, rows: Callable[[], Iterable[RowView]], most_rows: int
) -> ReportFiles:
    """Write all reports into ``folder``, each whole or not at all.

    Args:
        folder: Made where it is missing; files of these names are replaced.
        found: The comparison.
        rows: The rows, from the first at each call.
        most_rows: Rows that the page itself carries.

    Raises:
        StorageError: the disk is full or forbidden.
    """
    files = ReportFiles(html=folder / HTML, rows=folder / ROWS, summary=folder / SUMMARY)
    write_atomic(files.html, render(found, rows(), most_rows=most_rows))
    _write_stream(files.rows, rows_csv(found, rows()))
    _write_stream(files.summary, summary_csv(found))
    return files


def _write_stream(path: Path, parts: Iterable[str]) -> None:
    """Write text as it comes, so that a file of any length takes no memory; then put it in place."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        try:
            with temporary.open("wb") as stream:
                for part in parts:
                    stream.write(part.encode("utf-8", "backslashreplace"))
                sync_file(stream)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise disk_fault(error, path, "write the file") from error
