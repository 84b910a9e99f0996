"""The verbs of the audit log."""

from __future__ import annotations

from typing import Any, Self

from pilothouse.access.audit.store import AuditStore
from pilothouse.access.audit.types import BEGIN, Anchor, AuditEntry, Change, Verdict, seal
from pilothouse.access.types import Actor
from pilothouse.core.clock import Clock
from pilothouse.core.errors import DataError
from pilothouse.core.services import Services
from pilothouse.core.storage.sql import Database


class AuditService:
    """Reads and checks the log; whoever changes rows of the database adds to it in the same transaction."""

    def __init__(self, *, store: AuditStore, clock: Clock, actor: Actor) -> None:
        self._store = store
        self._clock = clock
        self._actor = actor

    @classmethod
    def build(cls, services: Services) -> Self:
        """Return the log of a project."""
        return cls(store=AuditStore(services.get(Database)), clock=services.clock, actor=services.get(Actor))

    def record(
        self,
        action: str,
        target: str,
        *,
        before: dict[str, Any] | None = None,
        after: dict[str, Any] | None = None,
        actor: Actor | None = None,
    ) -> AuditEntry:
        """Add a row about something that the database does not hold, such as a file.

        Raises:
            DataError: when ``before`` or ``after`` has no JSON form.
            StorageError: when it cannot be written: then the deed must not be done.
        """
        change = Change(
            at=self._clock.now(), actor=actor or self._actor, action=action, target=target, before=before, after=after
        )
        return self._store.append(change)

    def list(self, *, limit: int = 50, target: str | None = None, before: int | None = None) -> list[AuditEntry]:
        """Return rows, the newest first; ``before`` continues below a number, ``target`` is ``key/ci`` or ``key``."""
        return self._store.latest(limit, target=target, before=before)

    def verify(self, anchor: Anchor | None = None) -> Verdict:
        """Check every row against the one before it, and the row of ``anchor`` against the hash noted then.

        Without an anchor, rows cut off at the end, and a log that was rewritten as a whole, cannot be told from a
        sound one: note the number and ``head`` of a verdict where the database's owner cannot write.
        """
        rows, head = 0, BEGIN
        rest = self._store.walk()
        while True:
            try:
                entry = next(rest, None)
            except (DataError, ValueError) as error:  # what stands there is no JSON, no time
                return _broken(rows, head, f"it cannot be read: {error}")
            if entry is None:
                break
            reason = _fault(entry, rows + 1, head)
            if not reason and anchor is not None and entry.number == anchor.number and entry.hash != anchor.hash:
                reason = "its hash is not the one that was noted: the log was rewritten"
            if reason:
                return _broken(rows, head, reason)
            rows, head = rows + 1, entry.hash
        if anchor is not None and anchor.number > rows:
            return _broken(rows, head, f"it is missing: row {anchor.number} was there once")
        return Verdict(rows=rows, head=head)


def _broken(rows: int, head: str, reason: str) -> Verdict:
    return Verdict(rows=rows, broken=rows + 1, reason=reason, head=head)


def _fault(entry: AuditEntry, number: int, head: str) -> str:
    if entry.number != number:
        return f"it is missing: the next one is {entry.number}"
    if entry.previous != head:
        return "it does not follow the row before it"
    if seal(entry.number, entry.change, entry.previous) != entry.hash:
        return "its content is not what was written"
    return ""
