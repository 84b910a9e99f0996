"""Transactions, on SQLite and PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from pilothouse.core.errors import DataError, StorageError
from pilothouse.core.storage.sql import Database, lock

things = sa.Table(
    "things", sa.MetaData(), sa.Column("name", sa.String, primary_key=True), sa.Column("size", sa.BigInteger)
)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    made = Database(database_url)
    with made.begin() as connection:
        things.create(connection)
    yield made
    made.close()


def add(database: Database, *names: str) -> None:
    with database.begin() as connection:
        connection.execute(things.insert(), [{"name": name, "size": len(name)} for name in names])


def names(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(sa.select(things.c.name).order_by(things.c.name)).scalars())


def test_a_block_that_ends_well_is_committed(database: Database) -> None:
    add(database, "b", "a")
    assert names(database) == ["a", "b"]


def test_a_block_that_raises_leaves_nothing(database: Database) -> None:
    def work() -> None:
        with database.begin() as connection:
            connection.execute(things.insert().values(name="a"))
            raise KeyError

    with pytest.raises(KeyError):
        work()
    assert names(database) == []


def test_a_read_cannot_write(database: Database) -> None:
    with pytest.raises(StorageError), database.read() as connection:
        connection.execute(things.insert().values(name="a"))
    add(database, "b")
    assert names(database) == ["b"]


def test_a_read_sees_one_moment(database: Database) -> None:
    add(database, "a")
    count = sa.select(sa.func.count()).select_from(things)
    with database.read() as connection:
        assert connection.execute(count).scalar() == 1
        add(database, "b", "c")
        assert connection.execute(count).scalar() == 1
    assert len(names(database)) == 3


def test_a_broken_constraint_stays_what_it_is(database: Database) -> None:
    add(database, "a")
    with pytest.raises(sa.exc.IntegrityError):
        add(database, "a")


def test_a_lock_can_be_taken_in_a_transaction(database: Database) -> None:
    with database.begin() as connection:
        lock(connection, "some name with 'quotes' and ünicode")
        lock(connection, "some name with 'quotes' and ünicode")


def test_a_programming_error_stays_a_programming_error(database: Database) -> None:
    with pytest.raises(sa.exc.DBAPIError), database.begin() as connection:
        connection.exec_driver_sql("SELECT * FROM nowhere")


def test_exceptions_do_not_show_the_rows(database: Database) -> None:
    rows = [{"name": "a", "size": 123_454_321}] * 2
    with pytest.raises(sa.exc.IntegrityError) as caught, database.begin() as connection:
        connection.execute(things.insert(), rows)
    assert "123454321" not in str(caught.value)


def test_a_number_that_is_too_large_is_the_users_mistake(database: Database) -> None:
    query = things.insert().values(name="a", size=2**63)
    with pytest.raises(DataError, match="cannot hold this value"), database.begin() as connection:
        connection.execute(query)


def test_text_with_a_zero_character(database: Database) -> None:
    """SQLite keeps it, PostgreSQL cannot: it must say so rather than cut the text."""
    if database.dialect == "sqlite":
        add(database, "a\0b")
        assert names(database) == ["a\0b"]
    else:
        with pytest.raises(DataError, match="cannot hold this value"):
            add(database, "a\0b")


def test_it_opens_again_after_it_was_closed(database: Database) -> None:
    add(database, "a")
    database.close()
    assert names(database) == ["a"]
