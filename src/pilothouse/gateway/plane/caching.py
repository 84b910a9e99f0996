"""A call and the caches of its route: an answer given again, or one kept for later."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from pilothouse.gateway.cache.exact import CacheKey
from pilothouse.gateway.cache.semantic import Question, SemanticHit
from pilothouse.gateway.cache.shelf import RouteCaches
from pilothouse.gateway.cache.types import CachedAnswer, CachePolicy
from pilothouse.gateway.plane.call import Call
from pilothouse.gateway.plane.client import Client


class CachedCall:
    """One call's way through the caches.

    Args:
        call: The call, its request as the guards left it.
        caches: Those of its route.

    Attributes:
        verifies: A hit whose answer is compared with a fresh one, which the client does not see; None for none.
    """

    def __init__(self, call: Call, caches: RouteCaches) -> None:
        self._call = call
        self._caches = caches
        self._policy = CachePolicy.of(call.headers)
        self._key: CacheKey | None = None
        self._question: Question | None = None
        self.verifies: SemanticHit | None = None
        body = call.body
        if body is None:
            return
        if caches.exact is not None:
            self._key = caches.exact.key(call.tenant, call.endpoint.wire, body, call.arm)
        if caches.semantic is not None:
            self._question = caches.semantic.question(call.tenant, call.endpoint.wire, body, call.arm)

    @property
    def most_bytes(self) -> int:
        """Bytes of the longest answer that would be kept; 0 where none would be."""
        kept = self._policy.store and (self._key is not None or self._question is not None)
        return self._caches.most_bytes if kept else 0

    async def replay(self, client: Client, check: Callable[[], Awaitable[None]] | None = None) -> bool:
        """Answer from a cache; tell whether that was done.

        Args:
            client: Who gets the answer.
            check: Awaited before an answer to another wording is given; raises ``Refusal`` where it may not be.
        """
        call, caches = self._call, self._caches
        answer: CachedAnswer | None = None
        now = time.time_ns()
        if self._key is not None and caches.exact is not None:
            answer = await caches.exact.get(self._key, now, self._policy, call.id)
            call.cache = "exact" if answer is not None else "miss"
        if answer is None and self._question is not None and caches.semantic is not None:
            hit = await caches.semantic.get(self._question, now, self._policy, call.id)
            call.cache = "semantic" if hit is not None else "miss"
            if hit is not None:
                if check is not None:
                    await check()
                answer, self.verifies = hit.answer, hit if hit.verify else None
        if answer is None:
            return False
        call.response_model = answer.model
        call.first = time.perf_counter_ns() - call.begun
        age = (b"age", b"%d" % max(0, (now - answer.stored_ns) // 1_000_000_000))
        if not answer.stream:
            await client.whole(200, answer.content_type, answer.body, age)
            return True
        await client.begin(answer.content_type, age)
        await client.piece(answer.body)
        await client.end()
        return True

    async def keep(self, content_type: str, body: bytes) -> None:
        """Keep an answer that came whole."""
        if not self._policy.store or len(body) > self._caches.most_bytes:
            return
        caches = self._caches
        if self._key is not None and caches.exact is not None:
            await caches.exact.put(self._key, self.answer(content_type, body, self._key.partition))
        if self._question is not None and caches.semantic is not None:
            await caches.semantic.put(self._question, self.answer(content_type, body, self._question.owner))

    async def verified(self, content_type: str, body: bytes) -> None:
        """Compare a fresh answer with the one that was given."""
        if self.verifies is None or self._caches.semantic is None:
            return
        same = await self._caches.semantic.verified(
            self.verifies, self.answer(content_type, body, self.verifies.answer.partition)
        )
        if same is False:
            self._call.incidents.append("false_cache_hit")

    def answer(self, content_type: str, body: bytes, partition: bytes) -> CachedAnswer:
        """Return an answer as caches keep it."""
        call = self._call
        return CachedAnswer(
            partition=partition,
            call_id=call.id,
            stored_ns=time.time_ns(),
            stream=call.facts.stream,
            content_type=content_type,
            body=body,
            model=call.response_model,
            deployment=call.deployment.id if call.deployment else "",
            usage=call.usage,
        )
