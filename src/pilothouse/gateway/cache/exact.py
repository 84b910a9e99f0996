"""The exact cache of a route: the same request of the same tenant gets the same answer again."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Coroutine
from typing import Any, Final

import msgspec
from msgspec import Struct

from pilothouse.gateway.cache.keys import Scope, body_digest, partition, route_version
from pilothouse.gateway.cache.memory import MemoryStore
from pilothouse.gateway.cache.shared import RedisStore
from pilothouse.gateway.cache.types import CacheCounts, CachedAnswer, CachePolicy
from pilothouse.gateway.settings import ExactCache as ExactSettings
from pilothouse.gateway.settings import GuardSettings, RouteSettings
from pilothouse.gateway.types import NANO, Body, Tenant, Wire

_REMEMBERED: Final = 10_000
_CONFIRMED: Final = NANO
"""Nanoseconds for which an answer in memory is taken to be in Redis, too."""


class CacheKey(Struct, frozen=True):
    """Where an answer is kept: a digest, and whose it is."""

    digest: bytes
    partition: bytes


class ExactCache:
    """Keeps the answers of one route.

    Args:
        route: The route's name.
        settings: The route.
        guards: All guards of the gateway: changed ones make other answers.
        redis: ``redis://...`` to share answers between processes; empty for this process alone.
        project: Whose gateway it is: projects may share a Redis, never an answer.

    Attributes:
        counts: What it has done.

    Raises:
        ConfigError: for Redis without the extra `gateway`.
    """

    def __init__(
        self,
        route: str,
        settings: RouteSettings,
        guards: dict[str, GuardSettings],
        redis: str = "",
        *,
        project: str = "",
    ) -> None:
        own = settings.cache or ExactSettings()
        self.counts = CacheCounts()
        self._seconds = own.seconds
        self._scope: Scope = own.scope
        self._prefix = hashlib.sha256(msgspec.json.encode(["exact", project, route])).digest() + route_version(
            settings, guards
        )
        self._memory = MemoryStore(own.entries, own.megabytes, self.counts)
        self._shared = RedisStore(redis, self.counts) if redis else None
        self._calls: OrderedDict[str, bytes] = OrderedDict()
        self._confirmed: OrderedDict[bytes, int] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    def key(self, tenant: Tenant, wire: Wire, body: Body, arm: str = "") -> CacheKey | None:
        """Return where the answer to a request is kept; None for one whose answer must not be kept.

        Args:
            tenant: Who asks.
            wire: The form of the body.
            body: As it goes to the upstream's side, after guards.
            arm: Of an experiment in traffic: arms never share answers.
        """
        try:
            digest = body_digest(wire, body)
        except (msgspec.DecodeError, RecursionError):
            return None
        if digest is None:
            return None
        owner = partition(self._scope, tenant)
        parts = (self._prefix, owner, hashlib.sha256(arm.encode()).digest(), digest)
        return CacheKey(hashlib.sha256(b"".join(parts)).digest(), owner)

    async def get(
        self, key: CacheKey, now_ns: int, policy: CachePolicy | None = None, call_id: str = ""
    ) -> CachedAnswer | None:
        """Return the answer that is kept, if it is good for the request.

        Args:
            key: From ``key``.
            now_ns: The time.
            policy: What the request allows; None for anything.
            call_id: The call that asks, so that feedback on it reaches the entry.
        """
        answer = None
        if policy is None or policy.read:
            answer = self._memory.find(key.digest, now_ns)
            if answer is not None and not await self._still_shared(key.digest, now_ns):
                answer = None
            if answer is None and self._shared is not None:
                answer = await self._shared.get(key.digest)
                if answer is not None:
                    left = self._seconds - (now_ns - answer.stored_ns) / NANO
                    if left > 0 and answer.partition == key.partition:
                        self._memory.keep(key.digest, answer, self._seconds)
                        self._confirm(key.digest, now_ns)
                    else:
                        answer = None
        if answer is not None and (
            answer.partition != key.partition
            or (policy and policy.most_age is not None and now_ns - answer.stored_ns > policy.most_age * NANO)
        ):
            answer = None
        if answer is None:
            self.counts.misses += 1
        else:
            self.counts.hits += 1
            self._remember(call_id, key.digest)
            if call_id and self._shared is not None:
                self._later(self._shared.note(call_id, key.digest, self._seconds))
        return answer

    async def put(self, key: CacheKey, answer: CachedAnswer) -> None:
        """Keep an answer. Only one that came whole, with status 200 and without an error may be given.

        What looks like an error all the same, or is empty, is not kept.
        """
        if answer.partition != key.partition or not is_good(answer):
            self.counts.refused += 1
            return
        if self._memory.keep(key.digest, answer, self._seconds):
            self.counts.stored += 1
            self._remember(answer.call_id, key.digest)
            if self._shared is not None:
                await self._shared.put(key.digest, answer, self._seconds)
                await self._shared.note(answer.call_id, key.digest, self._seconds)
                self._confirm(key.digest, answer.stored_ns)

    async def evict(self, call_id: str) -> bool:
        """Forget the answer that a call brought, or was given; tell whether there was one to forget.

        Of answers in Redis, any process may have served the call; the others forget theirs within a second.
        """
        digest = self._calls.pop(call_id, None)
        if digest is None and self._shared is not None:
            digest = await self._shared.noted(call_id)
        if digest is None:
            return False
        dropped = self._memory.drop(digest)
        if self._shared is not None:
            dropped = await self._shared.remove(digest) or dropped
        self.counts.evicted += dropped
        return dropped

    async def _still_shared(self, digest: bytes, now_ns: int) -> bool:
        """Tell whether an answer in memory was evicted by no other process; asked once a second an answer."""
        if self._shared is None or now_ns - self._confirmed.get(digest, 0) < _CONFIRMED:
            return True
        if await self._shared.has(digest) is False:
            self._memory.drop(digest)
            return False
        self._confirm(digest, now_ns)
        return True

    def _confirm(self, digest: bytes, now_ns: int) -> None:
        self._confirmed[digest] = now_ns
        self._confirmed.move_to_end(digest)
        if len(self._confirmed) > _REMEMBERED:
            self._confirmed.popitem(last=False)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do what no call should wait for."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _remember(self, call_id: str, digest: bytes) -> None:
        if call_id:
            self._calls[call_id] = digest
            while len(self._calls) > _REMEMBERED:
                self._calls.popitem(last=False)

    async def aclose(self) -> None:
        """Let go of connections."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._shared is not None:
            await self._shared.aclose()


def is_good(answer: CachedAnswer) -> bool:
    """Tell an answer from an error in the dress of one."""
    body = answer.body
    if not body:
        return False
    if answer.stream:
        return b'"error":' not in body or not any(
            line.startswith((b"event: error", b'data: {"error"', b'data: {"type":"error"'))
            for line in body.split(b"\n")
        )
    if not answer.content_type.startswith("application/json"):
        return True
    try:
        fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        return False
    return (
        bytes(fields.get("error", b"null")) == b"null"
        and bytes(fields.get("type", b"")) != b'"error"'
        and bytes(fields.get("status", b"")) not in {b'"failed"', b'"in_progress"', b'"queued"', b'"cancelled"'}
    )
