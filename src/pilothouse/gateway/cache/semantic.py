"""The semantic cache of a route: a question that means the same, in the same conversation of the same tenant."""

from __future__ import annotations

import asyncio
import hashlib
import math
import random
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from pilothouse.core.errors import PilothouseError
from pilothouse.gateway.cache.exact import is_good
from pilothouse.gateway.cache.keys import Scope, partition, route_version
from pilothouse.gateway.cache.questions import marks, split
from pilothouse.gateway.cache.replies import reply_text
from pilothouse.gateway.cache.types import CacheCounts, CachedAnswer, CachePolicy
from pilothouse.gateway.cache.vectors import Entry, VectorStore
from pilothouse.gateway.settings import GuardSettings, RouteSettings
from pilothouse.gateway.settings import SemanticCache as SemanticSettings
from pilothouse.gateway.types import NANO, Body, Tenant, Wire
from pilothouse.models.client import ModelClient
from pilothouse.models.types import EmbeddingRequest

Embed = Callable[[str], Awaitable[Sequence[float]]]

_MEMORY: Final = 67_108_864
_REMEMBERED: Final = 10_000
_PATIENCE: Final = 2.0
_SAME_REPLY: Final = 0.8


class Question(Struct, eq=False):
    """A request that may be answered from the cache, or whose answer may be kept.

    Attributes:
        partition: The array it belongs to: tenant, route, version, arm, and all of the request but ``text``.
        owner: Whose answers it may be given.
        text: What the user said last.
        marks: What vectors are blind to in it.
        vector: Of ``text``, once it was asked for; None before, or where it could not be had.
    """

    partition: bytes
    owner: bytes
    text: str
    marks: bytes
    vector: Any = None


class SemanticHit(Struct, frozen=True, eq=False):
    """An answer to a question that means the same.

    Attributes:
        answer: The answer.
        similarity: Cosine of the two questions.
        verify: Whether the upstream is to be asked too, and ``SemanticCache.verified`` told its answer.
        entry: Where it is kept.
    """

    answer: CachedAnswer
    similarity: float
    verify: bool
    entry: Entry


class FalseHits(Struct, kw_only=True):
    """How often an answer from the cache was another than the upstream's.

    Attributes:
        checked: Hits that were compared with the upstream's answer.
        wrong: Those among them whose answers differed.
        reported: Hits that a user's feedback called wrong.
    """

    checked: int = 0
    wrong: int = 0
    reported: int = 0

    def interval(self, level: float = 1.959964) -> tuple[float, float]:
        """Return Wilson's interval of the rate of false hits among those checked, 0 to 1; (0, 1) before the first.

        Args:
            level: Quantile of the normal distribution; that of 95 % by default.
        """
        n = self.checked
        if not n:
            return 0.0, 1.0
        rate, square = self.wrong / n, level * level
        centre = (rate + square / (2 * n)) / (1 + square / n)
        half = level * math.sqrt(rate * (1 - rate) / n + square / (4 * n * n)) / (1 + square / n)
        return max(0.0, centre - half), min(1.0, centre + half)


