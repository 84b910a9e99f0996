"""What somebody said beside a feedback."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations


def upgrade(op: Operations) -> None:
    op.add_column("gateway_feedback", sa.Column("comment", sa.String, nullable=False, server_default=""))


def downgrade(op: Operations) -> None:
    op.drop_column("gateway_feedback", "comment")
