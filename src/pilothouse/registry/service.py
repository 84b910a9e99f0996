"""What can be done with versions: register, find, alias, link."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pilothouse.access.types import Actor
from pilothouse.core.clock import Clock
from pilothouse.core.errors import Conflict, NotFound, UserError, nearest_hint
from pilothouse.core.services import Services
from pilothouse.core.storage.sql import Database
from pilothouse.registry.store import RegistryStore
from pilothouse.registry.types import (
    AliasChange,
    Direction,
    Edge,
    Reference,
    Version,
    check_alias,
    check_digest,
    check_name,
    check_relation,
    parse_reference,
)


class RegistryService:
    """Versions of everything that decides behaviour, their aliases and their lineage."""

    def __init__(self, store: RegistryStore, clock: Clock, actor: Actor) -> None:
        self._store = store
        self._clock = clock
        self._actor = actor

    @classmethod
    def build(cls, services: Services) -> Self:
        """Return the registry of a project."""
        return cls(RegistryStore(services.get(Database)), services.clock, services.get(Actor))

    def acting(self, actor: Actor) -> Self:
        """Return the same registry on behalf of somebody else."""
        return type(self)(self._store, self._clock, actor)

    def register(
        self, kind: str, name: str, digest: str, *, metadata: Mapping[str, Any] | None = None
    ) -> tuple[Version, bool]:
        """Make content known under the next number of its name.

        Content that was registered before keeps its version, its number and the metadata of the first time.

        Args:
            kind: What it is, such as ``dataset``.
            name: Its name.
            digest: The SHA-256 of its content in hexadecimal.
            metadata: JSON values the kind wants to remember.

        Returns:
            The version, and whether it is new.

        Raises:
            UserError: for a kind, name or digest that cannot be one.
        """
        check_name(kind, name)
        check_digest(digest)
        candidate = Version(
            kind=kind,
            name=name,
            number=0,
            digest=digest,
            created_at=self._clock.now(),
            actor=self._actor.name,
            metadata=dict(metadata or {}),
        )
        return self._store.add_version(candidate)

    def resolve(self, ref: str) -> Version:
        """Return the version a reference means; a bare ``kind/name`` means the latest.

        Raises:
            NotFound: naming what is there instead.
            UserError: for a text that is no reference, or a digest prefix that fits several versions.
        """
        reference = parse_reference(ref)
        found = self._store.find(reference)
        if not found:
            raise self._not_found(reference)
        if len(found) > 1:
            raise UserError(
                f"{len(found)} versions of {reference.kind}/{reference.name} begin with {reference.prefix}",
                expected=", ".join(f"{version.ref} ({version.digest[:16]}...)" for version in found[:5]),
                fix="write more of the digest",
            )
        return found[0]

    def versions(self, kind: str, name: str) -> tuple[Version, ...]:
        """Return all versions of a name, the oldest first.

        Raises:
            NotFound: when nothing was registered under that name.
        """
        check_name(kind, name)
        found = self._store.versions(kind, name)
        if not found:
            raise self._not_found(Reference(kind=kind, name=name))
        return tuple(found)

    def aliases(self, kind: str, name: str) -> dict[str, int]:
        """Return where each alias of a name points, by alias."""
        check_name(kind, name)
        return self._store.aliases(kind, name)

    def set_alias(
        self, kind: str, name: str, alias: str, number: int, *, expected: int | None = None
    ) -> AliasChange | None:
        """Point an alias at a version.

        Args:
            kind: As of the version.
            name: As of the version.
            alias: The alias.
            number: The version.
            expected: The version it must point at before, for a change that was made from that one; None for any.

        Returns:
            The change, or None when the alias pointed there already.

        Raises:
            NotFound: when there is no such version.
            Conflict: when somebody moved it away from ``expected``.
            UserError: when the alias cannot be one.
        """
        check_alias(alias)
        version = self.resolve(f"{kind}/{name}:{number}")
        return self._store.move_alias(
            self._change(version.kind, version.name, alias, version.number), expected=expected
        )

    def remove_alias(self, kind: str, name: str, alias: str) -> AliasChange:
        """Remove an alias; its history stays.

        Raises:
            NotFound: when there is no such alias.
        """
        check_name(kind, name)
        check_alias(alias)
        change = self._store.move_alias(self._change(kind, name, alias, None))
        if change is None:
            raise self._not_found(Reference(kind=kind, name=name, alias=alias))
        return change

    def return_alias(self, kind: str, name: str, alias: str) -> AliasChange:
        """Point an alias at the version it pointed at before its last move.

        Raises:
            NotFound: when the alias was never set.
            Conflict: when it pointed at nothing before.
        """
        check_alias(alias)
        past = [change for change in self.alias_history(kind, name) if change.alias == alias]
        if not past:
            raise self._not_found(Reference(kind=kind, name=name, alias=alias))
        previous = past[-1].previous
        if previous is None:
            raise Conflict(f"{kind}/{name}@{alias} pointed at nothing before", fix="name the version it shall point at")
        change = self._store.move_alias(self._change(kind, name, alias, previous))
        if change is None:
            raise Conflict(f"{kind}/{name}@{alias} was moved by somebody else just now", fix="look at its history")
        return change

    def alias_history(self, kind: str, name: str) -> tuple[AliasChange, ...]:
        """Return every move of every alias of a name, the oldest first."""
        check_name(kind, name)
        return tuple(self._store.alias_changes(kind, name))

    def link(self, source: Version | str, target: Version | str, relation: str) -> Edge:
        """State that ``source`` had a part in ``target``; stating it again changes nothing.

        Args:
            source: A version or a reference to one, from which something flowed.
            target: A version or a reference to one, into which it flowed.
            relation: One word for the part it had: ``input``, ``produced``, ``evaluated_by``.

        Raises:
            NotFound: when one of them was never registered.
            UserError: when both are the same version.
        """
        check_relation(relation)
        ends = [self.resolve(end if isinstance(end, str) else end.ref).ref for end in (source, target)]
        if ends[0] == ends[1]:
            raise UserError(f"{ends[0]} cannot be made from itself", where=f"relation '{relation}'")
        return self._store.add_edge(
            Edge(source=ends[0], target=ends[1], relation=relation, created_at=self._clock.now())
        )

    def lineage(self, ref: str, direction: Direction = "both", *, depth: int | None = None) -> tuple[Edge, ...]:
        """Return the edges that lead to a version or away from it, nearest first, each once.

        Args:
            ref: A reference.
            direction: ``up`` to what it was made from, ``down`` to what was made from it, or both.
            depth: How many steps at most; all by default.

        Raises:
            NotFound: when there is no such version.
        """
        start = self.resolve(ref).ref
        found: list[Edge] = []
        if direction != "down":
            found += self._store.walk(start, upward=True, depth=depth)
        if direction != "up":
            found += self._store.walk(start, upward=False, depth=depth)
        return tuple(dict.fromkeys(found))

    def list(self, kind: str | None = None) -> tuple[Version, ...]:
        """Return the latest version of every name, by kind and name; its number is how many there are.

        Raises:
            NotFound: when nothing of that kind was registered, though other kinds were.
        """
        found = self._store.latest(kind)
        if kind is not None and not found:
            kinds = {version.kind for version in self._store.latest(None)}
            if kinds:
                raise NotFound(f"nothing of kind {kind!r} is registered", expected=nearest_hint(kind, kinds))
        return tuple(found)

    def _change(self, kind: str, name: str, alias: str, number: int | None) -> AliasChange:
        return AliasChange(
            kind=kind,
            name=name,
            alias=alias,
            number=number,
            previous=None,
            changed_at=self._clock.now(),
            actor=self._actor.name,
        )

    def _not_found(self, reference: Reference) -> NotFound:
        """Say what is there instead, as near as possible."""
        full = f"{reference.kind}/{reference.name}"
        existing = self._store.versions(reference.kind, reference.name)
        if not existing:
            known = [f"{version.kind}/{version.name}" for version in self._store.latest(None)]
            return NotFound(f"nothing is registered as {full}", expected=nearest_hint(full, known))
        if reference.number is not None:
            last = existing[-1].number
            return NotFound(f"{full} has no version {reference.number}", expected=f"a number from 1 to {last}")
        if reference.alias is not None:
            hint = nearest_hint(reference.alias, self._store.aliases(reference.kind, reference.name))
            return NotFound(f"{full} has no alias '{reference.alias}'", expected=hint)
        return NotFound(f"no version of {full} has a digest that begins with {reference.prefix}")
