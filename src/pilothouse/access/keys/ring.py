"""All keys at one moment, as every call asks them: no database, no lock, nothing that changes."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

from msgspec import Struct

from pilothouse.access.keys.types import Key, KeySecret, State
from pilothouse.access.roles import Role, allows

_NEVER: Final = 1 << 63
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class KeyEntry(Struct, frozen=True, kw_only=True):
    """What a secret opens.

    Attributes:
        id: The key's id.
        name: The key's name.
        organisation: To whom it belongs; empty for nobody.
        team: Within the organisation.
        user: Within the team.
        use_case: What it is for.
        role: What it may do.
        models: Patterns of route names; empty for all.
        operations: What it may ask of a model; empty for all.
        may_call: Whether its role may call models at all.
        revoked: Whether the key is revoked.
        expires_ns: From when on the secret opens nothing, nanoseconds since 1970; far away for never.
        opens: Whether a route's name fits ``models``, prepared.
    """

    id: str
    name: str
    organisation: str
    team: str
    user: str
    use_case: str
    role: Role
    models: tuple[str, ...]
    operations: frozenset[str]
    may_call: bool
    revoked: bool
    expires_ns: int
    opens: Callable[[str], object] | None

    def state(self, now_ns: int) -> State:
        """Return whether it opens anything at ``now_ns``, nanoseconds since 1970."""
        if self.revoked:
            return "revoked"
        return "active" if now_ns < self.expires_ns else "expired"

    def allows_model(self, route: str) -> bool:
        """Return whether it may call a route; letters count as they are written."""
        return self.opens is None or self.opens(route) is not None

    def allows_operation(self, operation: str) -> bool:
        """Return whether it may ask this of a model; a role that calls no models may ask for nothing."""
        return self.may_call and (not self.operations or operation in self.operations)


class KeyRing:
    """An immutable picture of all keys.

    A secret is looked up by its digest: how long that takes tells nothing about a secret, and unknown ones cost the
    same as known ones, so they need no memory of their own, which somebody could fill.

    Attributes:
        revision: Number of the change it shows.
    """

    __slots__ = ("_entries", "_keys", "revision")

    def __init__(self, revision: int = 0, keys: Iterable[Key] = (), secrets: Iterable[KeySecret] = ()) -> None:
        self.revision = revision
        by_id = {key.id: key for key in keys}
        matchers = {patterns: _matcher(patterns) for patterns in {key.models for key in by_id.values()}}
        self._keys = len(by_id)
        self._entries = {
            bytes.fromhex(secret.digest): entry_of(by_id[secret.key], secret, matchers[by_id[secret.key].models])
            for secret in secrets
        }

    def __len__(self) -> int:
        """Return how many keys there are, revoked and expired ones included."""
        return self._keys

    def find(self, token: str | bytes) -> KeyEntry | None:
        """Return what a secret opens; None for an unknown one. Ask the entry's ``state`` before trusting it."""
        if isinstance(token, str):
            token = token.encode("utf-8", "replace")  # whatever a header held; no secret has such letters
        return self._entries.get(sha256(token).digest())


def entry_of(key: Key, secret: KeySecret | None = None, opens: Callable[[str], object] | None = None) -> KeyEntry:
    """Return what a key opens through one of its secrets; through one without an end where none is given.

    Args:
        key: The key.
        secret: The secret.
        opens: Whether a route's name fits the key's patterns, where that was prepared already.
    """
    moments = (key.expires_at, secret.expires_at if secret is not None else None)
    ends = [_nanoseconds(moment) for moment in moments if moment is not None]
    return KeyEntry(
        id=key.id,
        name=key.name,
        organisation=key.organisation,
        team=key.team,
        user=key.user,
        use_case=key.use_case,
        role=key.role,
        models=key.models,
        operations=frozenset(key.operations),
        may_call=allows(key.role, "call"),
        revoked=key.revoked_at is not None,
        expires_ns=min(ends, default=_NEVER),
        opens=opens or _matcher(key.models),
    )


def _matcher(patterns: tuple[str, ...]) -> Callable[[str], object] | None:
    if not patterns:
        return None
    return re.compile("|".join(map(fnmatch.translate, patterns))).match


def _nanoseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000
