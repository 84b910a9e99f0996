"""The tables of experiments: their records, and which run holds the rows of which arm."""

from __future__ import annotations

import sqlalchemy as sa

from pilothouse.core.storage.sql import Json, UtcDateTime, metadata

experiments = sa.Table(
    "experiments",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False, index=True),
    # The whole record but its runs; the columns beside it are for finding.
    sa.Column("record", Json, nullable=False),
    sa.UniqueConstraint("name", "number"),
)

experiment_runs = sa.Table(
    "experiment_runs",
    metadata,
    sa.Column("experiment_id", sa.String, sa.ForeignKey("experiments.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("variant", sa.String, primary_key=True),
    sa.Column("position", sa.BigInteger, nullable=False),
    # Node -> variant id, and path -> value of its settings.
    sa.Column("choices", Json, nullable=False),
    # Digest of all that decides the run's rows: another experiment with the same arm takes the same run.
    sa.Column("arm", sa.String, nullable=False, index=True),
    sa.Column("run", sa.String, nullable=False),
    sa.Column("linked_at", UtcDateTime, nullable=False),
)
