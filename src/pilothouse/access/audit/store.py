"""Rows of the audit log: they are added, in the transaction of what they tell, and read; nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from pilothouse.access.audit.tables import entries
from pilothouse.access.audit.types import BEGIN, AuditEntry, Change, seal
from pilothouse.access.types import Actor
from pilothouse.core.errors import DataError
from pilothouse.core.storage.sql import Database, lock

_AT_ONCE = 1000


def append(connection: sa.Connection, change: Change) -> AuditEntry:
    """Add a row behind the last one, in the transaction that makes the change: both are kept, or neither.

    Stores call it with their own connection, last of all, because writers wait for each other from here on.

    Raises:
        DataError: when ``before`` or ``after`` has no JSON form.
    """
    lock(connection, "access audit")
    last = connection.execute(
        sa.select(entries.c.number, entries.c.hash).order_by(entries.c.number.desc()).limit(1)
    ).one_or_none()
    number, previous = (last.number + 1, last.hash) if last is not None else (1, BEGIN)
    entry = AuditEntry(number=number, change=change, previous=previous, hash=seal(number, change, previous))
    connection.execute(
        entries.insert().values(
            number=number,
            at=change.at,
            actor=change.actor.name,
            actor_kind=change.actor.kind,
            action=change.action,
            target=change.target,
            before=change.before,
            after=change.after,
            previous=previous,
            hash=entry.hash,
        )
    )
    return entry


class AuditStore:
    """The log in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, change: Change) -> AuditEntry:
        """Add a row about something that the database does not hold."""
        with self._database.begin() as connection:
            return append(connection, change)

    def latest(self, limit: int, *, target: str | None, before: int | None) -> list[AuditEntry]:
        """Return rows, the newest first.

        Args:
            limit: How many at most.
            target: Only rows about this, or about what begins with it and a slash.
            before: Only rows with a lower number.
        """
        query = sa.select(entries).order_by(entries.c.number.desc()).limit(limit)
        if target is not None:
            below = entries.c.target.startswith(f"{target}/", autoescape=True)
            query = query.where(sa.or_(entries.c.target == target, below))
        if before is not None:
            query = query.where(entries.c.number < before)
        with self._database.read() as connection:
            return [_entry(row) for row in connection.execute(query).mappings()]

    def walk(self) -> Iterator[AuditEntry]:
        """Yield all rows, the oldest first, with flat memory.

        Raises:
            DataError, ValueError: at a row that holds no JSON or no time, after all rows before it.
        """
        last, size = -(1 << 62), _AT_ONCE
        while True:
            query = sa.select(entries).where(entries.c.number > last).order_by(entries.c.number).limit(size)
            try:
                with self._database.read() as connection:
                    found = [_entry(row) for row in connection.execute(query).mappings()]
            except (DataError, ValueError):
                if size == 1:
                    raise
                size = 1  # the rows before the one that cannot be read are told first
                continue
            yield from found
            if len(found) < size:
                return
            last = found[-1].number


def _entry(row: sa.RowMapping) -> AuditEntry:
    values: dict[str, Any] = dict(row)
    return AuditEntry(
        number=values["number"],
        previous=values["previous"],
        hash=values["hash"],
        change=Change(
            at=values["at"],
            actor=Actor(name=values["actor"], kind=values["actor_kind"]),
            action=values["action"],
            target=values["target"],
            before=values["before"],
            after=values["after"],
        ),
    )
