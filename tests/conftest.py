"""What tests of every room share: real databases of both kinds, and services over a project folder of their own.

`database`       an upgraded `Database`; the test runs twice, on SQLite and on PostgreSQL
`database_url`   the URL of an empty database, likewise twice
`services`       a `Services` over `tmp_path`: SQLite, a `FixedClock`, no settings, an empty environment
`clock`          the `FixedClock` of `services`
"""

from __future__ import annotations

import gc
import os
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings as hypothesis_settings

from pilothouse.access.types import Actor
from pilothouse.core.clock import FixedClock
from pilothouse.core.environment import Environment
from pilothouse.core.settings import Settings
from pilothouse.core.storage.blobs import BlobStore
from pilothouse.core.storage.sql import Database

from .postgres import PostgresServer

# Neither a clock nor chance may decide whether a test passes.
hypothesis_settings.register_profile("steady", deadline=None, derandomize=True)
hypothesis_settings.load_profile("steady")

T = TypeVar("T")


def pytest_xdist_auto_num_workers() -> int:
    """One process more than processors: there is always one whose test waits, for a child, a server or a disk."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[Any]:
    """What is imported for all tests together stays: no collection of rubbish during a test walks through it again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class ProjectServices:
    """`Services` for tests; set `environment`, or put a ready part with `put`, before the first `get`."""

    def __init__(self, root: Path, clock: FixedClock) -> None:
        self.root = root
        self.state = root / ".pilothouse"
        self.state.mkdir(parents=True)
        self.clock = clock
        self.environment = Environment({})
        self.settings = Settings(root, self.environment, {})
        self._built: dict[type, Any] = {}

    def put(self, part: object, kind: type | None = None) -> None:
        """Answer `get(kind)` with `part`; `kind` is its class by default."""
        self._built[kind or type(part)] = part

    def get(self, kind: type[T]) -> T:
        """Return the one instance of `kind`, built on first use."""
        if kind not in self._built:
            self._built[kind] = self._make(kind)
        return self._built[kind]

    def close(self) -> None:
        """Close what was opened, the last first."""
        for part in reversed(self._built.values()):
            if hasattr(part, "close"):
                part.close()
        self._built.clear()

    def _make(self, kind: Any) -> Any:
        if kind is Database:
            database = Database.at(self.state / "pilothouse.db")
            database.upgrade()
            return database
        if kind is BlobStore:
            return BlobStore(self.state / "blobs")
        if kind is Actor:
            return Actor(name="tester")
        return kind.build(self)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(START)


@pytest.fixture
def services(tmp_path: Path, clock: FixedClock) -> Iterator[ProjectServices]:
    made = ProjectServices(tmp_path / "project", clock)
    yield made
    made.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One real server for the whole session; when it cannot start, the tests that need it fail."""
    server = PostgresServer()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def migrated_postgres(postgres: PostgresServer) -> str:
    """The name of a database at the newest schema, to be used as a template."""
    name = "migrated"
    database = Database(postgres.create(name))
    database.upgrade()
    database.close()
    return name


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/empty.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    name = f"test_{secrets.token_hex(6)}"
    yield server.create(name)
    server.drop(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        made = Database.at(tmp_path / "test.db")
        made.upgrade()
        yield made
        made.close()
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    template: str = request.getfixturevalue("migrated_postgres")
    name = f"test_{secrets.token_hex(6)}"
    made = Database(server.create(name, template))
    yield made
    made.close()
    server.drop(name)
