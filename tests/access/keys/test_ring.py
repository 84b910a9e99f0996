"""What a key opens, and how changes of keys reach those who look."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from pilothouse.access.keys import watcher as watching
from pilothouse.access.keys.ring import KeyEntry, KeyRing
from pilothouse.access.keys.service import KeyService
from pilothouse.access.keys.types import KeyDraft
from pilothouse.access.keys.watcher import KeyWatcher
from pilothouse.core.errors import PilothouseError, StorageError
from pilothouse.core.storage.sql import Database


def entry(keys: KeyService, **draft: object) -> KeyEntry:
    secret = keys.create(KeyDraft(**{"name": "k", **draft})).secret  # type: ignore[arg-type]
    found = keys.ring().find(secret.reveal().encode())
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("patterns", "route", "allowed"),
    [
        ((), "anything", True),
        (("gpt-4o",), "gpt-4o", True),
        (("gpt-4o",), "gpt-4o-mini", False),
        (("gpt-*",), "gpt-4o-mini", True),
        (("gpt-*",), "my-gpt-4o", False),
        (("gpt-*",), "GPT-4O", False),
        (("a", "b?"), "bc", True),
        (("a", "b?"), "b", False),
        (("a[1-3]",), "a2", True),
        (("a.b",), "axb", False),
        (("a|b",), "a", False),
        (("x",), "x\n", False),
        (("x",), "", False),
    ],
)
def test_models_are_allowed_by_pattern(keys: KeyService, patterns: tuple[str, ...], route: str, allowed: bool) -> None:
    assert entry(keys, models=patterns).allows_model(route) is allowed


def test_operations_are_allowed_by_name(keys: KeyService) -> None:
    assert entry(keys).allows_operation("images")
    only = entry(keys, name="only", operations=("chat", "embeddings"))
    assert [only.allows_operation(name) for name in ("chat", "embeddings", "images", "")] == [True, True, False, False]


@pytest.mark.parametrize(("role", "may"), [("caller", True), ("viewer", False), ("operator", True), ("admin", True)])
def test_a_role_that_calls_no_models_may_ask_for_nothing(keys: KeyService, role: str, may: bool) -> None:
    assert entry(keys, role=role).allows_operation("chat") is may


def test_an_entry_says_who_pays(keys: KeyService) -> None:
    found = entry(keys, organisation="acme", team="t", user="u", use_case="c", role="operator")
    assert (found.id, found.name) == (keys.show("k").id, "k")
    assert (found.organisation, found.team, found.user, found.use_case, found.role) == (
        "acme",
        "t",
        "u",
        "c",
        "operator",
    )


def test_an_empty_ring_opens_nothing() -> None:
    assert KeyRing().find("ph-x") is None
    assert len(KeyRing()) == 0


@pytest.fixture
def seen() -> list[object]:
    return []


@pytest.fixture
def watcher(keys: KeyService, seen: list[object]) -> Iterator[KeyWatcher]:
    made = KeyWatcher(keys, seen.append, report=seen.append)
    yield made
    made.close()


def test_a_look_without_a_change_tells_nothing(keys: KeyService, watcher: KeyWatcher, seen: list[object]) -> None:
    before = watcher.ring
    assert watcher.look() is False
    assert (watcher.ring is before, seen) == (True, [])
    keys.create(KeyDraft(name="a"))
    assert watcher.look() is True
    assert seen == [watcher.ring]
    assert len(watcher.ring) == 1


def test_a_database_that_is_away_leaves_the_last_ring(
    keys: KeyService, watcher: KeyWatcher, seen: list[object], database: Database
) -> None:
    secret = keys.create(KeyDraft(name="a")).secret.reveal()
    watcher.look()
    with database.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE access_keys RENAME TO away")
    for _ in range(2):
        assert watcher.look() is False
    assert watcher.ring.find(secret) is not None
    assert isinstance(watcher.fault, StorageError)
    assert len(seen) == 2  # the ring, and one report for any number of looks
    assert isinstance(seen[1], PilothouseError)
    with database.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE away RENAME TO access_keys")
    watcher.look()
    assert (watcher.fault, seen[2]) == (None, None)


def test_rows_deleted_by_hand_are_noticed_too(keys: KeyService, watcher: KeyWatcher, database: Database) -> None:
    keys.create(KeyDraft(name="a"))
    secret = keys.create(KeyDraft(name="b")).secret.reveal()
    keys.update("a", {"team": "x"})
    watcher.look()
    with database.begin() as connection:
        connection.exec_driver_sql(
            "DELETE FROM access_secrets WHERE key = (SELECT id FROM access_keys WHERE name = 'b')"
        )
    looks = int(watching.ANEW / watching.INTERVAL)
    assert [watcher.look() for _ in range(looks)].count(True) == 1
    assert watcher.ring.find(secret) is None


def test_what_cannot_be_read_ends_no_watch(keys: KeyService, watcher: KeyWatcher, database: Database) -> None:
    keys.create(KeyDraft(name="a"))
    with database.begin() as connection:
        connection.exec_driver_sql("UPDATE access_secrets SET digest = 'no hexadecimal'")
    assert watcher.look() is False
    assert watcher.fault is not None
    assert "cannot be read" in str(watcher.fault)


def test_a_revocation_reaches_the_watchers_thread(keys: KeyService) -> None:
    secret = keys.create(KeyDraft(name="a")).secret.reveal()
    told = threading.Event()
    watcher = KeyWatcher(keys, lambda _ring: told.set(), interval=0.01)
    watcher.start()
    try:
        keys.revoke("a")
        assert told.wait(30)
        found = watcher.ring.find(secret)
        assert found is not None
        assert found.revoked
    finally:
        watcher.close()


def test_without_a_database_nothing_is_opened(keys: KeyService, database: Database) -> None:
    with database.begin() as connection:
        connection.exec_driver_sql("DROP TABLE access_secrets")
    with pytest.raises(Exception, match="access_secrets"):
        KeyWatcher(keys)
