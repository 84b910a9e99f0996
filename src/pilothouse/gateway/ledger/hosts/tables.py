"""The table of ledger rows on their way between hosts."""

from __future__ import annotations

import sqlalchemy as sa

from pilothouse.core.storage.sql import UtcDateTime, metadata

batches = sa.Table(
    "gateway_ledger_batches",
    metadata,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("segment", sa.String, nullable=False),
    sa.Column("begin", sa.BigInteger, nullable=False),
    sa.Column("end", sa.BigInteger, nullable=False),
    sa.Column("host", sa.String, nullable=False),
    sa.Column("sent_at", UtcDateTime, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("segment", "begin"),
)
