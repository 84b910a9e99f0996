"""Virtual keys over HTTP."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import asdict, replace

from pilothouse.access.doors import Asked, Operation, Page
from pilothouse.access.keys.service import GRACE, KeyService
from pilothouse.access.keys.types import Issued, Key, KeyDraft
from pilothouse.access.roles import Role
from pilothouse.core.errors import NotFound
from pilothouse.gateway.types import Operation as Asks


class NewKey(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a new key is to be.

    Attributes:
        name: Unique.
        organisation: To whom it belongs; a key of one organisation makes keys of that one alone.
        team: Within the organisation.
        user: Within the team.
        use_case: What it is for.
        role: What it may do.
        models: Patterns of route names; empty for all.
        operations: What it may ask of a model; empty for all.
        expires_at: From when on it opens nothing.
    """

    name: str
    organisation: str = ""
    team: str = ""
    user: str = ""
    use_case: str = ""
    role: Role = "caller"
    models: tuple[str, ...] = ()
    operations: tuple[Asks, ...] = ()
    expires_at: datetime | None = None


class KeyChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be different about a key; what is left out stays as it is.

    Attributes:
        name: Unique.
        organisation: To whom it belongs.
        team: Within the organisation.
        user: Within the team.
        use_case: What it is for.
        role: What it may do.
        models: Patterns of route names; empty for all.
        operations: What it may ask of a model; empty for all.
        expires_at: From when on it opens nothing; null for never.
    """

    name: str | UnsetType = UNSET
    organisation: str | UnsetType = UNSET
    team: str | UnsetType = UNSET
    user: str | UnsetType = UNSET
    use_case: str | UnsetType = UNSET
    role: Role | UnsetType = UNSET
    models: tuple[str, ...] | UnsetType = UNSET
    operations: tuple[Asks, ...] | UnsetType = UNSET
    expires_at: datetime | UnsetType | None = UNSET


class Rotation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a key gets a new secret.

    Attributes:
        grace_seconds: How long the old one opens as well.
    """

    grace_seconds: Annotated[float, Meta(ge=0, le=31_536_000)] = GRACE.total_seconds()


class IssuedKey(Struct, frozen=True, kw_only=True):
    """A key and its new secret, which is shown this once.

    Attributes:
        key: The key.
        secret: What its holder shows as `Authorization: Bearer`.
    """

    key: Key
    secret: str


class KeysQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which keys are wanted.

    Attributes:
        organisation: Only its keys.
        limit: How many at most.
        after: The name behind which to go on.
    """

    organisation: str | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    after: str = ""


def list_keys(asked: Asked) -> Page[Key]:
    """Return keys by name, revoked ones included."""
    query: KeysQuery = asked.query
    organisation = asked.organisation or query.organisation
    found = [key for key in asked.services.get(KeyService).list(organisation) if key.name > query.after]
    items = found[: query.limit]
    return Page(items=items, next=items[-1].name if len(found) > len(items) else None)


def create_key(asked: Asked) -> IssuedKey:
    """Make a key."""
    given: NewKey = asked.body
    draft = KeyDraft(**asdict(given))
    if asked.organisation and not draft.organisation:
        draft = replace(draft, organisation=asked.organisation)
    return _shown(asked.services.get(KeyService).create(draft, acting=asked.acting))


def show_key(asked: Asked) -> Key:
    """Return one key."""
    return _own(asked)


def change_key(asked: Asked) -> Key:
    """Change what a key may do, or whose it is."""
    change: KeyChange = asked.body
    changes: dict[str, Any] = {name: value for name, value in asdict(change).items() if value is not msgspec.UNSET}
    key = _own(asked)
    return asked.services.get(KeyService).update(key.id, changes, expected=asked.seen, acting=asked.acting)


def rotate_key(asked: Asked) -> IssuedKey:
    """Give a key a new secret."""
    rotation: Rotation = asked.body
    grace = timedelta(seconds=rotation.grace_seconds)
    key = _own(asked)
    return _shown(asked.services.get(KeyService).rotate(key.id, grace=grace, expected=asked.seen, acting=asked.acting))


def revoke_key(asked: Asked) -> Key:
    """Make a key open nothing, for good."""
    return asked.services.get(KeyService).revoke(_own(asked).id, expected=asked.seen, acting=asked.acting)


def _own(asked: Asked) -> Key:
    """Return the key that is meant; another organisation's is not there for who is confined to one."""
    ref = asked.path["ref"]
    key = next(
        (key for key in asked.services.get(KeyService).list(asked.organisation or None) if ref in (key.id, key.name)),
        None,
    )
    if key is None:
        raise NotFound(f"there is no key '{ref}'")
    return key


def _shown(issued: Issued) -> IssuedKey:
    return IssuedKey(key=issued.key, secret=issued.secret.reveal())


def _revision(key: Key) -> int:
    return key.revision


def _issued_revision(issued: IssuedKey) -> int:
    return issued.key.revision


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/keys",
        action="keys.read",
        summary="List virtual keys",
        run=list_keys,
        query=KeysQuery,
        answer=Page[Key],
    ),
    Operation(
        method="POST",
        path="/keys",
        action="keys.write",
        summary="Make a key; its secret is shown this once",
        run=create_key,
        body=NewKey,
        answer=IssuedKey,
        status=201,
        revision=_issued_revision,
    ),
    Operation(
        method="GET",
        path="/keys/{ref}",
        action="keys.read",
        summary="Show a key by its id or name",
        run=show_key,
        answer=Key,
        revision=_revision,
    ),
    Operation(
        method="PATCH",
        path="/keys/{ref}",
        action="keys.write",
        summary="Change a key",
        run=change_key,
        body=KeyChange,
        answer=Key,
        revision=_revision,
    ),
    Operation(
        method="POST",
        path="/keys/{ref}/rotate",
        action="keys.write",
        summary="Give a key a new secret, shown this once; the old one opens until the grace has passed",
        run=rotate_key,
        body=Rotation,
        answer=IssuedKey,
        revision=_issued_revision,
    ),
    Operation(
        method="POST",
        path="/keys/{ref}/revoke",
        action="keys.write",
        summary="Revoke a key, for good",
        run=revoke_key,
        answer=Key,
        revision=_revision,
    ),
)
