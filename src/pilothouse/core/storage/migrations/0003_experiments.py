"""Experiments and the runs of their arms."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

from pilothouse.core.storage.columns import Json, UtcDateTime


def upgrade(op: Operations) -> None:
    op.create_table(
        "experiments",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.Column("record", Json, nullable=False),
        sa.UniqueConstraint("name", "number"),
    )
    op.create_index("ix_experiments_updated_at", "experiments", ["updated_at"])
    op.create_table(
        "experiment_runs",
        sa.Column("experiment_id", sa.String, sa.ForeignKey("experiments.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("variant", sa.String, primary_key=True),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("choices", Json, nullable=False),
        sa.Column("arm", sa.String, nullable=False),
        sa.Column("run", sa.String, nullable=False),
        sa.Column("linked_at", UtcDateTime, nullable=False),
    )
    op.create_index("ix_experiment_runs_arm", "experiment_runs", ["arm"])


def downgrade(op: Operations) -> None:
    op.drop_table("experiment_runs")
    op.drop_table("experiments")
