"""Runs that lists leave out."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations


def upgrade(op: Operations) -> None:
    with op.batch_alter_table("runs") as table:
        table.add_column(sa.Column("archived", sa.Boolean, nullable=False, server_default=sa.false()))


def downgrade(op: Operations) -> None:
    with op.batch_alter_table("runs") as table:
        table.drop_column("archived")
