"""Rows of the registry to nouns and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from pilothouse.core.errors import Conflict
from pilothouse.core.storage.sql import Database, lock
from pilothouse.registry.tables import alias_changes, aliases, edges, versions
from pilothouse.registry.types import AliasChange, Edge, Reference, Version

# SQLite takes 32,766 parameters in one statement, PostgreSQL 65,535.
_AT_ONCE = 10_000


class RegistryStore:
    """Versions, aliases and edges in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_version(self, candidate: Version) -> tuple[Version, bool]:
        """Keep ``candidate`` under the next free number, or return the version that has its digest already.

        Args:
            candidate: A version whose number is not yet meant.

        Returns:
            The version as kept, and whether it is new.
        """
        with self._database.begin() as connection:
            lock(connection, f"registry {candidate.kind}/{candidate.name}")
            of_name = _of_name(versions, candidate.kind, candidate.name)
            same = sa.select(versions).where(of_name, versions.c.digest == candidate.digest)
            row = connection.execute(same).mappings().one_or_none()
            if row is not None:
                return Version(**row), False
            last = connection.execute(sa.select(sa.func.max(versions.c.number)).where(of_name)).scalar() or 0
            version = msgspec.structs.replace(candidate, number=last + 1)
            connection.execute(versions.insert().values(_values(version)))
            return version, True

    def find(self, reference: Reference) -> list[Version]:
        """Return the versions a reference fits, the newest first; more than one only for a short digest."""
        query = sa.select(versions).where(_of_name(versions, reference.kind, reference.name))
        if reference.number is not None:
            query = query.where(versions.c.number == reference.number)
        elif reference.prefix is not None:
            query = query.where(versions.c.digest.startswith(reference.prefix, autoescape=True))
        elif reference.alias is not None:
            target = sa.select(aliases.c.number).where(
                _of_name(aliases, reference.kind, reference.name), aliases.c.alias == reference.alias
            )
            query = query.where(versions.c.number == target.scalar_subquery())
        else:
            query = query.limit(1)
        with self._database.read() as connection:
            return [Version(**row) for row in connection.execute(query.order_by(versions.c.number.desc())).mappings()]

    def latest(self, kind: str | None) -> list[Version]:
        """Return the newest version of every name, by kind and name."""
        newest = sa.select(versions.c.kind, versions.c.name, sa.func.max(versions.c.number).label("number"))
        newest_of = newest.group_by(versions.c.kind, versions.c.name).subquery()
        query = sa.select(versions).join(
            newest_of,
            sa.and_(_same_name(versions, newest_of), versions.c.number == newest_of.c.number),
        )
        if kind is not None:
            query = query.where(versions.c.kind == kind)
        with self._database.read() as connection:
            found = [Version(**row) for row in connection.execute(query).mappings()]
        # Databases differ in how they order words; this order is the same everywhere.
        return sorted(found, key=lambda version: (version.kind, version.name))

    def versions(self, kind: str, name: str) -> list[Version]:
        """Return all versions of a name, the oldest first."""
        query = sa.select(versions).where(_of_name(versions, kind, name)).order_by(versions.c.number)
        with self._database.read() as connection:
            return [Version(**row) for row in connection.execute(query).mappings()]

    def aliases(self, kind: str, name: str) -> dict[str, int]:
        """Return where each alias of a name points."""
        query = sa.select(aliases.c.alias, aliases.c.number).where(_of_name(aliases, kind, name))
        with self._database.read() as connection:
            return dict(sorted((row.alias, row.number) for row in connection.execute(query)))

    def move_alias(self, wanted: AliasChange, *, expected: int | None = None) -> AliasChange | None:
        """Point an alias at ``wanted.number``, or remove it when that is None, and keep the change.

        Args:
            wanted: The change; its ``previous`` is not meant, the database knows it.
            expected: Where it must point before; None for anywhere.

        Returns:
            The change with its real ``previous``, or None when nothing had to change.

        Raises:
            Conflict: when it points elsewhere than ``expected``.
        """
        this = sa.and_(_of_name(aliases, wanted.kind, wanted.name), aliases.c.alias == wanted.alias)
        with self._database.begin() as connection:
            lock(connection, f"registry {wanted.kind}/{wanted.name}")
            previous = connection.execute(sa.select(aliases.c.number).where(this)).scalar_one_or_none()
            if expected is not None and previous != expected:
                raise Conflict(
                    f"{wanted.kind}/{wanted.name}@{wanted.alias} was moved meanwhile",
                    expected=f"version {expected}; it is at {previous}",
                    fix="look at what is there now and do it again",
                )
            if previous == wanted.number:
                return None
            connection.execute(aliases.delete().where(this))
            change = msgspec.structs.replace(wanted, previous=previous)
            values = _values(change)
            if change.number is not None:
                row = {column.name: values[column.name] for column in aliases.columns}
                connection.execute(aliases.insert().values(row))
            connection.execute(alias_changes.insert().values(values))
            return change

    def alias_changes(self, kind: str, name: str) -> list[AliasChange]:
        """Return every move of every alias of a name, the oldest first."""
        query = sa.select(alias_changes).where(_of_name(alias_changes, kind, name)).order_by(alias_changes.c.id)
        with self._database.read() as connection:
            return [
                AliasChange(**{field: row[field] for field in AliasChange.__struct_fields__})
                for row in connection.execute(query).mappings()
            ]

    def add_edge(self, wanted: Edge) -> Edge:
        """Keep an edge, or return the one that says the same already."""
        this = sa.and_(*(edges.c[name] == getattr(wanted, name) for name in ("source", "target", "relation")))
        with self._database.begin() as connection:
            lock(connection, f"edge {wanted.source}>{wanted.target}")
            row = connection.execute(sa.select(edges).where(this)).mappings().one_or_none()
            if row is not None:
                return Edge(**row)
            connection.execute(edges.insert().values(_values(wanted)))
            return wanted

    def walk(self, start: str, *, upward: bool, depth: int | None) -> list[Edge]:
        """Return the edges reached from a version, level by level; each once, so circles end.

        Args:
            start: The version, as ``kind/name:number``.
            upward: To what it was made from, else to what was made from it.
            depth: How many levels at most.
        """
        near, far = (edges.c.target, edges.c.source) if upward else (edges.c.source, edges.c.target)
        found: list[Edge] = []
        seen = {start}
        level = [start]
        with self._database.read() as connection:
            while level and depth != 0:
                rows = _edges_at(connection, near, level)
                found += sorted(
                    (Edge(**row) for row in rows), key=lambda edge: (edge.created_at, edge.source, edge.target)
                )
                level = sorted({row[far.name] for row in rows} - seen)
                seen.update(level)
                depth = None if depth is None else depth - 1
        return found


def _edges_at(connection: sa.Connection, near: sa.Column[str], refs: Sequence[str]) -> list[sa.RowMapping]:
    rows: list[sa.RowMapping] = []
    for start in range(0, len(refs), _AT_ONCE):
        query = sa.select(edges).where(near.in_(refs[start : start + _AT_ONCE]))
        rows += connection.execute(query).mappings()
    return rows


def _of_name(table: sa.Table, kind: str, name: str) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.kind == kind, table.c.name == name)


def _same_name(left: sa.FromClause, right: sa.FromClause) -> sa.ColumnElement[bool]:
    return sa.and_(left.c.kind == right.c.kind, left.c.name == right.c.name)


def _values(noun: Version | AliasChange | Edge) -> dict[str, Any]:
    return {field: getattr(noun, field) for field in noun.__struct_fields__}
