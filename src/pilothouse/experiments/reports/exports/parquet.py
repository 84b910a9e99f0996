"""Rows as Parquet: typed columns, one line for every row and arm."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pilothouse.experiments.comparison import ExperimentComparison, RowView
from pilothouse.experiments.reports.exports.records import encoded, flat, records, typed, whole, widen
from pilothouse.experiments.runs.exports.tabular import distinct

_LONGEST = 1 << 24


def write_parquet(path: Path, found: ExperimentComparison, rows: Iterable[RowView]) -> None:
    """Write the records; they are read once, and never in memory together.

    The columns are known only after the last row, so the rows stand in a file beside the target meanwhile.
    """
    import duckdb

    columns: dict[str, str] = {}
    shown: dict[str, str] = {}
    lines = path.with_name(f"{path.name}.jsonl")
    longest = 0
    try:
        with lines.open("wb") as sink:
            for record in records(found, rows):
                values = {whole(name): value for name, value in flat(record).items()}
                if not values.keys() <= shown.keys():
                    # DuckDB does not tell names apart that differ by their capitals alone.
                    shown = distinct((*shown, *(name for name in values if name not in shown)))
                widen(columns, values)
                line = encoded({shown[name]: value for name, value in values.items()})
                longest = max(longest, sink.write(line + b"\n"))
        kinds = {shown.get(name, name): kind for name, kind in typed(columns).items()}
        names = ", ".join(map(_quoted, kinds))
        wanted = ", ".join(f"{_text(name)}: {_text(kind)}" for name, kind in kinds.items())
        with duckdb.connect() as connection:
            connection.execute(
                f"COPY (SELECT {names} FROM read_json({_text(str(lines))}, columns = {{{wanted}}}, "  # noqa: S608
                f"format = 'newline_delimited', maximum_object_size = {max(_LONGEST, 2 * longest)})) "
                f"TO {_text(str(path))} (FORMAT parquet)"
            )
    finally:
        lines.unlink(missing_ok=True)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
