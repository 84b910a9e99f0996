"""Writes `migrations/new_database.sql` anew: ``python -m tests.core.storage.new_database``."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
import sqlalchemy as sa

from pilothouse.core.storage import schema
from pilothouse.core.storage.sql import Database

_STATEMENTS = (
    "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND tbl_name != 'alembic_version' ORDER BY type DESC, rowid"
)


def read_off(connection: sa.Connection) -> str:
    """Return the statements that make the schema of an SQLite database."""
    found = connection.exec_driver_sql(_STATEMENTS).scalars()
    plain = ("\n".join(line.rstrip() for line in str(statement).expandtabs(4).splitlines()) for statement in found)
    return f"-- schema {schema.current(connection)}\n{schema.BETWEEN.join(plain)};\n"


def by_steps(database: Database) -> None:
    """Bring an empty database to the newest step, one behind the other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema, "NEW", "absent.sql")
        database.upgrade()


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        database = Database.at(Path(name) / "stepped.db")
        by_steps(database)
        with database.read() as connection:
            (schema.FOLDER / schema.NEW).write_text(read_off(connection), encoding="utf-8")
        database.close()


if __name__ == "__main__":
    main()
