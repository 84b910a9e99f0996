"""Feedback on calls of experiments in traffic."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

from pilothouse.core.storage.columns import UtcDateTime


def upgrade(op: Operations) -> None:
    op.create_table(
        "gateway_feedback",
        sa.Column("experiment", sa.String, primary_key=True),
        sa.Column("edition", sa.String, primary_key=True),
        sa.Column("metric", sa.String, primary_key=True),
        sa.Column("call_id", sa.String, primary_key=True),
        sa.Column("arm", sa.String, nullable=False),
        sa.Column("value", sa.Float, nullable=False),
        sa.Column("success", sa.Integer, nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
    )


def downgrade(op: Operations) -> None:
    op.drop_table("gateway_feedback")
