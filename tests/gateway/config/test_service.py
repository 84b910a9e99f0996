"""Versions of the configuration, on both databases."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from pilothouse.core.errors import ConfigError, Conflict, NotFound, PilothouseError, StorageError
from pilothouse.core.storage.sql import Database
from pilothouse.gateway.config.documents import document_of, edited, full_document
from pilothouse.gateway.config.service import ConfigService
from pilothouse.gateway.config.types import ActiveConfig
from pilothouse.gateway.config.watcher import ConfigWatcher

from .conftest import SPLIT, make

Make = Callable[..., ConfigService]


def weights(active: ActiveConfig) -> list[float]:
    return [item.weight for item in active.settings.routes["chat"].deployments]


def test_the_first_start_takes_the_file_in(service_of: Make) -> None:
    service = service_of({**SPLIT, "port": 4444})
    assert service.versions() == ()
    with pytest.raises(NotFound, match="no configuration is in force"):
        service.active()
    active = service.start()
    assert (active.source, active.version.number, active.version.origin) == ("new", 1, "file")
    assert active.settings.port == 4444
    assert service_of(SPLIT).start().settings.port == 4000  # ports belong to the process
    assert len(service.versions()) == 1


def test_changes_made_while_serving_survive_a_restart(service: ConfigService, service_of: Make) -> None:
    service.set_weights("chat", {"west/gpt-4o": 5}, note="more to the west")
    again = service_of(SPLIT).start()
    assert again.source == "same"
    assert weights(again) == [9, 5]
    assert [(item.number, item.origin, item.note, item.active) for item in service.versions()] == [
        (1, "file", "pilothouse.yaml", False),
        (2, "edit", "more to the west", True),
    ]


def test_a_rollback_survives_a_restart(service: ConfigService, service_of: Make) -> None:
    service.set_weights("chat", {"west/gpt-4o": 5})
    service.rollback()
    assert weights(service_of(SPLIT).start()) == [9, 1]


def test_a_new_file_wins_and_says_what_it_replaced(service: ConfigService, service_of: Make) -> None:
    service.set_weights("default", {"west/gpt-4o": 5})
    service.set_arms("chat", {"new": 3})
    file = edited(full_document(make(SPLIT)), "routes.chat.experiment.arms.new", 3)
    active = service_of(edited(file, "routes.chat.retries.attempts", 7)).start()
    assert active.source == "new"
    assert active.settings.routes["chat"].retries.attempts == 7
    assert [(item.path, item.before, item.after) for item in active.replaced] == [
        ("routes.chat.deployments.1.weight", None, 5.0)
    ] or [(item.path, item.before, item.after) for item in active.replaced] == [
        ("routes.chat.deployments.1.weight", 1.0, 5.0)
    ]
    assert service_of(file).start().source == "new"  # an older file is a new one, too


def test_a_file_that_must_not_be_leaves_what_was(service: ConfigService, service_of: Make) -> None:
    wrong = edited(full_document(make(SPLIT)), "routes.chat.fallback", ["nowhere"])
    with pytest.raises(ConfigError, match="nowhere"):
        service_of(wrong).start()
    assert service.active().version.number == 1
    assert len(service.versions()) == 1


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("routes.chat.deployments.0.weight", -1),
        ("routes.chat.deployments.0.weight", "much"),
        ("routes.chat.deployments", []),
        ("routes.chat.strategie", "latency"),
        ("routes.chat.experiment.arms", {"old": 0, "new": 0}),
        ("port", 1),
    ],
)
def test_what_must_not_be_never_becomes_active(service: ConfigService, path: str, value: object) -> None:
    with pytest.raises(ConfigError):
        service.edit(path, value)
    with pytest.raises(ConfigError):
        service.apply({"routes": {"chat": {"deployments": [{"connection": "gone"}]}}})
    assert service.active_number() == 1
    assert len(service.versions()) == 1


def test_edits_by_path(service: ConfigService) -> None:
    assert service.edit("routes.gpt-4.1.deployments.0.weight", 2).settings.routes["gpt-4.1"].deployments[0].weight == 2
    assert service.edit("/routes/gpt-4.1/fallback", []).settings.routes["gpt-4.1"].fallback == ()
    assert service.edit(["routes", "chat", "retries"], {"attempts": 5}).settings.routes["chat"].retries.attempts == 5
    assert service.edit("routes.chat.retries.attempts", msgspec.UNSET).settings.routes["chat"].retries.attempts == 3
    assert service.edit("routes.chat.max_output_tokens", None).settings.routes["chat"].max_output_tokens is None
    added = service.edit("routes.chat.deployments.2", {"connection": "west", "model": "x"})
    assert len(added.settings.routes["chat"].deployments) == 3
    assert len(service.edit("routes.chat.deployments.2", msgspec.UNSET).settings.routes["chat"].deployments) == 2
    for path in ("routes.chta.strategy", "routes.chat.deployments.9.weight", "routes.chat.deployments.x", "", "/"):
        with pytest.raises((NotFound, ConfigError)):
            service.edit(path, 1)


def test_unknown_names(service: ConfigService) -> None:
    with pytest.raises(NotFound, match="no route 'chta'") as caught:
        service.set_weights("chta", {})
    assert caught.value.expected == "did you mean 'chat'?"
    with pytest.raises(NotFound, match="no deployment 'east'"):
        service.set_weights("chat", {"east": 1})
    with pytest.raises(NotFound, match="no arm 'newer'"):
        service.set_arms("chat", {"newer": 1})
    with pytest.raises(NotFound, match="no experiment"):
        service.set_arms("gpt-4.1", {"new": 1})


def test_a_change_made_from_what_is_no_more_in_force_is_refused(service: ConfigService) -> None:
    service.set_weights("chat", {"west/gpt-4o": 5}, expected=1)
    for change in (
        lambda: service.set_weights("chat", {"west/gpt-4o": 7}, expected=1),
        lambda: service.apply(SPLIT, expected=1),
        lambda: service.edit("routes.chat.strategy", "latency", expected=1),
        lambda: service.set_arms("chat", {"new": 4}, expected=1),
        lambda: service.rollback(expected=1),
    ):
        with pytest.raises(Conflict, match="version 2"):
            change()
    assert service.active_number() == 2


def test_back_forth_and_to_a_number(service: ConfigService, service_of: Make) -> None:
    with pytest.raises(Conflict, match="no other configuration"):
        service.rollback()
    for weight in (2, 3):
        service.acting(msgspec.structs.replace(service._registry._actor, name="bob")).set_weights(
            "chat", {"west/gpt-4o": weight}
        )
    assert weights(service.rollback()) == [9, 2]
    assert weights(service.rollback()) == [9, 3]
    assert weights(service.rollback(1)) == [9, 1]
    assert [(move.previous, move.number, move.actor) for move in service.history()] == [
        (None, 1, "ada"),
        (1, 2, "bob"),
        (2, 3, "bob"),
        (3, 2, "ada"),
        (2, 3, "ada"),
        (3, 1, "ada"),
    ]
    with pytest.raises(NotFound):
        service.rollback(99)
    assert [(item.path, item.after) for item in service.diff(1, 3)] == [("routes.chat.deployments.1.weight", 3.0)]


def test_back_to_what_is_broken_by_now_is_refused(service: ConfigService, folder) -> None:
    alone = {"routes": {"solo": {"deployments": [{"connection": "west"}]}}}
    service.apply(alone)
    (Path(folder._folder) / "east.yaml").unlink()
    with pytest.raises(ConfigError, match="no connection 'east'"):
        service.rollback()
    assert service.active_number() == 2


def test_changes_at_once_are_all_made(service: ConfigService) -> None:
    """Each is made on top of the other: none is lost."""
    names = ["attempts", "base", "longest", "budget"]
    values = [9, 0.5, 3.0, 0.7]
    threads = [
        threading.Thread(target=service.edit, args=(f"routes.chat.retries.{name}", value))
        for name, value in zip(names, values, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    retries = service.active().settings.routes["chat"].retries
    assert [getattr(retries, name) for name in names] == values


def test_a_content_that_was_tampered_with_is_not_used(service: ConfigService, database: Database) -> None:
    with database.begin() as connection:
        connection.exec_driver_sql('UPDATE registry_versions SET metadata = \'{"document": {"routes": {}}}\'')
    with pytest.raises(StorageError, match="was changed"):
        service.active()


def test_defaults_are_not_part_of_a_version() -> None:
    written_out = full_document(make(SPLIT))
    assert document_of(make(written_out)) == document_of(make(SPLIT))
    assert document_of(make({})) == {}


class Watched:
    def __init__(self) -> None:
        self.taken: list[ActiveConfig] = []
        self.told: list[PilothouseError] = []
        self.refuses = False
        self.event = threading.Event()

    def changed(self, active: ActiveConfig) -> None:
        if self.refuses:
            raise ConfigError("it cannot be compiled here")
        self.taken.append(active)
        self.event.set()


def test_the_watcher_takes_in_each_change_once(service: ConfigService) -> None:
    watched = Watched()
    watcher = ConfigWatcher(service, 1, watched.changed, watched.told.append)
    assert not watcher.look()
    service.set_weights("chat", {"west/gpt-4o": 5})
    assert watcher.look()
    assert not watcher.look()
    assert [weights(active) for active in watched.taken] == [[9, 5]]


def test_a_broken_one_is_told_once_and_the_old_one_stays(service: ConfigService) -> None:
    watched = Watched()
    watcher = ConfigWatcher(service, 1, watched.changed, watched.told.append)
    watched.refuses = True
    service.set_weights("chat", {"west/gpt-4o": 5})
    assert not watcher.look()
    assert not watcher.look()
    assert (len(watched.told), watcher.number) == (1, 1)
    watched.refuses = False
    service.rollback()
    assert watcher.look()  # taken in again, so that whoever was told of trouble hears that it is over
    service.set_weights("chat", {"west/gpt-4o": 6})
    assert watcher.look()
    assert watcher.number == 3


def test_a_database_that_is_gone_is_told_once_and_asked_again(service: ConfigService) -> None:
    watched = Watched()
    watcher = ConfigWatcher(service, 1, watched.changed, watched.told.append)
    good = service._registry

    class Gone:
        def aliases(self, *_: object) -> dict[str, int]:
            raise StorageError("the database is gone")

    service._registry = Gone()
    assert not watcher.look()
    assert not watcher.look()
    assert len(watched.told) == 1
    service._registry = good
    service.set_weights("chat", {"west/gpt-4o": 5})
    assert watcher.look()


def test_the_thread_notices_and_ends(service: ConfigService) -> None:
    watched = Watched()
    watcher = ConfigWatcher(service, 1, watched.changed, watched.told.append, seconds=0.01)
    watcher.start()
    service.set_weights("chat", {"west/gpt-4o": 5})
    assert watched.event.wait(20)
    watcher.close()
    assert not any(thread.name == "gateway-config" for thread in threading.enumerate())


CHILD = """
import os, signal, sys
from pathlib import Path
import msgspec
from pilothouse.access.types import Actor
from pilothouse.core.clock import SystemClock
from pilothouse.core.storage.blobs import BlobStore
from pilothouse.core.storage.sql import Database
from pilothouse.gateway.config.service import ConfigService
from pilothouse.gateway.settings import GatewaySettings
from pilothouse.registry.service import RegistryService
from pilothouse.registry.store import RegistryStore

