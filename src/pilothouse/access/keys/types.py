"""The nouns of keys."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from msgspec import Struct

from pilothouse.access.roles import Role
from pilothouse.access.secret import Secret
from pilothouse.access.types import Actor

State = Literal["active", "revoked", "expired"]


class KeyDraft(Struct, frozen=True, kw_only=True):
    """What whoever makes or changes a key decides about it.

    Attributes:
        name: Unique among keys, revoked ones included: spend and refusals are told by it.
        organisation: The outermost owner; empty for a key of the whole gateway.
        team: Within the organisation.
        user: Within the team: a person or a service.
        use_case: What it is for, so that spend can be told apart.
        role: What it may do; see `access.roles`.
        models: Patterns of route names it may call, with ``*``, ``?`` and ``[...]``; empty for all.
        operations: What it may ask of a model, as ``chat``; empty for all.
        expires_at: From when on it opens nothing; None for never.
    """

    name: str
    organisation: str = ""
    team: str = ""
    user: str = ""
    use_case: str = ""
    role: Role = "caller"
    models: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
    expires_at: datetime | None = None


class KeySecret(Struct, frozen=True, kw_only=True):
    """One secret of a key, as the database knows it: by its digest.

    Attributes:
        digest: SHA-256 of the secret, hexadecimal.
        key: The key's id.
        prefix: Its first characters, by which people tell it from others.
        created_at: When it was made.
        created_by: By whom.
        expires_at: From when on it opens nothing: set by a rotation; None while it is the newest.
    """

    digest: str
    key: str
    prefix: str
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None


class Key(KeyDraft, frozen=True, kw_only=True):
    """A virtual key. Its id outlives rotations, so that budgets and spend go on.

    Attributes:
        id: Unique.
        prefix: First characters of its newest secret.
        created_at: When it was made.
        created_by: By whom.
        revoked_at: Since when it opens nothing; None while it is not revoked.
        rotated_at: When its newest secret was made; None where there was one only.
        rotated_from: Prefix of the secret before.
        old_until: Until when that one opens as well; None where it does not exist.
        last_used: The last day with a call, UTC.
        revision: Number of the change of any key that made it what it is; serves as its ETag.
    """

    id: str
    prefix: str
    created_at: datetime
    created_by: str
    revoked_at: datetime | None = None
    rotated_at: datetime | None = None
    rotated_from: str = ""
    old_until: datetime | None = None
    last_used: date | None = None
    revision: int = 0

    def state(self, now: datetime) -> State:
        """Return whether it opens anything at ``now``."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"


class Issued(Struct, frozen=True, kw_only=True):
    """A key and its new secret, which nobody can ask for again.

    Attributes:
        key: The key.
        secret: What its holder shows.
    """

    key: Key
    secret: Secret


class Acting(Struct, frozen=True, kw_only=True):
    """On whose behalf keys are changed.

    Attributes:
        actor: As the audit log names it.
        key: Id of the key it showed, whose rights are looked at again inside the transaction; empty for whoever works
            on the machine itself.
    """

    actor: Actor
    key: str = ""
