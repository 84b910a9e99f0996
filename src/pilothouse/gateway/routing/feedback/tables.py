"""The table of feedback on calls of experiments in traffic."""

from __future__ import annotations

import sqlalchemy as sa

from pilothouse.core.storage.sql import UtcDateTime, metadata

gateway_feedback = sa.Table(
    "gateway_feedback",
    metadata,
    sa.Column("experiment", sa.String, primary_key=True),
    sa.Column("edition", sa.String, primary_key=True),
    sa.Column("metric", sa.String, primary_key=True),
    sa.Column("call_id", sa.String, primary_key=True),
    sa.Column("arm", sa.String, nullable=False),
    sa.Column("value", sa.Float, nullable=False),
    sa.Column("success", sa.Integer, nullable=False),
    sa.Column("recorded_at", UtcDateTime, nullable=False),
    sa.Column("comment", sa.String, nullable=False, server_default=""),
)
