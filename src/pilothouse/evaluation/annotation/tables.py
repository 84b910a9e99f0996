"""The tables of review: queues, their frozen items, who has which item in hand, and every label ever given."""

from __future__ import annotations

import sqlalchemy as sa

from pilothouse.core.storage.sql import Json, UtcDateTime, metadata

review_queues = sa.Table(
    "review_queues",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("name", sa.String, nullable=False, unique=True),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("record", Json, nullable=False),
)

review_items = sa.Table(
    "review_items",
    metadata,
    sa.Column("queue", sa.String, sa.ForeignKey("review_queues.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("place", sa.BigInteger, primary_key=True),
    sa.Column("digest", sa.String, nullable=False),
    sa.Column("item", Json, nullable=False),
)

review_leases = sa.Table(
    "review_leases",
    metadata,
    sa.Column("queue", sa.String, primary_key=True),
    sa.Column("place", sa.BigInteger, primary_key=True),
    sa.Column("reviewer", sa.String, primary_key=True),
    sa.Column("expires_at", UtcDateTime, nullable=False),
    sa.ForeignKeyConstraint(["queue", "place"], ["review_items.queue", "review_items.place"], ondelete="CASCADE"),
)

review_labels = sa.Table(
    "review_labels",
    metadata,
    sa.Column("queue", sa.String, primary_key=True),
    sa.Column("place", sa.BigInteger, primary_key=True),
    sa.Column("reviewer", sa.String, primary_key=True),
    sa.Column("role", sa.String, primary_key=True),
    sa.Column("revision", sa.BigInteger, primary_key=True),
    # The revision that holds; earlier ones are history.
    sa.Column("is_latest", sa.Boolean, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("value", Json),
    sa.Column("comment", Json, nullable=False),
    sa.Column("first", sa.String),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.ForeignKeyConstraint(["queue", "place"], ["review_items.queue", "review_items.place"], ondelete="CASCADE"),
)
