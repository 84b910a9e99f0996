"""The node cache in the database: look-ups and entries go in batches, and its failures never cost a row.

An entry is the result of one node for one set of inputs. Its key holds the node's code, template and parameters,
so an entry is never wrong, only unused; what was used longest ago is dropped first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

import sqlalchemy as sa

from pilothouse.core.clock import Clock
from pilothouse.core.storage.sql import Database
from pilothouse.experiments.runs.tables import node_cache
from pilothouse.experiments.runs.types import CacheUse

T = TypeVar("T")

_CHUNK = 500
_PENDING = 500


class NodeCacheStore:
    """The table of node results."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def get(self, keys: Iterable[str]) -> dict[str, bytes]:
        """Return the values of those keys that are there."""
        found: dict[str, bytes] = {}
        wanted = list(keys)
        with self._database.read() as connection:
            for start in range(0, len(wanted), _CHUNK):
                chunk = wanted[start : start + _CHUNK]
                query = sa.select(node_cache.c.key, node_cache.c.value).where(node_cache.c.key.in_(chunk))
                found |= {row.key: bytes(row.value) for row in connection.execute(query)}
        return found

    def put(self, entries: dict[str, bytes], used: Iterable[str] = ()) -> None:
        """Add entries, and note that the entries ``used`` were of use now."""
        now = self._clock.now()
        values = [{"key": key, "value": value, "size": len(value), "used_at": now} for key, value in entries.items()]
        insert = _insert(self._database.dialect)
        touched = list(used)
        with self._database.begin() as connection:
            if values:
                connection.execute(insert, values)
            for start in range(0, len(touched), _CHUNK):
                chunk = touched[start : start + _CHUNK]
                connection.execute(node_cache.update().where(node_cache.c.key.in_(chunk)).values(used_at=now))

    def evict(self, *, most_bytes: int, most_days: int) -> int:
        """Drop entries that are too old, then those used longest ago until the rest fits; return how many went."""
        before = self._clock.now() - timedelta(days=most_days)
        kept = sa.func.sum(node_cache.c.size).over(order_by=(node_cache.c.used_at.desc(), node_cache.c.key))
        sized = sa.select(node_cache.c.key, kept.label("kept")).subquery()
        crowded = sa.select(sized.c.key).where(sized.c.kept > most_bytes)
        total = sa.select(sa.func.coalesce(sa.func.sum(node_cache.c.size), 0))
        with self._database.begin() as connection:
            gone = connection.execute(node_cache.delete().where(node_cache.c.used_at < before)).rowcount
            if connection.execute(total).scalar_one() > most_bytes:
                gone += connection.execute(node_cache.delete().where(node_cache.c.key.in_(crowded))).rowcount
        return gone


def _insert(dialect: str) -> sa.Insert:
    # Each dialect costs a tenth of a second to import, so only the one in use is.
    if dialect == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as insert_postgresql

        return insert_postgresql(node_cache).on_conflict_do_nothing()
    from sqlalchemy.dialects.sqlite import insert as insert_sqlite

    return insert_sqlite(node_cache).on_conflict_do_nothing()


class RunNodeCache:
    """The node cache as one run uses it: look-ups of one turn of the event loop are one query.

    Use it as an async context manager; what is pending is written at the end, and what is too much is dropped.
    After a failure of the cache itself, the run goes on without it.

    Args:
        store: The table.
        most_bytes: Size of all values together.
        most_days: Days without use.
    """

    def __init__(self, store: NodeCacheStore, *, most_bytes: int, most_days: int) -> None:
        self._store = store
        self._most_bytes = most_bytes
        self._most_days = most_days
        self._has_grown = False
        self._asked: dict[str, list[asyncio.Future[bytes | None]]] = {}
        self._new: dict[str, bytes] = {}
        self._used: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._hits = self._misses = self._errors = 0

    async def get(self, key: str) -> bytes | None:
        """Return an entry, or None when there is none or the cache is broken."""
        value = self._new.get(key)
        if value is None and not self._errors:
            if not self._asked:
                self._start(self._look_up())
            # One for each who asks: whoever gives up does so for himself alone.
            answer: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
            self._asked.setdefault(key, []).append(answer)
            value = await answer
        if value is None:
            self._misses += 1
        else:
            self._hits += 1
            self._used.add(key)
        return value

    async def put(self, key: str, value: bytes) -> None:
        """Take an entry; it is written with the next batch."""
        if self._errors:
            return
        self._new[key] = value
        if len(self._new) >= _PENDING:
            self._start(self._write())

    async def flush(self) -> None:
        """Write what is pending."""
        await asyncio.gather(*self._tasks)
        await self._write()

    def use(self) -> CacheUse:
        """Return what the cache did so far."""
        return CacheUse(hits=self._hits, misses=self._misses, errors=self._errors)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.flush()
        if self._has_grown and not self._errors:
            await self._try(partial(self._store.evict, most_bytes=self._most_bytes, most_days=self._most_days))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _look_up(self) -> None:
        # One turn later, every row that is ready has asked.
        await asyncio.sleep(0)
        asked, self._asked = self._asked, {}
        found = await self._try(partial(self._store.get, list(asked)))
        for key, answers in asked.items():
            value = found.get(key) if found else None
            for answer in answers:
                if not answer.done():
                    answer.set_result(value)

    async def _write(self) -> None:
        entries, self._new = self._new, {}
        used, self._used = self._used - entries.keys(), set()
        if entries or used:
            self._has_grown |= bool(entries)
            await self._try(partial(self._store.put, entries, used))

    async def _try(self, work: Callable[[], T]) -> T | None:
        try:
            return await asyncio.to_thread(work)
        except Exception:  # noqa: BLE001 - whatever is wrong with the cache must not cost a row; it is counted
            self._errors += 1
            return None
