"""Registering and finding versions."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest

from pilothouse.core.errors import DataError, NotFound, UserError
from pilothouse.core.storage.sql import Database
from pilothouse.registry.service import RegistryService
from pilothouse.registry.store import RegistryStore

# Registers twenty contents of its own and twenty that all children share, and prints what it was given.
CHILD = """
import sys
from pilothouse.access.types import Actor
from pilothouse.core.canonical import digest
from pilothouse.core.clock import SystemClock
from pilothouse.core.storage.sql import Database
from pilothouse.registry.service import RegistryService
from pilothouse.registry.store import RegistryStore

database = Database(sys.argv[1])
registry = RegistryService(RegistryStore(database), SystemClock(), Actor(name=sys.argv[2]))
with database.read():
    print("ready", flush=True)
sys.stdin.readline()
for number in range(20):
    own, is_new = registry.register("flow", "busy", digest([sys.argv[2], number]))
    assert is_new and own.actor == sys.argv[2], own
    print("own", own.number)
    shared, is_new = registry.register("flow", "busy", digest(number))
    print("new" if is_new else "old", shared.number)
database.close()
"""


def test_numbers_count_within_kind_and_name(registry: RegistryService, digest_of, clock) -> None:
    first, is_new = registry.register("dataset", "sms", digest_of("a"), metadata={"rows": 3})
    assert (is_new, first.ref, first.actor, first.created_at) == (True, "dataset/sms:1", "ada", clock.now())
    assert registry.register("dataset", "sms", digest_of("b"))[0].number == 2
    assert registry.register("dataset", "other", digest_of("a"))[0].number == 1
    assert registry.register("flow", "sms", digest_of("a"))[0].number == 1
    assert [version.number for version in registry.versions("dataset", "sms")] == [1, 2]


def test_unchanged_content_is_the_version_it_was(registry: RegistryService, digest_of, clock) -> None:
    first, _ = registry.register("dataset", "sms", digest_of("a"), metadata={"rows": 3})
    registry.register("dataset", "sms", digest_of("b"))
    clock.advance(3600)
    again, is_new = registry.register("dataset", "sms", digest_of("a"), metadata={"rows": 99})
    assert (again, is_new) == (first, False)
    assert registry.resolve("dataset/sms").number == 2


def test_a_version_comes_back_as_it_went_in(registry: RegistryService, digest_of) -> None:
    metadata = {"columns": [{"name": "text", "type": "str"}], "note": "naïve \0 '; --", "rows": 0, "nothing": None}
    kept, _ = registry.register("dataset", "team/sms", digest_of("a"), metadata=metadata)
    assert registry.resolve("dataset/team/sms") == kept
    assert kept.metadata == metadata


def test_every_form_of_reference_finds_it(registry: RegistryService, digest_of) -> None:
    kept = [registry.register("flow", "x", digest_of(text))[0] for text in "abc"]
    registry.set_alias("flow", "x", "production", 2)
    assert registry.resolve("flow/x") == kept[2]
    assert registry.resolve("flow/x:1") == kept[0]
    assert registry.resolve("flow/x@production") == kept[1]
    assert registry.resolve(f"flow/x#{kept[0].digest}") == registry.resolve(f"flow/x#{kept[0].digest[:8]}") == kept[0]


def test_what_is_not_there_leads_to_what_is(registry: RegistryService, digest_of) -> None:
    registry.register("flow", "classify", digest_of("a"))
    registry.set_alias("flow", "classify", "production", 1)
    for ref, words in {
        "flow/clasify": "did you mean 'flow/classify'?",
        "flw/classify": "did you mean 'flow/classify'?",
        "flow/classify:2": "a number from 1 to 1",
        "flow/classify@prodution": "did you mean 'production'?",
        "flow/classify#ffffffff": "begins with ffffffff",
    }.items():
        with pytest.raises(NotFound) as caught:
            registry.resolve(ref)
        assert words in str(caught.value)
    for nothing in (lambda: registry.versions("flow", "clasify"), lambda: registry.set_alias("flow", "x", "a", 1)):
        with pytest.raises(NotFound):
            nothing()


def test_an_empty_registry_says_so(registry: RegistryService) -> None:
    assert registry.list() == registry.list("flow") == ()
    with pytest.raises(NotFound, match="there are none yet"):
        registry.resolve("flow/x")


def test_a_short_digest_that_fits_two_versions(registry: RegistryService) -> None:
    registry.register("flow", "x", "abcd" + "0" * 60)
    registry.register("flow", "x", "abcd" + "1" * 60)
    with pytest.raises(UserError, match="2 versions of flow/x begin with abcd") as caught:
        registry.resolve("flow/x#abcd")
    assert "flow/x:1" in str(caught.value)
    assert registry.resolve("flow/x#abcd1").number == 2


def test_the_list_has_the_latest_of_every_name(registry: RegistryService, digest_of) -> None:
    for kind, name, text in [("flow", "b", "1"), ("flow", "B", "1"), ("dataset", "z", "1"), ("flow", "b", "2")]:
        registry.register(kind, name, digest_of(text))
    assert [version.ref for version in registry.list()] == ["dataset/z:1", "flow/B:1", "flow/b:2"]
    assert [version.ref for version in registry.list("dataset")] == ["dataset/z:1"]
    with pytest.raises(NotFound, match="dataset"):
        registry.list("datset")


@pytest.mark.parametrize("digest", ["", "abc", "A" * 64, "../" * 21 + "a", "a" * 64 + "\n"])
def test_what_is_no_digest_is_refused(registry: RegistryService, digest: str) -> None:
    with pytest.raises(UserError, match="is not a digest"):
        registry.register("flow", "x", digest)
    assert registry.list() == ()


def test_metadata_that_json_cannot_say_is_refused(registry: RegistryService, digest_of) -> None:
    with pytest.raises(DataError):
        registry.register("flow", "x", digest_of("a"), metadata={"score": math.nan})
    assert registry.list() == ()


def test_processes_that_register_at_once_get_every_number_once(database_url: str) -> None:
    database = Database(database_url)
    database.upgrade()
    children = {
        name: subprocess.Popen(
            [sys.executable, "-c", CHILD, database_url, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for name in ("one", "two", "three")
    }
    for child in children.values():
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children.values():
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    said = [child.communicate()[0].split("\n")[:-1] for child in children.values()]
    assert [child.returncode for child in children.values()] == [0, 0, 0]

    own = [line for lines in said for line in lines if line.startswith("own")]
    new = [line for lines in said for line in lines if line.startswith("new")]
    assert (len(set(own)), len(set(new)), len(new)) == (60, 20, 20)
    assert all([line[4:] for line in lines[1::2]] == [line[4:] for line in said[0][1::2]] for lines in said)
    kept = RegistryStore(database).versions("flow", "busy")
    assert [version.number for version in kept] == list(range(1, 81))
    database.close()
