"""Closed days leave the database for zstd Parquet files; old ones are removed; columns are derived anew.

A file is complete and synced before the transaction that registers it and takes its rows out of the tables. A file
that no transaction registered is what a crash left, and goes when the store is next opened.
"""

from __future__ import annotations

import os
import secrets
from datetime import datetime
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Final

from pilothouse.core.storage.faults import disk_fault
from pilothouse.core.storage.files import sync_folder
from pilothouse.tracing.normaliser import VERSION, column_sql
from pilothouse.tracing.stores.schema import (
    BASE,
    CANONICAL,
    PAYLOAD,
    meta,
    names,
    one,
    quoted,
    refresh_views,
    transaction,
)
from pilothouse.tracing.types import SealReport, moment, nanoseconds

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SEALED: Final = "sealed"
_DAY: Final = 86_400_000_000_000

_COPY: Final = """
COPY ($rows) TO $file (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 20480)
"""

_LIVE_DAY: Final = """
SELECT $spans, $payload FROM spans AS s JOIN span_payloads AS p USING (trace_id, span_id)
WHERE s.start_ns >= $first AND s.start_ns < $end AND p.start_ns >= $first AND p.start_ns < $end
ORDER BY s.start_ns, s.trace_id, s.span_id
"""

_DERIVED: Final = """
SELECT $base, $canonical, $payload FROM (SELECT *, $list AS v FROM read_parquet($file))
ORDER BY start_ns, trace_id, span_id
"""

_DERIVE_LIVE: Final = """
UPDATE spans SET $assigned FROM (SELECT trace_id AS t, span_id AS s, $list AS v FROM span_payloads) AS raw
WHERE spans.trace_id = raw.t AND spans.span_id = raw.s
"""


def seal(connection: DuckDBPyConnection, folder: Path, before: datetime) -> SealReport:
    """Move every whole day (UTC) that ended by ``before`` into one sealed file each."""
    end = nanoseconds(before) // _DAY
    days = connection.execute(
        "SELECT DISTINCT start_ns // ? FROM spans WHERE start_ns < ? ORDER BY 1", [_DAY, end * _DAY]
    )
    spans, files = 0, list[str]()
    for (day,) in days.fetchall():
        name, count = _seal_day(connection, folder, day * _DAY)
        spans += count
        files.append(name)
    if files:
        refresh_views(connection, folder / SEALED)
        connection.execute("CHECKPOINT")
    return SealReport(spans=spans, files=tuple(files))


def expire(connection: DuckDBPyConnection, folder: Path, before: datetime) -> SealReport:
    """Remove every span of the whole days (UTC) that ended by ``before``; sealed files go as files."""
    end = nanoseconds(before) // _DAY * _DAY
    old = connection.execute("SELECT file, spans FROM sealed WHERE last_ns < ? ORDER BY file", [end]).fetchall()
    live = one(connection, "SELECT count(*) FROM spans WHERE start_ns < ?", [end])[0]
    if not old and not live:
        return SealReport()
    with transaction(connection):
        for table, column in (("spans", "start_ns"), ("span_payloads", "start_ns"), ("sealed", "last_ns")):
            connection.execute(
                Template("DELETE FROM $table WHERE $column < ?").substitute(table=table, column=column), [end]
            )
    reconcile(connection, folder)
    refresh_views(connection, folder / SEALED)
    return SealReport(spans=live + sum(row[1] for row in old), files=tuple(row[0] for row in old))


def reconcile(connection: DuckDBPyConnection, folder: Path) -> None:
    """Remove sealed files that no transaction registered, and forget registered ones that somebody removed."""
    registered = {row[0] for row in connection.execute("SELECT file FROM sealed").fetchall()}
    present = {path.name for path in (folder / SEALED).glob("*")}
    for name in present - registered:
        (folder / SEALED / name).unlink(missing_ok=True)
    for name in registered - present:
        connection.execute("DELETE FROM sealed WHERE file = ?", [name])


def derive_again(connection: DuckDBPyConnection, folder: Path) -> int:
    """Derive the canonical columns of every span from its raw attributes, where an older table had derived them.

    Returns:
        How many spans were derived anew.
    """
    if meta(connection, "normaliser") == VERSION:
        return 0
    expressions, listed = column_sql("attributes")
    for name, kind in CANONICAL:
        connection.execute(f'ALTER TABLE spans ADD COLUMN IF NOT EXISTS "{name}" {kind}')
    assigned = ", ".join(f'"{name}" = {text}' for text, (name, _) in zip(expressions, CANONICAL, strict=True))
    with transaction(connection):
        derived = one(connection, Template(_DERIVE_LIVE).substitute(assigned=assigned, list=listed))[0]
    canonical = ", ".join(f'{text} AS "{name}"' for text, (name, _) in zip(expressions, CANONICAL, strict=True))
    files = connection.execute("SELECT file, first_ns, last_ns, spans FROM sealed ORDER BY file").fetchall()
    for file, first, last, spans in files:
        rows = Template(_DERIVED).substitute(
            base=names(BASE),
            canonical=canonical,
            payload=names(PAYLOAD),
            list=listed,
            file=quoted(folder / SEALED / file),
        )
        name = _write(connection, folder, first, rows)
        with transaction(connection):
            connection.execute("DELETE FROM sealed WHERE file = ?", [file])
            connection.execute("INSERT INTO sealed VALUES (?, ?, ?, ?)", [name, first, last, spans])
        derived += spans
    connection.execute("UPDATE meta SET value = ? WHERE name = 'normaliser'", [VERSION])
    reconcile(connection, folder)
    return derived


def _seal_day(connection: DuckDBPyConnection, folder: Path, first: int) -> tuple[str, int]:
    end = first + _DAY
    rows = Template(_LIVE_DAY).substitute(
        spans=", ".join(f's."{name}"' for name, _ in (*BASE, *CANONICAL)),
        payload=", ".join(f'p."{name}"' for name, _ in PAYLOAD),
        first=first,
        end=end,
    )
    name = _write(connection, folder, first, rows)
    with transaction(connection):
        bounds = one(
            connection,
            "SELECT min(start_ns), max(start_ns) FROM spans WHERE start_ns >= ? AND start_ns < ?",
            [first, end],
        )
        count = one(connection, "DELETE FROM spans WHERE start_ns >= ? AND start_ns < ?", [first, end])[0]
        connection.execute("DELETE FROM span_payloads WHERE start_ns >= ? AND start_ns < ?", [first, end])
        connection.execute("INSERT INTO sealed VALUES (?, ?, ?, ?)", [name, *bounds, count])
    return name, count


def _write(connection: DuckDBPyConnection, folder: Path, first: int, rows: str) -> str:
    """Write rows into a new file of the sealed folder and sync it; return the file's name."""
    name = f"{moment(first):%Y-%m-%d}-{secrets.token_hex(4)}.parquet"
    path = folder / SEALED / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection.execute(Template(_COPY).substitute(rows=rows, file=quoted(path)))
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
        sync_folder(path.parent)
    except OSError as error:
        raise disk_fault(error, path, "seal spans") from error
    return name
