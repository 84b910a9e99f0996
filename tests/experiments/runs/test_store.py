"""Records of runs and the node cache, on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from pilothouse.core.clock import FixedClock
from pilothouse.core.errors import Conflict, NotFound, StorageError
from pilothouse.core.storage.sql import Database
from pilothouse.experiments.runs.cache import NodeCacheStore, RunNodeCache
from pilothouse.experiments.runs.store import RunStore
from pilothouse.experiments.runs.types import Attempt, Counts, FlowRef, Run, RunSpec, Totals
from pilothouse.flows.results import ErrorInfo
from pilothouse.models.types import Usage

NOW = datetime(2026, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)


def make(run_id: str, name: str, **more: Any) -> Run:
    return Run(
        id=run_id,
        name=name,
        status=more.pop("status", "running"),
        spec=more.pop("spec", RunSpec(flow="flows/x")),
        flow=FlowRef(name="x", path="flows/x", digest="d" * 64),
        created_by="tester",
        created_at=NOW,
        **more,
    )


def test_a_record_comes_back_as_it_was(database: Database) -> None:
    store = RunStore(database)
    run = make(
        "01aaaaaa",
        "full",
        spec=RunSpec(
            flow="f", data="d.csv", column_mapping={"a": "${data.a}", "b": 1}, tags={"k": "v"}, experiment="e"
        ),
        totals=Totals(usage=Usage(input_tokens=3), cost=Decimal("0.0000015"), unpriced=1),
        counts=Counts(total=3, completed=2, failed=1),
        metrics={"accuracy": 0.1 + 0.2},
        error=ErrorInfo(type="T", message="é\n'\"; DROP TABLE runs"),
        attempts=(Attempt(number=1, started_at=NOW),),
    )
    store.insert(run)
    assert store.get("full") == run
    ended = msgspec.structs.replace(run, status="completed")
    store.update(ended)
    assert store.get("full") == ended


def test_a_run_is_found_by_name_id_prefix_and_as_the_latest(database: Database) -> None:
    store = RunStore(database)
    for run_id, name in (("01abcd11", "first"), ("01abcd22", "second"), ("01abzz33", "third")):
        store.insert(make(run_id, name))
    assert store.get("second").id == "01abcd22"
    assert store.get("01abcd11").name == "first"
    assert store.get("01abz").name == "third"
    assert store.get("latest").name == "third"
    with pytest.raises(Conflict, match="several runs"):
        store.get("01ab")
    with pytest.raises(NotFound, match="did you mean 'second'"):
        store.get("secnd")
    with pytest.raises(NotFound):
        store.get("0%")


def test_no_run_yet_is_told(database: Database) -> None:
    with pytest.raises(NotFound, match="no run yet"):
        RunStore(database).get("latest")


def test_a_name_is_taken_once(database: Database) -> None:
    store = RunStore(database)
    store.insert(make("01aaaa", "same"))
    with pytest.raises(Conflict, match="run named 'same'"):
        store.insert(make("01bbbb", "same"))


def test_runs_are_listed_latest_first_and_filtered(database: Database) -> None:
    store = RunStore(database)
    store.insert(make("01a", "a", spec=RunSpec(flow="f", experiment="e")))
    store.insert(make("01b", "b", status="completed"))
    store.insert(make("01c", "c", spec=RunSpec(flow="f", experiment="e"), status="completed"))
    assert [run.name for run in store.list()] == ["c", "b", "a"]
    assert [run.name for run in store.list(experiment="e")] == ["c", "a"]
    assert [run.name for run in store.list(limit=1)] == ["c"]
    store.delete("01c")
    assert [run.name for run in store.list()] == ["b", "a"]


def test_entries_of_the_cache_come_back_and_the_first_one_stays(database: Database) -> None:
    store = NodeCacheStore(database, FixedClock(NOW))
    store.put({f"k{number}": bytes([number % 256, 0]) for number in range(1200)})
    store.put({"k1": b"other"})
    found = store.get([*(f"k{number}" for number in range(1200)), "absent"])
    assert len(found) == 1200
    assert found["k1"] == b"\x01\x00"


def test_what_was_used_longest_ago_is_dropped_first(database: Database) -> None:
    clock = FixedClock(NOW)
    store = NodeCacheStore(database, clock)
    for key in "abcd":
        store.put({key: b"x" * 10})
        clock.advance(60)
    store.put({}, used=["a"])
    assert store.evict(most_bytes=20, most_days=90) == 2
    assert store.get("abcd").keys() == {"a", "d"}
    clock.advance(91 * 86400)
    store.put({"e": b"x"})
    assert store.evict(most_bytes=20, most_days=90) == 2
    assert store.get("abcde").keys() == {"e"}


class CountingStore(NodeCacheStore):
    reads = 0
    writes = 0
    is_broken = False

    def get(self, keys):
        self.reads += 1
        if self.is_broken:
            raise StorageError("gone")
        return super().get(keys)

    def put(self, entries, used=()):
        self.writes += 1
        if self.is_broken:
            raise RuntimeError("even a defect")
        super().put(entries, used)


def test_lookups_of_many_rows_are_few_queries(database: Database) -> None:
    store = CountingStore(database, FixedClock(NOW))
    store.put({f"k{number}": b"v" for number in range(0, 200, 2)})
    store.writes = 0

    async def work() -> RunNodeCache:
        async with RunNodeCache(store, most_bytes=1 << 20, most_days=90) as cache:
            found = await asyncio.gather(*(cache.get(f"k{number}") for number in range(200)))
            assert [value is not None for value in found] == [number % 2 == 0 for number in range(200)]
            for number in range(1, 200, 2):
                await cache.put(f"k{number}", b"w")
            assert await cache.get("k1") == b"w"
        return cache

    cache = asyncio.run(work())
    assert (cache.use().hits, cache.use().misses, cache.use().errors) == (101, 100, 0)
    assert store.reads == 1
    assert store.writes == 1
    assert store.get(["k1"]) == {"k1": b"w"}


def test_one_who_gives_up_takes_the_answer_from_nobody(database: Database) -> None:
    store = CountingStore(database, FixedClock(NOW))
    store.put({"k": b"v"})

    async def work() -> None:
        async with RunNodeCache(store, most_bytes=1 << 20, most_days=90) as cache:
            asked = [asyncio.create_task(cache.get("k")) for _ in range(3)]
            await asyncio.sleep(0)
            asked[0].cancel()
            assert await asyncio.gather(*asked[1:]) == [b"v", b"v"]
            assert asked[0].cancelled()
            assert await cache.get("k") == b"v"

    asyncio.run(work())
    assert store.reads == 2


def test_a_broken_cache_costs_no_row_and_is_counted(database: Database) -> None:
    store = CountingStore(database, FixedClock(NOW))
    store.is_broken = True

    async def work() -> RunNodeCache:
        async with RunNodeCache(store, most_bytes=1 << 20, most_days=90) as cache:
            assert await asyncio.gather(*(cache.get(f"k{number}") for number in range(20))) == [None] * 20
            assert await cache.get("later") is None
            await cache.put("k", b"v")
        return cache

    cache = asyncio.run(work())
    assert cache.use().errors == 1
    assert cache.use().misses == 21
    assert store.reads == 1


def test_a_cache_that_breaks_while_writing_is_counted(database: Database) -> None:
    store = CountingStore(database, FixedClock(NOW))

    async def work() -> RunNodeCache:
        async with RunNodeCache(store, most_bytes=1 << 20, most_days=90) as cache:
            await cache.put("k", b"v")
            store.is_broken = True
        return cache

    assert asyncio.run(work()).use().errors == 1


def test_archived_runs_are_told_apart_and_words_outlive_an_update(database: Database) -> None:
    store = RunStore(database)
    run = make("01aaaaaa", "a")
    for item in (run, make("01bbbbbb", "b", archived=True)):
        store.insert(item)
    listed = {wish: [found.name for found in store.list(archived=wish)] for wish in (None, True, False)}
    assert listed == {None: ["b", "a"], True: ["b"], False: ["a"]}
    said = msgspec.structs.replace(run.spec, display_name="A", tags={"k": "v"})
    assert store.change(run.id, lambda stored: msgspec.structs.replace(stored, spec=said, archived=True)) is not None
    store.update(msgspec.structs.replace(run, status="completed"))
    assert store.get("a") == msgspec.structs.replace(run, status="completed", spec=said, archived=True)
    assert store.change("nothing", lambda stored: stored) is None
