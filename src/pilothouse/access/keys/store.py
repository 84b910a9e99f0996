"""Rows of keys to nouns and back; each change is written with its audit row, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from msgspec.structs import asdict

from pilothouse.access.audit.store import append
from pilothouse.access.audit.types import Change
from pilothouse.access.keys.rights import refuse_without_rights
from pilothouse.access.keys.tables import keys, secrets
from pilothouse.access.keys.types import Acting, Key, KeyDraft, KeySecret
from pilothouse.access.refusals import Changed
from pilothouse.core.errors import Conflict, NotFound, nearest_hint
from pilothouse.core.storage.sql import Database, lock

_SHOWN_IN_AUDIT = (*KeyDraft.__struct_fields__, "id", "prefix", "revoked_at", "old_until")
_COLUMNS = tuple(column.name for column in keys.columns)
_AT_ONCE = 10_000


class KeyStore:
    """Keys and the digests of their secrets in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, key: Key, secret: KeySecret, acting: Acting) -> Key:
        """Keep a new key and its first secret.

        Raises:
            Conflict: when the name is taken.
            Forbidden: when who acts may not.
        """
        with self._database.begin() as connection:
            revision = _next_revision(connection, acting, key.created_at, None, key)
            _refuse_taken(connection, key.name, "")
            connection.execute(keys.insert().values(_values(key) | {"revision": revision}))
            connection.execute(secrets.insert().values(asdict(secret) | {"number": 1}))
            return _told(connection, "key.create", None, key.id, acting, key.created_at)

    def change(
        self, ref: str, acting: Acting, now: datetime, action: str, change: Callable[[Key], Key], expected: int | None
    ) -> Key:
        """Replace a key by what ``change`` makes of it.

        Args:
            ref: Its id or name.
            acting: Who wants it.
            now: When.
            action: As the audit log names it.
            change: Told the key as it is now; may raise to leave everything as it is.
            expected: The revision that was seen; None for whichever it is.

        Raises:
            NotFound, Conflict: when there is no such key; when it has changed since, or its new name is taken.
            Forbidden: when who acts may not.
        """
        with self._database.begin() as connection:
            lock(connection, "access keys")
            before = _one(connection, ref)
            after = change(before)
            revision = _next_revision(connection, acting, now, before, after)
            _refuse_changed(before, expected)
            if after.name != before.name:
                _refuse_taken(connection, after.name, before.id)
            values = _values(after) | {"revision": revision}
            connection.execute(keys.update().where(keys.c.id == before.id).values(values))
            return _told(connection, action, before, before.id, acting, now)

    def rotate(
        self, ref: str, acting: Acting, fresh: Callable[[Key], KeySecret], old_until: datetime, expected: int | None
    ) -> Key:
        """Add a secret; the older ones end at ``old_until``, or earlier where they would anyway.

        Raises:
            NotFound, Conflict, Forbidden: as in `change`; ``fresh`` may raise to leave everything as it is.
        """
        with self._database.begin() as connection:
            lock(connection, "access keys")
            before = _one(connection, ref)
            secret = fresh(before)
            revision = _next_revision(connection, acting, secret.created_at, before, before)
            _refuse_changed(before, expected)
            own = secrets.c.key == before.id
            later = sa.or_(secrets.c.expires_at.is_(None), secrets.c.expires_at > old_until)
            connection.execute(secrets.update().where(own, later).values(expires_at=old_until))
            number = connection.execute(sa.select(sa.func.max(secrets.c.number)).where(own)).scalar_one()
            connection.execute(secrets.insert().values(asdict(secret) | {"number": number + 1}))
            connection.execute(keys.update().where(keys.c.id == before.id).values(revision=revision))
            return _told(connection, "key.rotate", before, before.id, acting, secret.created_at)

    def find(self, ref: str) -> Key:
        """Return the key with an id or name.

        Raises:
            NotFound: when there is none.
        """
        with self._database.read() as connection:
            return _one(connection, ref)

    def holder(self, digest: str, now: datetime) -> tuple[Key, bool] | None:
        """Return the key a secret is of, and whether the secret itself still opens; None for an unknown secret."""
        query = sa.select(secrets.c.key, secrets.c.expires_at).where(secrets.c.digest == digest)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
            if row is None:
                return None
            return _one(connection, row.key), row.expires_at is None or row.expires_at > now

    def list(self, organisation: str | None = None) -> list[Key]:
        """Return all keys, of one organisation or of all, by name."""
        where = sa.true() if organisation is None else keys.c.organisation == organisation
        with self._database.read() as connection:
            return sorted(_keys(connection, where), key=lambda key: key.name)

    def revision(self) -> int:
        """Return the number of the last change of any key: one look into an index."""
        with self._database.read() as connection:
            return connection.execute(sa.select(sa.func.max(keys.c.revision))).scalar() or 0

    def everything(self) -> tuple[int, list[Key], list[KeySecret]]:
        """Return the number of the last change, all keys and all secrets, of one moment."""
        with self._database.read() as connection:
            found = _keys(connection, sa.true())
            rows = connection.execute(sa.select(secrets)).mappings()
            return max((key.revision for key in found), default=0), found, [_secret(row) for row in rows]

    def touch(self, ids: Iterable[str], day: date) -> None:
        """Note that keys were used on a day; neither a change nor in the audit log."""
        wanted = sorted(set(ids))
        earlier = sa.or_(keys.c.last_used.is_(None), keys.c.last_used < day)
        with self._database.begin() as connection:
            for start in range(0, len(wanted), _AT_ONCE):
                of_them = keys.c.id.in_(wanted[start : start + _AT_ONCE])
                connection.execute(keys.update().where(of_them, earlier).values(last_used=day))


