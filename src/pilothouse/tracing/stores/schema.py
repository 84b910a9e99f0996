"""Tables, views and the connection of the DuckDB store.

`spans` is narrow: what lists and figures need. `span_payloads` holds the rest as JSON. Closed days move to sealed
Parquet files, both parts in one file, sorted by start. The views `all_spans` and `all_payloads` join what is live with
what is sealed; they are made for each connection, so the project's folder may be moved.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any, Final

from pilothouse.core.errors import StorageError
from pilothouse.core.storage.faults import FREE_SPACE
from pilothouse.tracing.normaliser import COLUMNS

if TYPE_CHECKING:  # the engine is loaded when a store is opened
    from duckdb import DuckDBPyConnection

SCHEMA_VERSION: Final = 1

BASE: Final = (
    ("trace_id", "VARCHAR"),
    ("span_id", "VARCHAR"),
    ("parent_id", "VARCHAR"),
    ("name", "VARCHAR"),
    ("kind", "VARCHAR"),
    ("start_ns", "BIGINT"),
    ("end_ns", "BIGINT"),
    ("status", "VARCHAR"),
    ("status_message", "VARCHAR"),
    ("service", "VARCHAR"),
    ("scope_name", "VARCHAR"),
    ("dropped", "INTEGER"),
)
CANONICAL: Final = tuple((column.name, column.kind) for column in COLUMNS)
PAYLOAD: Final = (
    ("attributes", "JSON"),
    ("events", "JSON"),
    ("links", "JSON"),
    ("resource", "JSON"),
    ("scope", "JSON"),
)

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS meta (name VARCHAR PRIMARY KEY, value BIGINT);
CREATE TABLE IF NOT EXISTS spans ($spans);
CREATE TABLE IF NOT EXISTS span_payloads (trace_id VARCHAR, span_id VARCHAR, start_ns BIGINT, $payload);
CREATE TABLE IF NOT EXISTS segments (
    name VARCHAR PRIMARY KEY, read_to BIGINT NOT NULL, rejected BIGINT NOT NULL, torn BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS writers (id VARCHAR PRIMARY KEY, received BIGINT NOT NULL, last_seq BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS sealed (
    file VARCHAR PRIMARY KEY, first_ns BIGINT NOT NULL, last_ns BIGINT NOT NULL, spans BIGINT NOT NULL
);
INSERT INTO meta VALUES ('schema', $schema), ('normaliser', 0) ON CONFLICT DO NOTHING;
"""

_VIEWS: Final = """
CREATE OR REPLACE TEMP VIEW all_spans AS SELECT $spans FROM main.spans $sealed_spans;
CREATE OR REPLACE TEMP VIEW all_payloads AS SELECT $payload FROM main.span_payloads $sealed_payloads;
"""


def connect(path: Path, memory_limit: str) -> DuckDBPyConnection:
    """Open the database, with its tables.

    Raises:
        StorageError: when it cannot be opened, lies below a folder with '?' in its name, or was made by a newer
            version.
    """
    import duckdb

    if "?" in str(path):
        raise StorageError(
            "traces cannot be read below a folder with '?' in its name: the engine takes it for a query",
            where=str(path),
            fix="rename the folder; what was recorded stays and is read then",
        )
    spill = path.with_name("spill")
    with engine_faults(path):
        connection = duckdb.connect(
            path,
            config={
                "memory_limit": memory_limit,
                "temp_directory": str(spill),
                # nothing is fetched from anywhere
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
            },
        )
        # In a program without a file of its own it would draw a bar into what a command prints.
        connection.execute("SET enable_progress_bar = false")
        try:
            connection.execute(
                Template(_TABLES).substitute(
                    spans=_declared((*BASE, *CANONICAL)), payload=_declared(PAYLOAD), schema=SCHEMA_VERSION
                )
            )
            found = meta(connection, "schema")
            if found > SCHEMA_VERSION:
                raise StorageError(
                    f"this span store was made by a newer Pilothouse (schema {found}, known {SCHEMA_VERSION})",
                    where=str(path),
                    fix="upgrade Pilothouse",
                )
        except BaseException:
            connection.close()
            raise
    return connection


def meta(connection: DuckDBPyConnection, name: str) -> int:
    """Return a number that the store keeps about itself."""
    return one(connection, "SELECT value FROM meta WHERE name = ?", [name])[0]


def one(connection: DuckDBPyConnection, sql: str, parameters: list[Any] | None = None) -> tuple[Any, ...]:
    """Return the one row of a query that always has one."""
    row = connection.execute(sql, parameters or []).fetchone()
    if row is None:
        raise StorageError("the span store gave no answer where one was certain")
    return row


def refresh_views(connection: DuckDBPyConnection, folder: Path) -> None:
    """Let the views show the sealed files that are registered now."""
    files = [folder / row[0] for row in connection.execute("SELECT file FROM sealed ORDER BY file").fetchall()]
    spans = names((*BASE, *CANONICAL))
    payload = names((("trace_id", ""), ("span_id", ""), ("start_ns", ""), *PAYLOAD))
    connection.execute(
        Template(_VIEWS).substitute(
            spans=spans,
            payload=payload,
            sealed_spans=_union(spans, files),
            sealed_payloads=_union(payload, files),
        )
    )


def names(columns: Iterable[tuple[str, str]]) -> str:
    """Return column names as a list of SQL."""
    return ", ".join(f'"{name}"' for name, _ in columns)


def quoted(value: str | Path) -> str:
    """Return a text as a literal of SQL."""
    return "'" + str(value).replace("'", "''") + "'"


@contextmanager
def transaction(connection: DuckDBPyConnection) -> Generator[None]:
    """Commit what the block did, or take all of it back."""
    connection.execute("BEGIN")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


@contextmanager
def engine_faults(path: Path) -> Generator[None]:
    """Tell failures of the engine as `StorageError`.

    Raises:
        StorageError: in place of what the engine raised.
    """
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        text = str(error).splitlines()[0]
        fix = None
        if "No space left" in text or "Out of Memory" in text:
            fix = f"{FREE_SPACE}; or raise tracing.memory_limit"
        elif "lock" in text:
            fix = "close the other program that has this database open"
        raise StorageError(f"the span store failed: {text}", where=str(path), fix=fix) from error


def _declared(columns: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f'"{name}" {kind}' for name, kind in columns)


def _union(columns: str, files: list[Path]) -> str:
    if not files:
        return ""
    listed = ", ".join(quoted(file) for file in files)
    return Template("UNION ALL SELECT $columns FROM read_parquet([$files])").substitute(columns=columns, files=listed)
