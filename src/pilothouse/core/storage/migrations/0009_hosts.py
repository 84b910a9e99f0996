"""What hosts of one gateway tell each other: the database's own name, and the rows of their ledgers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

from pilothouse.core.storage.columns import UtcDateTime


def upgrade(op: Operations) -> None:
    op.create_table("database_identity", sa.Column("id", sa.String, primary_key=True))
    op.create_table(
        "gateway_ledger_batches",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("segment", sa.String, nullable=False),
        sa.Column("begin", sa.BigInteger, nullable=False),
        sa.Column("end", sa.BigInteger, nullable=False),
        sa.Column("host", sa.String, nullable=False),
        sa.Column("sent_at", UtcDateTime, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("segment", "begin"),
    )


def downgrade(op: Operations) -> None:
    op.drop_table("gateway_ledger_batches")
    op.drop_table("database_identity")