class SemanticCache:
    """Keeps the answers of one route by what was asked.

    Args:
        route: The route's name.
        settings: The route.
        guards: All guards of the gateway: changed ones make other answers.
        embed: Makes a text's vector; what it raises of ``PilothouseError`` is a miss.
        seed: Of the draw of hits that are verified.

    Attributes:
        counts: What it has done.
        false_hits: What checks and feedback said of it.
    """

    def __init__(
        self,
        route: str,
        settings: RouteSettings,
        guards: dict[str, GuardSettings],
        embed: Embed,
        seed: int | None = None,
    ) -> None:
        import numpy as np  # a tenth of a second and seven megabytes, for those who want it

        own = settings.semantic_cache
        if own is None:
            raise ValueError("the route has no semantic cache")
        self._own: SemanticSettings = own
        self._scope: Scope = own.scope
        self._embed = embed
        self._numpy: Any = np
        self._store = VectorStore(own.entries, _MEMORY)
        self._prefix = hashlib.sha256(msgspec.json.encode(["semantic", route])).digest() + route_version(
            settings, guards
        )
        self._calls: OrderedDict[str, tuple[Entry, bool]] = OrderedDict()
        self._chance = random.Random(seed)  # noqa: S311 - a sample, no secret
        self.counts = CacheCounts()
        self.false_hits = FalseHits()

    def question(self, tenant: Tenant, wire: Wire, body: Body, arm: str = "") -> Question | None:
        """Return what a request asks; None for one that this cache has nothing to do with.

        Args:
            tenant: Who asks.
            wire: The form of the body.
            body: After guards.
            arm: Of an experiment in traffic.
        """
        try:
            found = split(wire, body)
        except (msgspec.DecodeError, RecursionError):
            return None
        if found is None:
            return None
        owner = partition(self._scope, tenant)
        parts = (self._prefix, owner, hashlib.sha256(arm.encode()).digest(), found.frame)
        return Question(hashlib.sha256(b"".join(parts)).digest(), owner, found.text, marks(found.text))

    async def get(
        self, question: Question, now_ns: int, policy: CachePolicy | None = None, call_id: str = ""
    ) -> SemanticHit | None:
        """Return an answer to a question that means the same.

        The question's vector is made here, and kept in it for ``put``: one call of the embedding model a request.

        Args:
            question: From ``question``.
            now_ns: The time.
            policy: What the request allows; None for anything.
            call_id: The call that asks, so that feedback on it reaches the entry.
        """
        if policy is not None and not policy.read:
            return None
        question.vector = await self._vector(question.text)
        found = None
        if question.vector is not None:
            found = self._store.nearest(question.partition, question.vector, question.marks, now_ns)
        if (
            found is None
            or found[1] < self._own.threshold
            or found[0].answer.partition != question.owner
            or (policy and policy.most_age is not None and now_ns - found[0].answer.stored_ns > policy.most_age * NANO)
        ):
            self.counts.misses += 1
            return None
        entry, likeness = found
        self.counts.hits += 1
        self._remember(call_id, entry, served=True)
        return SemanticHit(entry.answer, likeness, self._chance.random() < self._own.verify, entry)

    async def put(self, question: Question, answer: CachedAnswer) -> None:
        """Keep an answer that came whole, with status 200 and without an error."""
        if answer.partition != question.owner or len(answer.body) * 4 > _MEMORY or not is_good(answer):
            self.counts.refused += 1
            return
        if question.vector is None:
            question.vector = await self._vector(question.text)
        if question.vector is None:
            return
        expires = answer.stored_ns + int(self._own.seconds * NANO)
        entry = Entry(question.partition, 0, question.marks, answer, expires)
        self._store.add(question.vector, entry)
        self.counts.stored += 1
        self.counts.evicted = self._store.evicted
        self._remember(answer.call_id, entry, served=False)

    async def verified(self, hit: SemanticHit, fresh: CachedAnswer) -> bool | None:
        """Take the upstream's own answer to a question that was answered from the cache.

        The answers are the same when their texts are, or when their vectors' cosine is at least 0.8: models word an
        answer anew each time. An entry that was wrong is forgotten.

        Returns:
            Whether they are the same; None where that cannot be told.
        """
        old, new = reply_text(hit.answer), reply_text(fresh)
        same: bool | None = " ".join(old.split()) == " ".join(new.split())
        if not same:
            vectors = await self._vector(old), await self._vector(new)
            same = None if vectors[0] is None or vectors[1] is None else _agree(old, new, *vectors)
        if same is None:
            return None
        self.false_hits.checked += 1
        if not same:
            self.false_hits.wrong += 1
            self._store.drop(hit.entry)
        return same

    def evict(self, call_id: str) -> bool:
        """Forget the answer that a call brought, or was given from here; the latter is counted as a false hit.

        Returns:
            Whether there was an answer to forget.
        """
        entry, served = self._calls.pop(call_id, (None, False))
        if entry is None:
            return False
        self.false_hits.reported += served
        dropped = self._store.drop(entry)
        self.counts.evicted += dropped
        return dropped

    def _remember(self, call_id: str, entry: Entry, *, served: bool) -> None:
        if call_id:
            self._calls[call_id] = entry, served
            while len(self._calls) > _REMEMBERED:
                self._calls.popitem(last=False)

    async def _vector(self, text: str) -> Any:
        """Return a text's vector, of length 1; None where it cannot be had, which is counted."""
        try:
            async with asyncio.timeout(_PATIENCE):
                vector: Any = self._numpy.asarray(await self._embed(text), dtype="float32")
        except (PilothouseError, TimeoutError, OSError):
            self.counts.failures += 1
            return None
        length = float(self._numpy.linalg.norm(vector))
        if vector.ndim != 1 or not math.isfinite(length) or length == 0.0:
            self.counts.failures += 1
            return None
        return vector / length


def _agree(old: str, new: str, one: Any, other: Any) -> bool:
    return bool(old.strip()) and bool(new.strip()) and len(one) == len(other) and float(one @ other) >= _SAME_REPLY


def embedder(client: ModelClient, model: str) -> Embed:
    """Return what makes vectors by a connection's client."""

    async def embed(text: str) -> Sequence[float]:
        return (await client.embed(EmbeddingRequest(model=model, inputs=(text,)))).vectors[0]

    return embed
