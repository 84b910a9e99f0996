"""The nouns of the audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from pilothouse.access.types import Actor
from pilothouse.core.canonical import digest

BEGIN: Final = "0" * 64
"""What the first row holds for the hash of the one before it."""


class Change(Struct, frozen=True, kw_only=True):
    """Something that was done, as whoever did it tells it.

    Attributes:
        at: When.
        actor: Who.
        action: What, as ``key.create``.
        target: To what, as ``key/ci``.
        before: What it was; None where it was not there. JSON values, no secrets.
        after: What it became; None where it is gone.
    """

    at: datetime
    actor: Actor
    action: str
    target: str
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None


class AuditEntry(Struct, frozen=True, kw_only=True):
    """One row of the log.

    Attributes:
        number: 1, 2, 3, ... without a gap.
        change: What was done.
        previous: Hash of the row before, ``BEGIN`` for the first.
        hash: Of this row, ``previous`` included.
    """

    number: int
    change: Change
    previous: str
    hash: str


class Anchor(Struct, frozen=True, kw_only=True):
    """A row's number and hash, noted where whoever can write the database cannot write.

    Attributes:
        number: Of the row.
        hash: Of the row at that time.
    """

    number: int
    hash: str


class Verdict(Struct, frozen=True, kw_only=True):
    """What a check of the log found.

    Attributes:
        rows: How many rows are sound, from the first on.
        broken: Number of the first row that is not what was written; None where all are.
        reason: What is wrong with it; empty where nothing is.
        head: Hash of the last sound row, to be noted elsewhere: it also shows rows that were cut off at the end.
    """

    rows: int
    broken: int | None = None
    reason: str = ""
    head: str = BEGIN


def seal(number: int, change: Change, previous: str) -> str:
    """Return the hash of a row: SHA-256 over the canonical JSON of its number, its change and the hash before."""
    return digest({"number": number, "change": change, "previous": previous})
