"""What the tables of every room are made of: one MetaData, and column types that behave alike on both databases.

Text columns take no length and counts take ``BigInteger``: PostgreSQL enforces both, SQLite neither.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.types import TypeDecorator

from pilothouse.core.canonical import canonical_json
from pilothouse.core.errors import DataError

#: Every room's tables hang here; names of constraints follow from tables and columns, so migrations can drop them.
metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC, to the microsecond, that sorts and compares alike everywhere.

    SQLite holds text of fixed width, PostgreSQL ``timestamptz``; both give aware datetimes in UTC back.
    A naive datetime is refused with ``DataError``: nobody knows which moment it means.
    """

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn an aware datetime into UTC; SQLite's own form has no zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise DataError(f"the time {value.isoformat()} has no zone", expected="an aware datetime")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the moment, aware, in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Json(TypeDecorator[Any]):
    """Any JSON value as canonical text; None is SQL's NULL. NaN and the infinities are refused with ``DataError``."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Write the value with sorted keys, so that equal values are equal text."""
        return None if value is None else canonical_json(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """Read the value back as dicts, lists and scalars."""
        return None if value is None else msgspec.json.decode(value)
