"""Runs and the node cache."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

from pilothouse.core.storage.columns import Json, UtcDateTime


def upgrade(op: Operations) -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False, unique=True),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("experiment", sa.String, index=True),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("record", Json, nullable=False),
    )
    op.create_table(
        "node_cache",
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("value", sa.LargeBinary, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("used_at", UtcDateTime, nullable=False, index=True),
    )


def downgrade(op: Operations) -> None:
    op.drop_table("node_cache")
    op.drop_table("runs")
