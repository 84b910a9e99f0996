"""Queues, items, leases and labels, to the database and back; what two reviewers do at once is settled here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from msgspec.structs import replace

from pilothouse.core.canonical import digest
from pilothouse.core.errors import Conflict, NotFound, nearest_hint
from pilothouse.core.storage.sql import Database, lock
from pilothouse.evaluation.annotation.tables import review_items as items_
from pilothouse.evaluation.annotation.tables import review_labels as labels_
from pilothouse.evaluation.annotation.tables import review_leases as leases_
from pilothouse.evaluation.annotation.tables import review_queues as queues_
from pilothouse.evaluation.annotation.types import Item, Label, Queue, Role, Status

_BATCH = 500


class ReviewStore:
    """The tables of review."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, queue: Queue, items: Iterable[Item]) -> None:
        """Keep a queue and its items, all or nothing.

        Raises:
            Conflict: there is a queue of that name.
        """
        values = [
            {"queue": queue.id, "place": place, "digest": digest(item), "item": msgspec.to_builtins(item)}
            for place, item in enumerate(items)
        ]
        with self._database.begin() as connection:
            lock(connection, "review")
            _refuse_taken(connection, queue.name)
            connection.execute(queues_.insert().values(_values(queue)))
            for start in range(0, len(values), _BATCH):
                connection.execute(items_.insert(), values[start : start + _BATCH])

    def refuse_taken(self, name: str) -> None:
        """Refuse a name that a queue has.

        Raises:
            Conflict: there is a queue of that name.
        """
        with self._database.read() as connection:
            _refuse_taken(connection, name)

    def set_status(self, queue: Queue, status: Status) -> Queue:
        """Open or close a queue."""
        with self._database.begin() as connection:
            lock(connection, f"review:{queue.id}")
            changed = replace(queue, status=status)
            connection.execute(queues_.update().where(queues_.c.id == queue.id).values(_values(changed)))
        return changed

    def find(self, name: str) -> Queue:
        """Return a queue by its name.

        Raises:
            NotFound: there is none.
        """
        with self._database.read() as connection:
            found = connection.execute(sa.select(queues_.c.record).where(queues_.c.name == name)).scalar()
            if found is not None:
                return msgspec.convert(found, Queue, str_keys=True)
            names = connection.execute(sa.select(queues_.c.name)).scalars().all()
        raise NotFound(
            f"there is no queue '{name}'",
            expected=nearest_hint(name, names) if names else None,
            fix="pilothouse review create NAME makes one",
        )

    def list(self) -> list[Queue]:
        """Return all queues, the latest first."""
        query = sa.select(queues_.c.record).order_by(queues_.c.created_at.desc(), queues_.c.id.desc())
        with self._database.read() as connection:
            return [msgspec.convert(found, Queue, str_keys=True) for found in connection.execute(query).scalars()]

    def item(self, queue: Queue, place: int) -> tuple[Item, str]:
        """Return an item and its digest.

        Raises:
            NotFound: the queue has no such place.
        """
        query = sa.select(items_.c.item, items_.c.digest).where(items_.c.queue == queue.id, items_.c.place == place)
        with self._database.read() as connection:
            found = connection.execute(query).first()
        if found is None:
            raise NotFound(f"'{queue.name}' has no item {place + 1}", expected=f"1 to {queue.items}")
        return msgspec.convert(found.item, Item), found.digest

    def items(self, queue: Queue) -> Iterator[Item]:
        """Yield all items in their order."""
        query = sa.select(items_.c.item).where(items_.c.queue == queue.id).order_by(items_.c.place)
        with self._database.read() as connection:
            for found in connection.execute(query).scalars():
                yield msgspec.convert(found, Item)

    def take(self, queue: Queue, reviewer: str, now: datetime) -> tuple[int, datetime] | None:
        """Put an item into a reviewer's hands: the one they have, else the first that wants a label of theirs.

        Returns:
            Its place and until when it is kept for them; None when there is none for them now.

        Raises:
            Conflict: the queue is closed.
        """
        until = now + timedelta(seconds=queue.spec.lease)
        with self._database.begin() as connection:
            lock(connection, f"review:{queue.id}")
            _refuse_closed(connection, queue)
            place = connection.execute(_open_to(queue, reviewer, now).limit(1)).scalars().first()
            if place is None:
                return None
            _lease(connection, queue, place, reviewer, until)
        return place, until

    def keep(self, queue: Queue, label: Label, *, revises: bool) -> Label:
        """Keep a label, and return it with its revision; when this returns, it survives a power cut.

        Args:
            queue: The queue.
            label: What was said; its revision does not matter.
            revises: Whether it may replace one that was given before.

        Raises:
            Conflict: the queue is closed; the item was not given to the reviewer; they have labelled it already, or
                somebody else has settled it.
        """
        own = _own(queue, label.place, label.reviewer, label.role)
        with self._database.begin() as connection:
            lock(connection, f"review:{queue.id}")
            _refuse_closed(connection, queue)
            query = sa.select(labels_.c.revision, labels_.c.state).where(own, labels_.c.is_latest)
            before = connection.execute(query).first()
            stands = before is not None and before.state != "withdrawn"
            if stands and not revises:
                raise Conflict(f"{label.reviewer} has labelled item {label.place + 1} already")
            if not stands and label.role == "review":
                _refuse_unasked(connection, queue, label)
            if label.role == "adjudication":
                _refuse_settled(connection, queue, label)
            kept = replace(label, revision=before.revision + 1 if before is not None else 1)
            connection.execute(labels_.update().where(own).values(is_latest=False))
            connection.execute(labels_.insert().values(queue=queue.id, is_latest=True, **msgspec.structs.asdict(kept)))
            connection.execute(leases_.delete().where(_leased(queue, label.place, label.reviewer)))
            if label.state == "withdrawn":
                until = label.created_at + timedelta(seconds=queue.spec.lease)
                _lease(connection, queue, label.place, label.reviewer, until)
        return kept

    def labels(self, queue: Queue, *, place: int | None = None, history: bool = False) -> list[Label]:
        """Return the labels that hold, skips included, in the order they were given.

        Args:
            queue: The queue.
            place: Of one item alone.
            history: Also those that were replaced or withdrawn.
        """
        query = labels_.select().where(labels_.c.queue == queue.id)
        if place is not None:
            query = query.where(labels_.c.place == place)
        if not history:
            query = query.where(labels_.c.is_latest, labels_.c.state != "withdrawn")
        names = [column for column in labels_.c.keys() if column not in {"queue", "is_latest"}]  # noqa: SIM118
        order = (labels_.c.created_at, labels_.c.place, labels_.c.reviewer, labels_.c.revision)
        with self._database.read() as connection:
            found = connection.execute(query.order_by(*order)).mappings().all()
        return [Label(**{name: row[name] for name in names}) for row in found]


