"""The schema of the database, step by step: the files of `migrations/`, in the order of their numbers.

A brand-new SQLite database does not walk: it gets the statements of `new_database.sql`, which were read off a database
that took the steps. That costs some milliseconds, the steps a third of a second, most of it Alembic's import. A file
that lags behind the steps is no fault: what it lacks is migrated.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import sqlalchemy as sa

from pilothouse.core.errors import Conflict
from pilothouse.core.storage.columns import metadata

FOLDER = Path(__file__).parent / "migrations"
NEW = "new_database.sql"
BASE = "0000"

#: What stands between two statements of `new_database.sql`; its first line names the step it leads to.
BETWEEN = ";\n\n"
_HEADLINE = re.compile(r"-- schema (\d{4})\n")

_STEP = re.compile(r"(\d{4})_[a-z0-9_]+\.py")
_LOCK = 0x50494C4F54  # "PILOT": the key of PostgreSQL's advisory lock

# Alembic's own table, so that its tools can read which step a database has reached.
_version = sa.Table("alembic_version", sa.MetaData(), sa.Column("version_num", sa.String(32), primary_key=True))


def steps() -> dict[str, Path]:
    """Return the file of every step by its number, in order; nothing is imported."""
    found = sorted((match[1], path) for path in FOLDER.iterdir() if (match := _STEP.fullmatch(path.name)))
    return dict(found)


def head() -> str:
    """Return the number of the last step this package knows."""
    return max(steps(), default=BASE)


def current(connection: sa.Connection) -> str:
    """Return the number of the last step the database has taken."""
    if not sa.inspect(connection).has_table(_version.name):
        return BASE
    return connection.execute(sa.select(_version.c.version_num)).scalar() or BASE


def migrate(connection: sa.Connection, target: str, label: str) -> None:
    """Bring the database to step ``target``, up or down, inside the transaction of ``connection``.

    Args:
        connection: A write transaction; on PostgreSQL it waits here for other processes that migrate.
        target: The number of a step, or ``BASE`` for an empty schema.
        label: The database's name without secrets.

    Raises:
        Conflict: when the database has taken a step that this package does not know.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    files = steps()
    now = current(connection)
    refuse_unknown(now, label)
    if now == BASE and connection.dialect.name == "sqlite":
        now = _begin_new(connection, target)
    if target >= now:
        for number in (number for number in files if now < number <= target):
            _take(connection, files[number], "upgrade")
    else:
        for number in reversed([number for number in files if target < number <= now]):
            _take(connection, files[number], "downgrade")
    _version.create(connection, checkfirst=True)
    connection.execute(_version.delete())
    if target != BASE:
        connection.execute(_version.insert().values(version_num=target))
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
        assert broken is None, f"step {target} leaves a row without its parent: {broken}"


def refuse_unknown(now: str, label: str) -> None:
    """Refuse a database that a newer package has written.

    Raises:
        Conflict: naming both numbers.
    """
    if now != BASE and now not in steps():
        raise Conflict(
            f"the database has schema {now}; this version of Pilothouse knows schemas up to {head()}",
            where=label,
            fix="upgrade Pilothouse (pip install --upgrade pilothouse), or use another project folder",
        )


def _begin_new(connection: sa.Connection, target: str) -> str:
    """Make the tables of an empty database at once; return the step they stand at, ``BASE`` where nothing was made."""
    path = FOLDER / NEW
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    headline = _HEADLINE.match(text)
    if headline is None or headline[1] > target:
        return BASE
    for statement in text[headline.end() :].rstrip(";\n").split(BETWEEN):
        connection.exec_driver_sql(statement)
    return headline[1]


def _take(connection: sa.Connection, path: Path, direction: str) -> None:
    # Alembic is wanted only when a step is taken, which is seldom: it loads late.
    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    context = MigrationContext.configure(connection, opts={"target_metadata": metadata})
    getattr(_load(path), direction)(Operations(context))


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"pilothouse_migration_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
