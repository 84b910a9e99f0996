"""The tables of keys."""

from __future__ import annotations

import sqlalchemy as sa

from pilothouse.core.storage.sql import Json, UtcDateTime, metadata

keys = sa.Table(
    "access_keys",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("organisation", sa.String, nullable=False),
    sa.Column("team", sa.String, nullable=False),
    sa.Column("user", sa.String, nullable=False),
    sa.Column("use_case", sa.String, nullable=False),
    sa.Column("role", sa.String, nullable=False),
    sa.Column("models", Json, nullable=False),
    sa.Column("operations", Json, nullable=False),
    sa.Column("expires_at", UtcDateTime),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("created_by", sa.String, nullable=False),
    sa.Column("revoked_at", UtcDateTime),
    sa.Column("last_used", sa.Date),
    # Grows with every change of any key, so that the greatest one tells whether something has changed.
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("name"),
    sa.Index("ix_access_keys_revision", "revision"),
)

secrets = sa.Table(
    "access_secrets",
    metadata,
    sa.Column("digest", sa.String, primary_key=True),
    sa.Column("key", sa.String, sa.ForeignKey("access_keys.id"), nullable=False),
    sa.Column("prefix", sa.String, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("created_by", sa.String, nullable=False),
    sa.Column("expires_at", UtcDateTime),
    # Of one key, in the order they were made: two may share a microsecond.
    sa.Column("number", sa.Integer, nullable=False),
    sa.UniqueConstraint("key", "number"),
)