def _open_to(queue: Queue, reviewer: str, now: datetime) -> sa.Select[Any]:
    """Return the places that want a label of a reviewer, what they took in hand last comes first."""
    latest = (labels_.c.queue == queue.id) & (labels_.c.role == "review") & labels_.c.is_latest
    given = (
        sa.select(labels_.c.place, sa.func.count().label("n"))
        .where(latest, labels_.c.state == "labelled")
        .group_by(labels_.c.place)
        .subquery()
    )
    held = (
        sa.select(leases_.c.place, sa.func.count().label("n"))
        .where(leases_.c.queue == queue.id, leases_.c.expires_at > now, leases_.c.reviewer != reviewer)
        .group_by(leases_.c.place)
        .subquery()
    )
    done = sa.select(labels_.c.place).where(latest, labels_.c.reviewer == reviewer, labels_.c.state != "withdrawn")
    mine = (
        sa.select(leases_.c.place, leases_.c.expires_at)
        .where(leases_.c.queue == queue.id, leases_.c.reviewer == reviewer)
        .subquery()
    )
    taken = sa.func.coalesce(given.c.n, 0) + sa.func.coalesce(held.c.n, 0)
    return (
        sa.select(items_.c.place)
        .outerjoin(given, given.c.place == items_.c.place)
        .outerjoin(held, held.c.place == items_.c.place)
        .outerjoin(mine, mine.c.place == items_.c.place)
        .where(items_.c.queue == queue.id, taken < queue.spec.overlap, items_.c.place.not_in(done))
        .order_by(mine.c.expires_at.is_(None), mine.c.expires_at.desc(), items_.c.place)
    )


def _lease(connection: sa.Connection, queue: Queue, place: int, reviewer: str, until: datetime) -> None:
    connection.execute(leases_.delete().where(_leased(queue, place, reviewer)))
    values = {"queue": queue.id, "place": place, "reviewer": reviewer, "expires_at": until}
    connection.execute(leases_.insert().values(values))


def _leased(queue: Queue, place: int, reviewer: str) -> sa.ColumnElement[bool]:
    return (leases_.c.queue == queue.id) & (leases_.c.place == place) & (leases_.c.reviewer == reviewer)


def _own(queue: Queue, place: int, reviewer: str, role: Role) -> sa.ColumnElement[bool]:
    here = (labels_.c.queue == queue.id) & (labels_.c.place == place)
    return here & (labels_.c.reviewer == reviewer) & (labels_.c.role == role)


def _refuse_taken(connection: sa.Connection, name: str) -> None:
    if connection.execute(sa.select(queues_.c.id).where(queues_.c.name == name)).first():
        raise Conflict(f"there is a queue '{name}' already", fix="choose another name: a queue never changes")


def _refuse_closed(connection: sa.Connection, queue: Queue) -> None:
    record: Any = connection.execute(sa.select(queues_.c.record).where(queues_.c.id == queue.id)).scalar()
    if record is None or record["status"] != "open":
        raise Conflict(f"the queue '{queue.name}' is closed", fix=f"pilothouse review close {queue.name} --reopen")


def _refuse_unasked(connection: sa.Connection, queue: Queue, label: Label) -> None:
    # A lease that has run out is good enough: a label more than was wanted is better than one that is lost.
    if not connection.execute(sa.select(leases_.c.place).where(_leased(queue, label.place, label.reviewer))).first():
        raise Conflict(f"item {label.place + 1} was not given to {label.reviewer}", fix="take the next item first")


def _refuse_settled(connection: sa.Connection, queue: Queue, label: Label) -> None:
    settled = sa.select(labels_.c.reviewer).where(
        labels_.c.queue == queue.id, labels_.c.place == label.place, labels_.c.role == "adjudication",
        labels_.c.is_latest, labels_.c.state == "labelled", labels_.c.reviewer != label.reviewer,
    )  # fmt: skip
    by = connection.execute(settled).scalar()
    if by is not None:
        raise Conflict(f"item {label.place + 1} was settled by {by} already")


def _values(queue: Queue) -> dict[str, Any]:
    record = msgspec.to_builtins(queue, str_keys=True)  # levels are numbers
    return {"id": queue.id, "name": queue.name, "created_at": queue.created_at, "record": record}
