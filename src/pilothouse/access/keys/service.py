"""The verbs of keys."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Self

from msgspec.structs import asdict, replace

from pilothouse.access.keys.ring import KeyRing
from pilothouse.access.keys.store import KeyStore
from pilothouse.access.keys.types import Acting, Issued, Key, KeyDraft, KeySecret
from pilothouse.access.roles import ROLES
from pilothouse.access.secret import Secret
from pilothouse.access.types import Actor
from pilothouse.core.canonical import digest_bytes
from pilothouse.core.clock import Clock
from pilothouse.core.errors import Conflict, UserError, nearest_hint
from pilothouse.core.ids import new_id
from pilothouse.core.services import Services
from pilothouse.core.storage.sql import Database

BEGIN: Final = "ph-"
"""What every secret begins with, so that scanners of leaked secrets can find it."""

GRACE: Final = timedelta(hours=24)
"""How long a rotated secret still opens, where nobody says otherwise."""

_RANDOM_BYTES = 32
_PREFIX_LENGTH = len(BEGIN) + 6
_NAME = re.compile(r"[\w][\w.@+ -]{0,99}")
_OWNER = re.compile(r"[\w.@+/: -]{0,100}")
_PATTERN = re.compile(r"[^\x00-\x20\x7f]{1,200}")
_OPERATION = re.compile(r"[a-z][a-z_]{0,40}")


class KeyService:
    """Makes, changes and recognises virtual keys. Secrets are shown once; only their digests are kept."""

    def __init__(self, *, store: KeyStore, clock: Clock, actor: Actor) -> None:
        self._store = store
        self._clock = clock
        self._local = Acting(actor=actor)

    @classmethod
    def build(cls, services: Services) -> Self:
        """Return the keys of a project."""
        return cls(store=KeyStore(services.get(Database)), clock=services.clock, actor=services.get(Actor))

    def create(self, draft: KeyDraft, *, acting: Acting | None = None) -> Issued:
        """Make a key and its first secret.

        Raises:
            UserError: for a name, pattern or time that cannot be.
            Conflict: when the name is taken.
            Forbidden: when who acts may not.
        """
        now = self._clock.now()
        _check(draft)
        if draft.expires_at is not None and draft.expires_at <= now:
            raise UserError("the key would have expired already", where="expires_at", expected="a time to come")
        by = acting or self._local
        key_id = new_id(now)
        secret, kept = _fresh(key_id, now, by)
        key = Key(**asdict(draft), id=key_id, prefix=kept.prefix, created_at=now, created_by=by.actor.name)
        return Issued(key=self._store.add(key, kept, by), secret=secret)

    def rotate(
        self, ref: str, *, grace: timedelta = GRACE, expected: int | None = None, acting: Acting | None = None
    ) -> Issued:
        """Give a key a new secret; older ones open until ``grace`` has passed. The key's id and spend go on.

        Raises:
            NotFound: when there is no such key.
            Conflict: when it is revoked, or has changed since ``expected``.
            UserError: for a negative grace.
            Forbidden: when who acts may not.
        """
        if grace < timedelta(0):
            raise UserError("the grace is negative", where="grace", expected="0 or more")
        now, by = self._clock.now(), acting or self._local
        made: list[Secret] = []

        def fresh(key: Key) -> KeySecret:
            _refuse_revoked(key)
            secret, kept = _fresh(key.id, now, by)
            made.append(secret)
            return kept

        key = self._store.rotate(ref, by, fresh, now + grace, expected)
        return Issued(key=key, secret=made[-1])

    def revoke(self, ref: str, *, expected: int | None = None, acting: Acting | None = None) -> Key:
        """Make a key open nothing, at once and for good; revoking it again changes nothing.

        Raises:
            NotFound, Conflict, Forbidden: as in `rotate`.
        """
        now = self._clock.now()
        if (found := self._store.find(ref)).revoked_at is not None:
            return found
        return self._store.change(
            ref, acting or self._local, now, "key.revoke", lambda key: replace(key, revoked_at=now), expected
        )

    def update(
        self, ref: str, changes: dict[str, Any], *, expected: int | None = None, acting: Acting | None = None
    ) -> Key:
        """Change what ``KeyDraft`` says of a key.

        Args:
            ref: Its id or name.
            changes: Field of ``KeyDraft`` to its new value.
            expected: The revision that was seen; None for whichever it is.
            acting: Who wants it; the local user by default.

        Raises:
            UserError: for a field or value that cannot be.
            NotFound, Conflict, Forbidden: as in `rotate`.
        """
        for name in changes:
            if name not in KeyDraft.__struct_fields__:
                hint = nearest_hint(name, KeyDraft.__struct_fields__)
                raise UserError(f"a key has no '{name}' that could be changed", expected=hint)

        def change(key: Key) -> Key:
            _refuse_revoked(key)
            changed = replace(key, **changes)
            _check(changed)
            return changed

        return self._store.change(ref, acting or self._local, self._clock.now(), "key.update", change, expected)

    def list(self, organisation: str | None = None) -> list[Key]:
        """Return all keys by name, revoked ones included; of one organisation, where one is given."""
        return self._store.list(organisation)

    def show(self, ref: str) -> Key:
        """Return the key with an id or name.

        Raises:
            NotFound: when there is none.
        """
        return self._store.find(ref)

    def recognise(self, token: str) -> tuple[Key, bool] | None:
        """Return the key a secret is of as it is now, and whether the secret opens; None for an unknown one.

        For doors that act seldom: it asks the database, so that no right outlives its end.
        """
        now = self._clock.now()
        found = self._store.holder(digest_bytes(token.encode("utf-8", "replace")), now)
        return None if found is None else (found[0], found[1] and found[0].state(now) == "active")

    def revision(self) -> int:
        """Return the number of the last change of any key: a cheap question."""
        return self._store.revision()

    def ring(self) -> KeyRing:
        """Return all keys as they are now, for the path of calls."""
        return KeyRing(*self._store.everything())

    def used(self, ids: Iterable[str], day: date | None = None) -> None:
        """Note that keys were used on a day, today by default; for a writer that gathers them."""
        self._store.touch(ids, day or self._clock.now().astimezone(UTC).date())


def _fresh(key_id: str, now: datetime, acting: Acting) -> tuple[Secret, KeySecret]:
    text = BEGIN + secrets.token_urlsafe(_RANDOM_BYTES)
    kept = KeySecret(
        digest=digest_bytes(text.encode()),
        key=key_id,
        prefix=text[:_PREFIX_LENGTH],
        created_at=now,
        created_by=acting.actor.name,
    )
    return Secret(text), kept


def _refuse_revoked(key: Key) -> None:
    if key.revoked_at is not None:
        raise Conflict(f"the key '{key.name}' is revoked, for good", fix="make a new key")


def _check(draft: KeyDraft) -> None:
    if not _NAME.fullmatch(draft.name):
        raise UserError(
            f"{draft.name[:100]!r} is no name for a key",
            where="name",
            expected="1 to 100 letters, digits, spaces, . _ @ + -, a letter or digit first",
        )
    for name in ("organisation", "team", "user", "use_case"):
        value: str = getattr(draft, name)
        if not _OWNER.fullmatch(value):
            raise UserError(
                f"{value[:100]!r} cannot be used",
                where=name,
                expected="up to 100 letters, digits, spaces, . _ @ + / : -",
            )
    if draft.role not in ROLES:
        raise UserError(f"there is no role '{draft.role}'", where="role", expected=nearest_hint(draft.role, ROLES))
    for where, values, form in (("models", draft.models, _PATTERN), ("operations", draft.operations, _OPERATION)):
        wrong = next((value for value in values if not form.fullmatch(value)), None)
        if wrong is not None or len(values) > 1000:
            raise UserError(
                f"{wrong!r} cannot be used" if wrong is not None else "there are too many",
                where=where,
                expected="at most 1000 names or patterns without spaces",
            )
    if draft.expires_at is not None and draft.expires_at.tzinfo is None:
        raise UserError("the time has no zone", where="expires_at", expected="as 2027-01-31T00:00:00Z")
