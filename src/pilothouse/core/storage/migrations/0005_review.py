"""Queues of items that people label."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

from pilothouse.core.storage.columns import Json, UtcDateTime


def upgrade(op: Operations) -> None:
    op.create_table(
        "review_queues",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("record", Json, nullable=False),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "review_items",
        sa.Column("queue", sa.String, sa.ForeignKey("review_queues.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("place", sa.BigInteger, primary_key=True),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("item", Json, nullable=False),
    )
    own, item = ["queue", "place"], ["review_items.queue", "review_items.place"]
    op.create_table(
        "review_leases",
        sa.Column("queue", sa.String, primary_key=True),
        sa.Column("place", sa.BigInteger, primary_key=True),
        sa.Column("reviewer", sa.String, primary_key=True),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(own, item, ondelete="CASCADE"),
    )
    op.create_table(
        "review_labels",
        sa.Column("queue", sa.String, primary_key=True),
        sa.Column("place", sa.BigInteger, primary_key=True),
        sa.Column("reviewer", sa.String, primary_key=True),
        sa.Column("role", sa.String, primary_key=True),
        sa.Column("revision", sa.BigInteger, primary_key=True),
        sa.Column("is_latest", sa.Boolean, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("value", Json),
        sa.Column("comment", Json, nullable=False),
        sa.Column("first", sa.String),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(own, item, ondelete="CASCADE"),
    )


def downgrade(op: Operations) -> None:
    for table in ("review_labels", "review_leases", "review_items", "review_queues"):
        op.drop_table(table)
