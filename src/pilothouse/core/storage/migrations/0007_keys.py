"""Virtual keys, their secrets' digests, and the audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

from pilothouse.core.storage.columns import Json, UtcDateTime


def upgrade(op: Operations) -> None:
    op.create_table(
        "access_keys",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        *(sa.Column(name, sa.String, nullable=False) for name in ("organisation", "team", "user", "use_case", "role")),
        sa.Column("models", Json, nullable=False),
        sa.Column("operations", Json, nullable=False),
        sa.Column("expires_at", UtcDateTime),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("created_by", sa.String, nullable=False),
        sa.Column("revoked_at", UtcDateTime),
        sa.Column("last_used", sa.Date),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("name"),
    )
    op.create_index("ix_access_keys_revision", "access_keys", ["revision"])
    op.create_table(
        "access_secrets",
        sa.Column("digest", sa.String, primary_key=True),
        sa.Column("key", sa.String, sa.ForeignKey("access_keys.id"), nullable=False),
        sa.Column("prefix", sa.String, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("created_by", sa.String, nullable=False),
        sa.Column("expires_at", UtcDateTime),
        sa.Column("number", sa.Integer, nullable=False),
        sa.UniqueConstraint("key", "number"),
    )
    op.create_table(
        "access_audit",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", UtcDateTime, nullable=False),
        *(sa.Column(name, sa.String, nullable=False) for name in ("actor", "actor_kind", "action", "target")),
        sa.Column("before", Json),
        sa.Column("after", Json),
        sa.Column("previous", sa.String, nullable=False),
        sa.Column("hash", sa.String, nullable=False),
    )
    op.create_index("ix_access_audit_target", "access_audit", ["target"])


def downgrade(op: Operations) -> None:
    for table in ("access_audit", "access_secrets", "access_keys"):
        op.drop_table(table)
