"""Which keys were used on which day: once a day each, and a database that is away loses nothing but time."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

from pilothouse.access.keys.service import KeyService
from pilothouse.access.keys.types import KeyDraft
from pilothouse.access.keys.uses import KeyUses
from pilothouse.core.clock import FixedClock
from pilothouse.core.errors import PilothouseError, StorageError

TODAY = date(2026, 1, 2)


class Recorder:
    """Stands for a `KeyService` whose database may be away."""

    def __init__(self) -> None:
        self.written: list[tuple[set[str], date | None]] = []
        self.fault: Exception | None = None
        self.asked = threading.Event()

    def used(self, ids: Iterable[str], day: date | None = None) -> None:
        self.asked.set()
        if self.fault is not None:
            raise self.fault
        self.written.append((set(ids), day))


def uses_of(keys: Any, clock: FixedClock, **given: Any) -> KeyUses:
    return KeyUses(keys, clock, **given)


def test_the_day_of_the_last_use_is_written(keys: KeyService, clock: FixedClock) -> None:
    first, second = (keys.create(KeyDraft(name=name)).key for name in ("one", "two"))
    uses = KeyUses(keys, clock)
    uses.seen.update({first.id, "gone"})
    assert uses.flush()
    assert (keys.show("one").last_used, keys.show("two").last_used) == (TODAY, None)
    clock.advance(86_400)
    uses.seen.update({first.id, second.id})
    uses.close()
    assert keys.show("one").last_used == keys.show("two").last_used == TODAY + timedelta(days=1)


def test_a_key_is_written_once_a_day(clock: FixedClock) -> None:
    keys = Recorder()
    uses = uses_of(keys, clock)
    for _ in range(3):
        uses.seen.add("a")
        assert uses.flush()
    uses.seen.update({"a", "b"})
    assert uses.flush()
    clock.advance(86_400)
    uses.seen.add("a")
    assert uses.flush()
    assert keys.written == [({"a"}, TODAY), ({"b"}, TODAY), ({"a"}, TODAY + timedelta(days=1))]


def test_what_a_database_does_not_take_is_counted_and_written_later(clock: FixedClock) -> None:
    keys, told = Recorder(), list[PilothouseError]()
    uses = uses_of(keys, clock, report=told.append)
    for keys.fault in (StorageError("the database is gone"), RuntimeError("what nobody thought of")):
        uses.seen.add("a")
        assert not uses.flush()
    clock.advance(86_400)
    uses.seen.add("b")
    assert not uses.flush()
    assert (uses.failures, [str(error).split()[0] for error in told]) == (3, ["the", "which", "which"])
    keys.fault = None
    assert uses.flush()
    assert keys.written == [({"a"}, TODAY), ({"b"}, TODAY + timedelta(days=1))]


def test_an_outage_of_months_keeps_the_last_month(clock: FixedClock) -> None:
    keys = Recorder()
    keys.fault = StorageError("the database is gone")
    uses = uses_of(keys, clock)
    for number in range(40):
        uses.seen.add(f"k{number}")
        uses.flush()
        clock.advance(86_400)
    keys.fault = None
    uses.close()
    assert [ids for ids, _ in keys.written] == [{f"k{number}"} for number in range(9, 40)]


def test_a_thread_writes_and_outlives_faults(clock: FixedClock) -> None:
    keys = Recorder()
    keys.fault = StorageError("the database is gone")
    uses = uses_of(keys, clock, interval=0.005)
    uses.seen.add("a")
    uses.start()
    assert keys.asked.wait(20)
    keys.fault = None
    uses.close()
    assert keys.written == [({"a"}, TODAY)]
