"""The audit log over HTTP: read and checked, never written."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from pilothouse.access.audit.service import AuditService
from pilothouse.access.audit.types import Anchor, AuditEntry, Verdict
from pilothouse.access.doors import Asked, Operation, Page
from pilothouse.core.errors import UserError


class AuditQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which rows are wanted.

    Attributes:
        target: Only rows about this, as ``key/ci``, or what is below it, as ``key``.
        limit: How many at most.
        after: The number of the row behind which, to the past, to go on.
    """

    target: str | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    after: int | None = None


class AnchorQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row's number and hash, noted earlier.

    Attributes:
        number: Of the row.
        hash: Of the row at that time.
    """

    number: int | None = None
    hash: str | None = None


def list_audit(asked: Asked) -> Page[AuditEntry]:
    """Return rows, the newest first."""
    query: AuditQuery = asked.query
    found = asked.services.get(AuditService).list(limit=query.limit + 1, target=query.target, before=query.after)
    items = found[: query.limit]
    return Page(items=items, next=str(items[-1].number) if len(found) > len(items) else None)


def verify_audit(asked: Asked) -> Verdict:
    """Check the whole log.

    Raises:
        UserError: when only one half of an anchor is given.
    """
    query: AnchorQuery = asked.query
    anchor = None
    if query.number is not None and query.hash is not None:
        anchor = Anchor(number=query.number, hash=query.hash)
    elif (query.number, query.hash) != (None, None):
        raise UserError("an anchor has two halves", expected="both number and hash")
    return asked.services.get(AuditService).verify(anchor)


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/audit",
        action="audit.read",
        summary="Read the audit log, the newest row first",
        run=list_audit,
        query=AuditQuery,
        answer=Page[AuditEntry],
    ),
    Operation(
        method="GET",
        path="/audit/verify",
        action="audit.read",
        summary="Check every row of the audit log against the one before it",
        run=verify_audit,
        query=AnchorQuery,
        answer=Verdict,
    ),
)
