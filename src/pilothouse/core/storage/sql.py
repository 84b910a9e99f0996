"""The database: SQLite beside the project, or a PostgreSQL server, behind two kinds of transaction."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Literal, Self

import sqlalchemy as sa
from sqlalchemy import event, exc

from pilothouse.core.errors import ConfigError, DataError, StorageError
from pilothouse.core.ids import new_id
from pilothouse.core.services import Services
from pilothouse.core.storage import schema
from pilothouse.core.storage.columns import Json, UtcDateTime, metadata
from pilothouse.core.storage.faults import disk_fault
from pilothouse.core.storage.settings import StorageSettings
from pilothouse.core.storage.sql_faults import database_fault

__all__ = ["Database", "Json", "UtcDateTime", "identity", "lock", "metadata"]

Mode = Literal["read", "write", "migrate"]

_identity = sa.Table("database_identity", metadata, sa.Column("id", sa.String, primary_key=True))

_SQLITE = "sqlite:///"
_BUSY_SECONDS = 30
_MODE = "pilothouse_mode"
_POSTGRES_NAMES = ("postgres", "postgresql", "postgresql+psycopg")
_EXAMPLES = "sqlite:///folder/file.db or postgresql://user:password@host:5432/name"


class Database:
    """One database, opened on first use.

    Threads may share it; a process that forks must make its own.

    Attributes:
        dialect: ``"sqlite"`` or ``"postgresql"``.
        label: What the database is called in messages: never a password.
    """

    dialect: Literal["sqlite", "postgresql"]

    def __init__(self, url: str) -> None:
        """Name the database; nothing is opened yet.

        Args:
            url: ``sqlite:///file`` or ``postgresql://user:password@host:port/name``.

        Raises:
            ConfigError: when the URL cannot be used, or the driver is not installed.
        """
        self._url = _parse(url)
        self.dialect = "sqlite" if self._url.get_backend_name() == "sqlite" else "postgresql"
        self.label = _label(self._url)
        try:
            # Parameters are users' data: no exception shows them.
            self._engine = sa.create_engine(self._url, hide_parameters=True, pool_pre_ping=self.dialect != "sqlite")
        except ModuleNotFoundError as error:
            raise ConfigError(
                "the PostgreSQL driver is not installed", where=self.label, fix="pip install 'pilothouse[postgres]'"
            ) from error
        if self.dialect == "sqlite":
            event.listen(self._engine, "do_connect", _create_private)
            event.listen(self._engine, "connect", _prepare_sqlite)
            event.listen(self._engine, "begin", _begin_sqlite)

    @classmethod
    def build(cls, services: Services) -> Self:
        """Return the database of a project, its schema at the newest step.

        Raises:
            ConfigError: when the settings name one that cannot be used.
            Conflict, StorageError: as in `upgrade`.
        """
        settings = services.settings
        url = settings.environment.expand(settings.section(StorageSettings).database or "")
        file = url.removeprefix(_SQLITE)
        if not url:
            database = cls.at(services.state / "pilothouse.db")
        elif url != file and not file.startswith(("/", ":memory:")):
            # Of the project, whatever folder the command was typed in.
            database = cls.at(services.root / file)
        else:
            database = cls(url)
        database.upgrade()
        return database

    @classmethod
    def at(cls, path: Path) -> Self:
        """Return the SQLite database in the file ``path``, whatever characters its name has."""
        return cls(sa.URL.create("sqlite", database=str(path)).render_as_string())

    def __repr__(self) -> str:
        return f"Database({self.label})"

    def begin(self) -> AbstractContextManager[sa.Connection]:
        """Return a write transaction: committed at the end of the block, rolled back by an exception.

        On SQLite it waits for the one place of the writer, at most 30 s, before the block begins.

        Raises:
            StorageError: when the database is locked, full, read-only, damaged or does not answer.
            DataError: when a value cannot be stored.
        """
        return self._transaction("write")

    def read(self) -> AbstractContextManager[sa.Connection]:
        """Return a read transaction: one consistent snapshot; writing in it is refused by the database.

        Raises:
            StorageError: when the database is damaged or does not answer.
        """
        return self._transaction("read")

    def upgrade(self) -> None:
        """Bring the schema to the newest step; when it is there already, this is one cheap question.

        Several processes may call it at once.

        Raises:
            Conflict: when the database was written by a newer Pilothouse.
            StorageError: when the database is locked, full, read-only, damaged or does not answer.
        """
        with self.read() as connection:
            now = schema.current(connection)
        schema.refuse_unknown(now, self.label)
        if now != schema.head():
            self.migrate(schema.head())

    def migrate(self, target: str) -> None:
        """Bring the schema up or down to the step numbered ``target``; ``"0000"`` is the empty schema.

        Raises:
            Conflict: when the database was written by a newer Pilothouse.
            StorageError: as in `upgrade`.
        """
        with self._transaction("migrate") as connection:
            schema.migrate(connection, target, self.label)

    def close(self) -> None:
        """Close all connections; the next use opens new ones."""
        self._engine.dispose()

    @contextmanager
    def _transaction(self, mode: Mode) -> Generator[sa.Connection]:
        try:
            with self._engine.connect() as connection:
                connection.execution_options(**self._options(mode))
                with connection.begin():
                    yield connection
        except exc.StatementError as error:
            fault = database_fault(error, self.label)
            if fault is None:
                raise
            raise fault from error
        except OverflowError as error:  # sqlite3's own word for what PostgreSQL calls a data error
            raise DataError("the database cannot hold this value: the number is too large", where=self.label) from error
        except exc.TimeoutError as error:
            raise StorageError("too many transactions are open in this process", where=self.label) from error

    def _options(self, mode: Mode) -> dict[str, Any]:
        if self.dialect == "sqlite":
            return {_MODE: mode}
        if mode == "read":
            return {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        return {"isolation_level": "READ COMMITTED"}


def lock(connection: sa.Connection, name: str) -> None:
    """Hold ``name`` until the write transaction ends, waiting for others that hold it.

    For what must be read before it is written, such as the next number: what is read after this is settled. SQLite has
    one writer at a time, so there the transaction itself is the lock.
    """
    if connection.dialect.name == "postgresql":
        key = sa.func.hashtextextended(name, 0)  # 64 bits; a collision would only make somebody wait
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))


def identity(database: Database) -> str:
    """Return the name that a database was given when somebody first asked for it; it is kept for ever.

    Hosts may reach one PostgreSQL under several addresses, and several servers are called ``localhost``: only the
    database itself can tell whether two processes share it. A copy of a database has its name, too; of a SQLite file
    the path therefore belongs to the name.

    Raises:
        StorageError: when the database does not answer.
    """
    with database.read() as connection:
        found = connection.execute(sa.select(_identity.c.id)).scalar()
    if found is None:
        with database.begin() as connection:
            lock(connection, "database identity")
            found = connection.execute(sa.select(_identity.c.id)).scalar()
            if found is None:
                found = new_id()
                connection.execute(_identity.insert().values(id=found))
    return found if database.dialect == "postgresql" else f"{found} {database.label}"


def _parse(text: str) -> sa.URL:
    # The text may hold a password, so no message repeats it.
    try:
        url = sa.make_url(text)
    except (exc.ArgumentError, ValueError):
        raise ConfigError("the database URL cannot be read", expected=_EXAMPLES) from None
    if url.drivername in _POSTGRES_NAMES:
        return url.set(drivername="postgresql+psycopg")
    if url.drivername != "sqlite":
        raise ConfigError(f"databases of type '{url.drivername}' are not supported", expected=_EXAMPLES)
    if not url.database or url.database == ":memory:" or url.query:
        raise ConfigError("the database must be a file", where="sqlite", expected=_EXAMPLES)
    return url


def _label(url: sa.URL) -> str:
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    port = f":{url.port}" if url.port else ""
    return f"postgresql://{url.host or 'localhost'}{port}/{url.database or ''}"


def _create_private(_dialect: Any, _record: Any, arguments: list[Any], _options: dict[str, Any]) -> None:
    """Create the file before SQLite does: it holds users' data, so its owner alone may read it."""
    path = Path(arguments[0])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Never open a file that exists: closing it would drop the locks of this process's other connections.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise disk_fault(error, path, "open the database") from error


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    # The driver begins no transactions by itself: `_begin_sqlite` says which kind is wanted.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_SECONDS * 1000}")  # wait for another process's writer
    _use_write_ahead_log(connection)  # readers never wait for the writer, nor it for them
    connection.execute("PRAGMA synchronous = FULL")  # what was committed survives a power cut, not only a crash


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Switch the file over, which SQLite refuses at once, without waiting, while another process does the same."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _begin_sqlite(connection: sa.Connection) -> None:
    mode = connection.get_execution_options().get(_MODE, "write")
    # Keys are checked only when asked for; a migration that rebuilds a table would delete its children's rows.
    connection.exec_driver_sql(f"PRAGMA foreign_keys = {'OFF' if mode == 'migrate' else 'ON'}")
    connection.exec_driver_sql(f"PRAGMA query_only = {'ON' if mode == 'read' else 'OFF'}")
    # A writer takes its place at once: one that upgrades a read later cannot wait, it fails.
    connection.exec_driver_sql("BEGIN" if mode == "read" else "BEGIN IMMEDIATE")
