"""Batches of ledger rows in the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa
from msgspec import Struct

from pilothouse.core.storage.sql import Database, lock
from pilothouse.gateway.ledger.hosts.tables import batches


class Batch(Struct, frozen=True, kw_only=True):
    """Lines of one segment.

    Attributes:
        segment: The segment's name.
        begin: Where in it they begin.
        end: Where they end.
        data: The lines, compressed.
    """

    segment: str
    begin: int
    end: int
    data: bytes


class BatchStore:
    """Batches in the order in which they became visible: who has read up to a number has missed none before it.

    Args:
        database: That of the project.
        host: Whose batches this store adds.
    """

    def __init__(self, database: Database, host: str) -> None:
        self._database = database
        self._host = host

    def add(
        self, segments: Sequence[str], more: Callable[[Mapping[str, int]], list[Batch]], at: datetime
    ) -> dict[str, int]:
        """Add what segments hold beyond what was added of them.

        Args:
            segments: Their names.
            more: Returns further batches, told up to where each segment was added; called inside the transaction.
            at: Now.

        Returns:
            Up to where each segment is added now.
        """
        with self._database.begin() as connection:
            lock(connection, "gateway ledger batches")
            ends = _ends(connection, segments)
            found = more(ends)
            if found:
                last = connection.execute(sa.select(sa.func.max(batches.c.number))).scalar() or 0
                rows = [
                    {"number": number, "host": self._host, "sent_at": at, **_columns(batch)}
                    for number, batch in enumerate(found, last + 1)
                ]
                connection.execute(batches.insert(), rows)
                ends |= {batch.segment: batch.end for batch in found}
            return ends

    def after(self, number: int) -> Iterator[tuple[int, bytes]]:
        """Yield number and data of the batches of other hosts behind a number, one question each."""
        while True:
            query = (
                sa.select(batches.c.number, batches.c.data)
                .where(batches.c.number > number, batches.c.host != self._host)
                .order_by(batches.c.number)
                .limit(1)
            )
            with self._database.read() as connection:
                row = connection.execute(query).one_or_none()
            if row is None:
                return
            number = int(row.number)
            yield number, bytes(row.data)

    def last(self) -> int:
        """Return the number of the last batch of another host; 0 for none."""
        query = sa.select(sa.func.max(batches.c.number)).where(batches.c.host != self._host)
        with self._database.read() as connection:
            return connection.execute(query).scalar() or 0


def _ends(connection: sa.Connection, segments: Sequence[str]) -> dict[str, int]:
    query = sa.select(batches.c.segment, sa.func.max(batches.c.end)).where(batches.c.segment.in_(segments))
    return {name: int(end) for name, end in connection.execute(query.group_by(batches.c.segment))}


def _columns(batch: Batch) -> dict[str, object]:
    return {name: getattr(batch, name) for name in batch.__struct_fields__}
