"""The report files of one comparison: page, rows, summary."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from msgspec import Struct, structs

from pilothouse.core.storage.faults import disk_fault
from pilothouse.core.storage.files import sync_file, write_atomic
from pilothouse.experiments.comparison import ExperimentComparison, RowView
from pilothouse.experiments.reports.csv import rows_csv, summary_csv
from pilothouse.experiments.reports.exports.document import write_document
from pilothouse.experiments.reports.exports.parquet import write_parquet
from pilothouse.experiments.reports.exports.records import write_lines
from pilothouse.experiments.reports.html import render
from pilothouse.experiments.settings import ReportFormat

HTML, ROWS, SUMMARY = "report.html", "rows.csv", "summary.csv"
DOCUMENT, LINES, PARQUET = "report.json", "rows.jsonl", "rows.parquet"


class ReportFiles(Struct, frozen=True, kw_only=True):
    """Where the reports are; ``exports`` = what was asked for beside page, rows and summary."""

    html: Path
    rows: Path
    summary: Path
    exports: tuple[Path, ...] = ()

    @property
    def all(self) -> tuple[Path, ...]:
        """Every file, the page first."""
        return (self.html, self.rows, self.summary, *self.exports)


def write_reports(
    folder: Path,
    found: ExperimentComparison,
    rows: Callable[[], Iterable[RowView]],
    most_rows: int,
    formats: Collection[ReportFormat] = (),
) -> ReportFiles:
    """Write all reports into ``folder``, each whole or not at all.

    Args:
        folder: Made where it is missing; files of these names are replaced.
        found: The comparison.
        rows: The rows, from the first at each call.
        most_rows: Rows that the page itself carries.
        formats: What is wanted beside HTML and CSV.

    Raises:
        StorageError: the disk is full or forbidden.
    """
    files = ReportFiles(html=folder / HTML, rows=folder / ROWS, summary=folder / SUMMARY)
    write_atomic(files.html, render(found, rows(), most_rows=most_rows))
    _write_stream(files.rows, rows_csv(found, rows()))
    _write_stream(files.summary, summary_csv(found))
    exports: list[Path] = []
    if "json" in formats:
        exports += [folder / DOCUMENT, folder / LINES]
        write_atomic(folder / DOCUMENT, write_document(found))
        _put(folder / LINES, lambda path: write_lines(path, found, rows()))
    if "parquet" in formats:
        exports.append(folder / PARQUET)
        _put(folder / PARQUET, lambda path: write_parquet(path, found, rows()))
    return structs.replace(files, exports=tuple(exports))


def _write_stream(path: Path, parts: Iterable[str]) -> None:
    """Write text as it comes, so that a file of any length takes no memory; then put it in place."""

    def write(temporary: Path) -> None:
        with temporary.open("wb") as stream:
            for part in parts:
                stream.write(part.encode("utf-8", "backslashreplace"))

    _put(path, write)


def _put(path: Path, write: Callable[[Path], None]) -> None:
    """Let a file be written beside its place, and put it there when it is whole."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        try:
            write(temporary)
            with temporary.open("rb+") as stream:
                sync_file(stream)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise disk_fault(error, path, "write the file") from error
