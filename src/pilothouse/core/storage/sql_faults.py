"""Failures of a database, said so that a person knows what to do."""

from __future__ import annotations

from sqlalchemy import exc

from pilothouse.core.errors import DataError, PilothouseError, StorageError
from pilothouse.core.storage.faults import FREE_SPACE

# The names SQLite gives its result codes; an extended code starts with its plain one.
_SQLITE_FIXES = {
    "SQLITE_FULL": ("the disk is full", FREE_SPACE),
    "SQLITE_BUSY": ("another process holds the database", "wait until it has finished, or stop it, and try again"),
    "SQLITE_LOCKED": ("another process holds the database", "wait until it has finished, or stop it, and try again"),
    "SQLITE_READONLY": ("the database cannot be written", "give this user the right to write the file and its folder"),
    "SQLITE_PERM": ("the database cannot be written", "give this user the right to write the file and its folder"),
    "SQLITE_CANTOPEN": ("the database file cannot be opened", "check that its folder exists and may be written"),
    "SQLITE_IOERR": ("reading or writing the disk failed", "check the disk, and that it is not full"),
    "SQLITE_CORRUPT": ("the database file is damaged", "restore it from a backup"),
    "SQLITE_NOTADB": ("the file is not a SQLite database", "move it away, or name another one in the settings"),
}

# PostgreSQL's SQLSTATE codes and classes, the longer first (postgresql.org/docs/current/errcodes-appendix.html).
_POSTGRES_FIXES = {
    "53100": ("the server's disk is full", "free space on the server"),
    "53300": ("the server has no connection left", "close other clients or raise max_connections"),
    "25006": ("the database is read-only", "connect to the primary server, as a role that may write"),
    "55P03": ("another process holds the rows", "try again"),
    "40": ("another transaction was in the way", "try again"),
    "28": ("the server refused the user or the password", "check user and password in the database URL"),
    "3D": ("there is no such database", "create it (createdb) or name another one in the database URL"),
    "42501": ("the role lacks a right", "grant it CREATE and USAGE on the schema"),
}


def database_fault(error: exc.StatementError, label: str) -> PilothouseError | None:
    """Return what to raise in place of a driver's error, or None when the error is a programmer's.

    A broken constraint stays an ``IntegrityError``: stores answer it themselves.

    Args:
        error: What SQLAlchemy raised.
        label: The database's name without secrets.
    """
    cause = error.orig
    if isinstance(cause, PilothouseError):  # a column type refused the value
        return cause
    if isinstance(error, exc.IntegrityError) or not isinstance(error, exc.DBAPIError):
        return None
    if isinstance(error, exc.DataError):
        return DataError(f"the database cannot hold this value: {_first_line(cause)}", where=label)
    name: str | None = getattr(cause, "sqlite_errorname", None)
    if name is not None:
        return _known(_SQLITE_FIXES, name, label)
    state: str | None = getattr(cause, "sqlstate", None)
    if state is None:  # no answer from a server at all
        is_lost = isinstance(error, exc.OperationalError | exc.InterfaceError)
        return _unreachable(cause, label) if is_lost else None
    if state[:2] in ("08", "57"):  # the connection broke, or the server is going down
        return _unreachable(cause, label)
    return _known(_POSTGRES_FIXES, state, label)


def _known(fixes: dict[str, tuple[str, str]], code: str, label: str) -> StorageError | None:
    for start, (reason, fix) in fixes.items():
        if code.startswith(start):
            return StorageError(f"{reason} ({code})", where=label, fix=fix)
    return None


def _unreachable(cause: BaseException | None, label: str) -> StorageError:
    return StorageError(
        f"the database does not answer: {_first_line(cause)}", where=label, fix="check that the server runs there"
    )


def _first_line(cause: BaseException | None) -> str:
    return (str(cause).strip().splitlines() or ["unknown"])[0]
