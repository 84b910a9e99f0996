"""The steps of the schema: they make what the rooms' tables say, down and up again, for several processes at once."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import pilothouse
from pilothouse.core.errors import Conflict
from pilothouse.core.storage import schema
from pilothouse.core.storage.sql import Database, metadata

from .new_database import by_steps, read_off

PACKAGE = Path(pilothouse.__file__).parent

UPGRADE = """
import sys
from pilothouse.core.storage.sql import Database
database = Database(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
database.upgrade()
print("alembic" in sys.modules)
"""


@pytest.fixture(autouse=True, scope="module")
def every_room_has_told_its_tables() -> None:
    found = [path.relative_to(PACKAGE.parent).with_suffix("").parts for path in PACKAGE.rglob("tables.py")]
    for parts in found:
        importlib.import_module(".".join(parts))
    assert metadata.tables


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    made = Database(database_url)
    yield made
    made.close()


def tables(database: Database) -> set[str]:
    with database.read() as connection:
        return set(sa.inspect(connection).get_table_names()) - {"alembic_version"}


def differences(database: Database) -> list[object]:
    with database.read() as connection:
        found: list[object] = list(compare_metadata(MigrationContext.configure(connection), metadata))
        inspector = sa.inspect(connection)
        for name, table in metadata.tables.items():
            key = inspector.get_pk_constraint(name)["constrained_columns"]
            if key != list(table.primary_key.columns.keys()):  # which Alembic does not compare
                found.append((name, "primary key", key))
    return found


@pytest.mark.parametrize("make", [by_steps, Database.upgrade], ids=["by steps", "at once"])
def test_the_schema_is_what_the_rooms_tables_say(database: Database, make: Callable[[Database], None]) -> None:
    make(database)
    assert differences(database) == [], "a room's tables.py and the migrations disagree: see migrations/__init__.py"


def test_down_to_nothing_and_up_again(database: Database) -> None:
    database.upgrade()
    everything = tables(database)
    for number in [*reversed(schema.steps()), schema.BASE][1:]:
        database.migrate(number)
        with database.read() as connection:
            assert schema.current(connection) == number
    assert tables(database) == set()
    by_steps(database)
    assert tables(database) == everything
    assert differences(database) == []


def test_a_new_database_is_the_very_one_that_took_the_steps(tmp_path: Path) -> None:
    found = []
    for name, make in (("stepped", by_steps), ("new", Database.upgrade)):
        database = Database.at(tmp_path / f"{name}.db")
        make(database)
        with database.read() as connection:
            found.append(read_off(connection))
        database.close()
    assert found[0] == found[1]
    stale = "new_database.sql lags behind the steps: python -m tests.core.storage.new_database"
    assert (schema.FOLDER / schema.NEW).read_text() == found[0], stale


def test_steps_that_a_new_database_lacks_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in (*schema.FOLDER.glob("[0-9]*.py"), schema.FOLDER / schema.NEW):
        (tmp_path / path.name).write_text(path.read_text())
    (tmp_path / "9999_more.py").write_text(
        "import sqlalchemy as sa\ndef upgrade(op):\n    op.create_table('more', sa.Column('x', sa.Integer))\n"
    )
    monkeypatch.setattr(schema, "FOLDER", tmp_path)
    database = Database.at(tmp_path / "some.db")
    database.upgrade()
    assert tables(database) == {*metadata.tables, "more"}
    database.close()
    older = Database.at(tmp_path / "older.db")
    older.migrate("0001")
    assert tables(older) == {name for name in metadata.tables if name.startswith("registry_")}
    older.close()


def test_a_new_sqlite_database_wakes_no_migration_tool(tmp_path: Path) -> None:
    command = [sys.executable, "-c", UPGRADE, f"sqlite:///{tmp_path}/brand.db"]
    assert subprocess.run(command, input="go\n", check=True, capture_output=True, text=True).stdout == "ready\nFalse\n"


def test_the_numbers_of_the_steps_make_one_line() -> None:
    numbers = [int(path.name[:4]) for path in schema.FOLDER.glob("[0-9]*.py")]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))


def test_a_newer_schema_is_refused_and_left_alone(database: Database) -> None:
    database.upgrade()
    with database.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9876'")
    for verb in (database.upgrade, lambda: database.migrate(schema.BASE)):
        with pytest.raises(Conflict, match="9876") as caught:
            verb()
        assert schema.head() in str(caught.value)
        assert "pip install --upgrade" in str(caught.value)
    assert tables(database) == set(metadata.tables)


def test_a_step_that_fails_leaves_the_schema_as_it_was(database: Database, tmp_path: Path, monkeypatch) -> None:
    database.upgrade()
    before = tables(database)
    for path in schema.FOLDER.glob("[0-9]*.py"):
        (tmp_path / path.name).write_text(path.read_text())
    (tmp_path / "9999_breaks.py").write_text(
        "import sqlalchemy as sa\n"
        "def upgrade(op):\n"
        "    op.create_table('half', sa.Column('x', sa.Integer))\n"
        "    raise RuntimeError('in the middle')\n"
    )
    monkeypatch.setattr(schema, "FOLDER", tmp_path)
    with pytest.raises(RuntimeError, match="in the middle"):
        database.upgrade()
    assert tables(database) == before


def test_processes_that_upgrade_at_once_all_succeed(database_url: str) -> None:
    children = [
        subprocess.Popen(
            [sys.executable, "-c", UPGRADE, database_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    for child in children:
        child.communicate()
        assert child.returncode == 0
    database = Database(database_url)
    assert tables(database) == set(metadata.tables)
    database.close()


def test_a_schema_that_is_up_to_date_wakes_no_migration_tool(database_url: str) -> None:
    database = Database(database_url)
    database.upgrade()
    database.close()
    done = subprocess.run(
        [sys.executable, "-c", UPGRADE, database_url], input="go\n", check=True, capture_output=True, text=True
    )
    assert done.stdout == "ready\nFalse\n"
