"""The section `storage:` of pilothouse.yaml."""

from __future__ import annotations

import msgspec


class StorageSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where rows are kept.

    Attributes:
        database: A database URL, ``postgresql://user:${env:DB_PASSWORD}@host:5432/name`` or ``sqlite:///file`` (a
            relative one is of the project); by default a SQLite file in the project's state folder.
    """

    database: str | None = None
