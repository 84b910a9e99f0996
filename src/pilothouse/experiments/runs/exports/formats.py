"""The formats a run can be exported to, and the folder it goes to: whole, or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal, get_args

import msgspec

from pilothouse.core.errors import Conflict, NotFound, nearest_hint
from pilothouse.core.storage.faults import disk_fault
from pilothouse.experiments.runs.exports.jsonl import write_jsonl
from pilothouse.experiments.runs.exports.promptflow import write_promptflow
from pilothouse.experiments.runs.exports.tabular import write_csv, write_parquet
from pilothouse.experiments.runs.types import Run, RunRow

ExportFormat = Literal["jsonl", "csv", "parquet", "promptflow"]
FORMATS: tuple[str, ...] = get_args(ExportFormat)

Rows = Callable[[], Iterator[RunRow]]
"""Yields the rows in input order; may be called again."""

_WRITERS: Mapping[str, Callable[[Run, Rows, Path], None]] = {
    "jsonl": write_jsonl,
    "csv": write_csv,
    "parquet": write_parquet,
    "promptflow": write_promptflow,
}


def export_run(run: Run, rows: Rows, folder: Path, export_format: str) -> tuple[Path, ...]:
    """Write a run into a new or empty folder and return its files.

    Raises:
        Conflict: the folder has something in it.
        NotFound: there is no such format.
        StorageError: the disk is full; no part of the export stays.
    """
    if export_format not in _WRITERS:
        raise NotFound(f"there is no export format '{export_format}'", expected=nearest_hint(export_format, _WRITERS))
    partial = folder.with_name(f".{folder.name}.{run.id}.part")
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise Conflict("the target of the export is not an empty folder", where=str(folder), fix="name another one")
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            record = msgspec.json.format(msgspec.json.encode(run), indent=2)
            (partial / "run.json").write_bytes(record + b"\n")
            _WRITERS[export_format](run, rows, partial)
            partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise disk_fault(error, folder, "export the run") from error
    return tuple(sorted(path for path in folder.rglob("*") if path.is_file()))
