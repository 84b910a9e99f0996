"""Column types: the same value goes in and comes out on both databases."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import sqlalchemy as sa

from pilothouse.core.errors import DataError
from pilothouse.core.storage.sql import Database, Json, UtcDateTime

moments = sa.Table(
    "moments",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", UtcDateTime),
    sa.Column("value", Json),
)

TIMES = [
    datetime(1999, 12, 31, 23, 59, 59, 999_999, UTC),
    datetime(2026, 1, 1, tzinfo=UTC),
    datetime(2026, 1, 1, 0, 0, 0, 1, UTC),
    datetime(2026, 1, 1, 0, 0, 0, 100_000, UTC),
    datetime(2026, 1, 1, 3, 0, 1, tzinfo=timezone(timedelta(hours=3))),  # 00:00:01 UTC
    datetime(2026, 1, 1, 0, 0, 2, tzinfo=UTC),
    datetime(2026, 10, 1, tzinfo=UTC),
]


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    made = Database(database_url)
    with made.begin() as connection:
        moments.create(connection)
    yield made
    made.close()


def put(database: Database, **values: Any) -> None:
    with database.begin() as connection:
        connection.execute(moments.insert().values(**values))


def test_times_come_back_aware_in_utc_to_the_microsecond(database: Database) -> None:
    for number, at in enumerate(TIMES):
        put(database, id=number, at=at)
    with database.read() as connection:
        found = list(connection.execute(sa.select(moments.c.at).order_by(moments.c.id)).scalars())
    assert found == TIMES
    assert all(at.tzinfo is UTC for at in found)


def test_times_sort_and_compare_as_moments(database: Database) -> None:
    for number, at in enumerate(reversed(TIMES)):
        put(database, id=number, at=at)
    with database.read() as connection:
        assert list(connection.execute(sa.select(moments.c.at).order_by(moments.c.at)).scalars()) == TIMES
        for limit in TIMES:
            earlier = connection.execute(sa.select(moments.c.at).where(moments.c.at < limit)).scalars()
            assert sorted(earlier) == [at for at in TIMES if at < limit]
            assert connection.execute(sa.select(moments.c.at).where(moments.c.at == limit)).scalar_one() == limit
        assert connection.execute(sa.select(sa.func.max(moments.c.at))).scalar_one() == max(TIMES)


def test_a_time_without_a_zone_is_refused(database: Database) -> None:
    with pytest.raises(DataError, match="has no zone"):
        put(database, id=1, at=datetime(2026, 1, 1))


@pytest.mark.parametrize(
    "value",
    [
        {"b": [1, 2.5, True, None, "x"], "a": {}},
        [],
        "text",
        0,
        False,
        1e-300,
        2**53 + 1,
        {"hostile": "';DROP TABLE moments;--", "zero": "a\0b", "emoji": "\U0001f600", "line": "\u2028\r\n", "": ""},
    ],
)
def test_json_comes_back_as_it_was(database: Database, value: Any) -> None:
    put(database, id=1, value=value)
    with database.read() as connection:
        found = connection.execute(sa.select(moments.c.value)).scalar_one()
    assert found == value
    assert type(found) is type(value)


def test_equal_json_is_equal_text(database: Database) -> None:
    put(database, id=1, value={"a": 1, "b": 2})
    with database.read() as connection:
        query = sa.select(moments.c.id).where(moments.c.value == {"b": 2, "a": 1})
        assert connection.execute(query).scalar_one() == 1


@pytest.mark.parametrize("value", [math.nan, {"x": [math.inf]}, {"x": object()}, {"x": "\ud800"}])
def test_what_json_cannot_say_is_refused(database: Database, value: Any) -> None:
    with pytest.raises(DataError):
        put(database, id=1, value=value)


def test_nothing_is_null(database: Database) -> None:
    put(database, id=1)
    with database.read() as connection:
        assert connection.execute(sa.select(moments)).one() == (1, None, None)
