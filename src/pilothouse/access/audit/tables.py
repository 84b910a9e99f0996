"""The table of the audit log."""

from __future__ import annotations

import sqlalchemy as sa

from pilothouse.core.storage.sql import Json, UtcDateTime, metadata

entries = sa.Table(
    "access_audit",
    metadata,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("actor", sa.String, nullable=False),
    sa.Column("actor_kind", sa.String, nullable=False),
    sa.Column("action", sa.String, nullable=False),
    sa.Column("target", sa.String, nullable=False),
    sa.Column("before", Json),
    sa.Column("after", Json),
    sa.Column("previous", sa.String, nullable=False),
    sa.Column("hash", sa.String, nullable=False),
    sa.Index("ix_access_audit_target", "target"),
)