url, blobs, what = sys.argv[1:]
registry = RegistryService(RegistryStore(Database(url)), SystemClock(), Actor(name=what))
if what == "die":
    registry.set_alias = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
service = ConfigService(registry, BlobStore(Path(blobs)), GatewaySettings(), connections=list, check=lambda *_: None)
sys.stdin.readline()
if what == "die":
    service.edit("routes.chat.strategy", "latency")
else:
    try:
        service.rollback(int(what), expected=3)
        print("done")
    except Exception as error:
        print(type(error).__name__)
"""


def child(database: Database, tmp_path: Path, what: str) -> subprocess.Popen[str]:
    url = database._url.render_as_string(hide_password=False)
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, url, str(tmp_path / "blobs"), what],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_killed_between_the_version_and_the_alias(service: ConfigService, database: Database, tmp_path: Path) -> None:
    process = child(database, tmp_path, "die")
    process.communicate("\n", timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert service.active_number() == 1
    assert len(service.versions()) == 2
    assert service.edit("routes.chat.strategy", "latency").version.number == 2  # found again, not made twice


def test_of_two_processes_that_roll_back_at_once_one_is_refused(
    service: ConfigService, database: Database, tmp_path: Path
) -> None:
    for weight in (2, 3):
        service.set_weights("chat", {"west/gpt-4o": weight})
    processes = [child(database, tmp_path, number) for number in ("1", "2")]
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    said = sorted(process.communicate(timeout=60)[0].strip() for process in processes)
    assert said == ["Conflict", "done"]
    assert len(service.history()) == 4