def _next_revision(connection: sa.Connection, acting: Acting, now: datetime, before: Key | None, after: Key) -> int:
    """Take the place of the one who changes keys, look at the rights again, and return the change's number."""
    lock(connection, "access keys")
    shown = _by_id(connection, acting.key) if acting.key else None
    refuse_without_rights(acting, shown, now, before, after)
    return (connection.execute(sa.select(sa.func.max(keys.c.revision))).scalar() or 0) + 1


def _told(
    connection: sa.Connection, action: str, before: Key | None, key_id: str, acting: Acting, now: datetime
) -> Key:
    after = _one(connection, key_id)
    change = Change(
        at=now,
        actor=acting.actor,
        action=action,
        target=f"key/{after.name}",
        before=_shown(before) if before else None,
        after=_shown(after),
    )
    append(connection, change)
    return after


def _refuse_taken(connection: sa.Connection, name: str, own: str) -> None:
    # An id is a name too where keys are asked for: none may be mistaken for another.
    same = sa.or_(keys.c.name == name, keys.c.id == name)
    if connection.execute(sa.select(keys.c.id).where(same, keys.c.id != own)).first() is not None:
        raise Conflict(
            f"a key named '{name}' exists already",
            expected="a name of its own; names of revoked keys stay theirs, because spend is told by them",
            fix="choose another name, or rotate the key that has it",
        )


def _refuse_changed(key: Key, expected: int | None) -> None:
    if expected is not None and key.revision != expected:
        raise Changed(
            f"the key '{key.name}' has changed since it was read",
            expected=f"revision {key.revision}, not {expected}",
            fix="read it again and decide anew",
        )


def _one(connection: sa.Connection, ref: str) -> Key:
    found = _keys(connection, sa.or_(keys.c.id == ref, keys.c.name == ref))
    if not found:
        known = connection.execute(sa.select(keys.c.name)).scalars().all()
        raise NotFound(f"there is no key '{ref}'", expected=nearest_hint(ref, known))
    return found[0]


def _by_id(connection: sa.Connection, key_id: str) -> Key | None:
    return next(iter(_keys(connection, keys.c.id == key_id)), None)


def _keys(connection: sa.Connection, where: sa.ColumnElement[bool]) -> list[Key]:
    rows = connection.execute(sa.select(keys).where(where)).mappings().all()
    of_them = sa.select(secrets).order_by(secrets.c.key, secrets.c.number)
    if len(rows) == 1:  # else it is all of them, or nearly
        of_them = of_them.where(secrets.c.key == rows[0]["id"])
    made: dict[str, list[KeySecret]] = {}
    for row in connection.execute(of_them).mappings():
        made.setdefault(row["key"], []).append(_secret(row))
    return [_key(row, made.get(row["id"], [])) for row in rows]


def _key(row: sa.RowMapping, made: list[KeySecret]) -> Key:
    values: dict[str, Any] = dict(row)
    values["models"], values["operations"] = tuple(values["models"]), tuple(values["operations"])
    if len(made) > 1:
        newest, old = made[-1], made[-2]
        values |= {"rotated_at": newest.created_at, "rotated_from": old.prefix, "old_until": old.expires_at}
    return Key(**values, prefix=made[-1].prefix if made else "")


def _secret(row: sa.RowMapping) -> KeySecret:
    return KeySecret(**{name: row[name] for name in KeySecret.__struct_fields__})


def _values(key: Key) -> dict[str, Any]:
    return {name: getattr(key, name) for name in _COLUMNS if name != "last_used"}


def _shown(key: Key) -> dict[str, Any]:
    return {name: getattr(key, name) for name in _SHOWN_IN_AUDIT}
