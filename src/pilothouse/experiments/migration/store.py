"""Prompt flow's own database: its connections, whose secrets SQLite leaves out of the answer, and its list of runs."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, cast

from msgspec import Struct

from pilothouse.core.errors import DataError, NotFound

_QUERY = """
SELECT c.connectionName, c.connectionType, f.key,
  CASE WHEN f.key IN ({secrets}) THEN NULL ELSE f.value END,
  f.key IN ({secrets})
FROM connection AS c, json_each(c.configs) AS f
UNION ALL
SELECT c.connectionName, c.connectionType, f.key,
  CASE json_extract(f.value, '$.configValueType') WHEN 'String' THEN json_extract(f.value, '$.value') END,
  coalesce(json_extract(f.value, '$.configValueType'), 'Secret') <> 'String'
FROM connection AS c, json_each(c.customConfigs) AS f
"""
_RUNS = (
    "SELECT name, status, display_name, description, tags, properties, data, created_on, archived "
    "FROM run_info ORDER BY created_on, name"
)
_NAMES = "SELECT connectionName, connectionType FROM connection ORDER BY connectionName"


class StoredField(Struct, frozen=True, kw_only=True):
    """One field as the database has it: ``value`` is None for a secret."""

    key: str
    value: str | None
    secret: bool


class StoredConnection(Struct, frozen=True, kw_only=True):
    """One connection of the database."""

    name: str
    type: str
    fields: tuple[StoredField, ...]


class StoredRun(Struct, frozen=True, kw_only=True):
    """One run as the database has it; ``properties`` say what it was made from."""

    name: str
    status: str
    display_name: str
    description: str
    tags: dict[str, Any]
    properties: dict[str, Any]
    data: str
    created_on: str
    archived: bool


def read_runs(path: Path) -> tuple[StoredRun, ...]:
    """Return the runs of a `pf.sqlite`, the first made first; the file is opened for reading alone.

    Raises:
        NotFound: when there is no such file.
        DataError: when it is no database of prompt flow.
    """
    with _opened(path) as database:
        rows = database.execute(_RUNS).fetchall()
    return tuple(
        StoredRun(
            name=name,
            status=status or "",
            display_name=display_name or "",
            description=description or "",
            tags=_mapping(tags),
            properties=_mapping(properties),
            data=data or "",
            created_on=created_on or "",
            archived=bool(archived),
        )
        for name, status, display_name, description, tags, properties, data, created_on, archived in rows
    )


def _mapping(text: str | None) -> dict[str, Any]:
    try:
        value: object = json.loads(text or "{}")
    except ValueError:
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


@contextlib.contextmanager
def _opened(path: Path) -> Generator[sqlite3.Connection]:
    if not path.is_file():
        raise NotFound(
            "prompt flow's database is not there",
            where=str(path),
            fix="name it, or a folder of YAML files, with --from",
        )
    try:
        with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            yield database
    except sqlite3.Error as error:
        raise DataError(f"this is not prompt flow's database: {error}", where=str(path)) from error


def read_stored(path: Path, secrets: Sequence[str]) -> tuple[StoredConnection, ...]:
    """Return the connections of a `pf.sqlite`, by name; the file is opened for reading alone.

    Args:
        path: The database.
        secrets: Fields of typed connections whose values must not leave it.

    Raises:
        NotFound: when there is no such file.
        DataError: when it is no database of prompt flow.
    """
    marks = ", ".join(f":s{number}" for number in range(len(secrets)))
    values = {f"s{number}": name for number, name in enumerate(secrets)}
    with _opened(path) as database:
        named = database.execute(_NAMES).fetchall()
        # The marks are placeholders; the names themselves are bound.
        rows = database.execute(_QUERY.format(secrets=marks), values).fetchall()
    return tuple(
        StoredConnection(
            name=name,
            type=kind,
            fields=tuple(
                StoredField(key=key, value=None if value is None else str(value), secret=bool(secret))
                for owner, _, key, value, secret in rows
                if owner == name
            ),
        )
        for name, kind in named
    )
