"""What goes wrong with databases, and what the user is told."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from pilothouse.core.errors import ConfigError, PilothouseError, StorageError
from pilothouse.core.storage import sql
from pilothouse.core.storage.sql import Database


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "my state" / "a?b%20c#.db"


@pytest.fixture
def database(path: Path):
    made = Database.at(path)
    yield made
    made.close()


def run(database: Database, *statements: str) -> None:
    with database.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def test_naming_a_database_opens_nothing(database: Database, path: Path) -> None:
    assert not path.parent.exists()
    assert str(path) in repr(database)


def test_sqlite_is_set_up_for_durability_and_several_processes(database: Database) -> None:
    run(database, "CREATE TABLE a (x INTEGER PRIMARY KEY)", "CREATE TABLE b (x INTEGER REFERENCES a)")
    with database.begin() as connection:
        for pragma, value in {
            "journal_mode": "wal",
            "synchronous": 2,
            "foreign_keys": 1,
            "busy_timeout": 30_000,
        }.items():
            assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value
    with pytest.raises(sa.exc.IntegrityError):
        run(database, "INSERT INTO b VALUES (7)")


def test_the_files_are_private(database: Database, path: Path) -> None:
    run(database, "CREATE TABLE a (x INTEGER)")
    with database.read():
        modes = {file.name.removeprefix(path.name): stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {"": 0o600, "-wal": 0o600, "-shm": 0o600}


def test_a_locked_database(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql, "_BUSY_SECONDS", 0)
    database = Database.at(path)
    with database.begin(), pytest.raises(StorageError, match="another process holds the database") as caught:
        run(database, "CREATE TABLE a (x INTEGER)")
    assert str(path) in str(caught.value)
    run(database, "CREATE TABLE a (x INTEGER)")
    database.close()


def test_a_full_disk_rolls_back_and_says_so(database: Database) -> None:
    run(database, "CREATE TABLE a (x TEXT)", "INSERT INTO a VALUES ('kept')")
    with pytest.raises(StorageError, match="the disk is full") as caught:
        run(database, "PRAGMA max_page_count = 20", "INSERT INTO a VALUES (hex(randomblob(200000)))")
    assert "free some space" in str(caught.value)
    with database.read() as connection:
        assert list(connection.exec_driver_sql("SELECT x FROM a").scalars()) == ["kept"]


def test_a_really_full_disk(small_disk: Path) -> None:
    database = Database.at(small_disk / "x.db")
    with pytest.raises(StorageError, match="disk"):
        run(database, "CREATE TABLE a (x TEXT)", "INSERT INTO a VALUES (hex(randomblob(200000)))")
    database.close()


def test_a_file_that_is_no_database(path: Path, database: Database) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is a letter to my aunt, not a database\n" * 100)
    with pytest.raises(StorageError, match="not a SQLite database"):
        database.upgrade()
    assert path.read_bytes().startswith(b"this is a letter")


def test_a_forbidden_folder(closed_folder: Path) -> None:
    database = Database.at(closed_folder / "deeper" / "x.db")
    with pytest.raises(StorageError) as caught:
        database.upgrade()
    assert str(closed_folder) in str(caught.value)
    assert caught.value.fix


def test_a_folder_in_the_place_of_the_file(path: Path, database: Database) -> None:
    path.mkdir(parents=True)
    with pytest.raises(StorageError, match="the database file cannot be opened"):
        database.upgrade()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hunter2",
        "mysql://u:hunter2@h/d",
        "postgresql://u:hunter2@h:port/d",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///x.db?mode=hunter2",
        "postgresql+asyncpg://u:hunter2@h/d",
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Database(url)
    assert "postgresql://user" in str(caught.value)
    assert_without_password(caught.value)


def test_a_server_that_does_not_answer() -> None:
    database = Database("postgresql://somebody:hunter2@127.0.0.1:1/things?password=hunter2")
    assert "hunter2" not in repr(database) + database.label
    with pytest.raises(StorageError, match="does not answer") as caught:
        database.upgrade()
    assert "127.0.0.1:1/things" in str(caught.value)
    assert_without_password(caught.value)


def test_a_database_that_is_not_there(postgres) -> None:
    database = Database(postgres.url("nowhere").replace("postgres@", "postgres:hunter2@"))
    with pytest.raises(StorageError, match="nowhere") as caught:
        database.upgrade()
    assert_without_password(caught.value)


def test_a_missing_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigError, match=r"pilothouse\[postgres\]"):
        Database("postgresql://h/d")


def test_a_connection_that_breaks(postgres) -> None:
    """It is the database's fault, not the user's, and the next connection works."""
    database = Database(postgres.url("postgres"))
    with pytest.raises(StorageError, match="does not answer"):
        run(database, "SELECT pg_terminate_backend(pg_backend_pid())", "SELECT 1")
    run(database, "SELECT 1")
    database.close()


def assert_without_password(error: BaseException | None) -> None:
    while error is not None:
        assert "hunter2" not in str(error)
        assert not isinstance(error, PilothouseError) or "hunter2" not in repr(error)
        error = error.__cause__


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files can be listed on Linux only")
def test_nothing_is_left_open(path: Path) -> None:
    database = Database.at(path)
    run(database, "CREATE TABLE a (x INTEGER)")
    database.close()
    open_files = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.exists()]
    assert not [file for file in open_files if file.is_relative_to(path.parent)]


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="locks can be listed on Linux only")
def test_a_second_connection_leaves_the_locks_of_the_first(database: Database, path: Path) -> None:
    """POSIX drops all locks of a process on a file when it closes any descriptor of it."""
    run(database, "CREATE TABLE a (x INTEGER)")
    inode = f":{path.stat().st_ino} "

    def locks() -> list[str]:
        return [line.split(":", 1)[1] for line in Path("/proc/locks").read_text().splitlines() if inode in line]

    with database.read():
        before = locks()
        with database.read():
            pass
        assert locks() == before != []
