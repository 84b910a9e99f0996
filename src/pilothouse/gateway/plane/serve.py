"""A call from its admission to its answer."""

from __future__ import annotations

import asyncio
import time

import msgspec
from msgspec import Struct

from pilothouse.gateway.dialects.interface import Relay
from pilothouse.gateway.guards.pipeline import GuardedCall, GuardPipeline
from pilothouse.gateway.guards.types import GuardContext
from pilothouse.gateway.ledger.writer import LedgerWriter
from pilothouse.gateway.plane.admission import admit, applied_to
from pilothouse.gateway.plane.asking.attempts import Attempts, Opened
from pilothouse.gateway.plane.asking.deadlines import Deadlines
from pilothouse.gateway.plane.asking.failures import AttemptFailed, code_of
from pilothouse.gateway.plane.caching import CachedCall
from pilothouse.gateway.plane.call import Call
from pilothouse.gateway.plane.client import Client
from pilothouse.gateway.plane.continuation import continued
from pilothouse.gateway.plane.metrics import Metrics
from pilothouse.gateway.plane.settlement import Settlement
from pilothouse.gateway.plane.shadows import Shadows
from pilothouse.gateway.plane.streaming import Stream
from pilothouse.gateway.refusals import Refusal
from pilothouse.gateway.routing.router import Router
from pilothouse.gateway.routing.types import Itinerary, Route, RoutingRequest
from pilothouse.gateway.upstream.types import Transport
from pilothouse.models.rates.card import RateCard


class Parts(Struct, frozen=True, kw_only=True):
    """What every call uses and no configuration changes.

    Attributes:
        router: Chooses deployments.
        transport: The ways to them.
        rates: What calls cost.
        settlement: Ends calls.
        ledger: Where rows go.
        metrics: What is counted.
        shadows: Copies calls.
        deadlines: What ends calls that take too long.
        used_keys: Gets the ids of the keys that calls show.
    """

    router: Router
    transport: Transport
    rates: RateCard
    settlement: Settlement
    ledger: LedgerWriter
    metrics: Metrics
    shadows: Shadows
    deadlines: Deadlines
    used_keys: set[str] = msgspec.field(default_factory=set[str])


class Serving:
    """Serves one call whose request was understood.

    Args:
        call: The call.
        parts: What it uses.
        client: Where its answer goes.

    Attributes:
        relay: Of a stream that has begun: it knows what was delivered.
        sent: What the client got, as far as somebody wants to keep it.
    """

    def __init__(self, call: Call, parts: Parts, client: Client) -> None:
        assert call.route is not None
        self._call = call
        self._parts = parts
        self._client = client
        self._route: Route = call.route
        self._guarded: GuardedCall | None = None
        self._cached: CachedCall | None = None
        self.relay: Relay | None = None
        self.sent: list[bytes] | None = None

    async def run(self) -> None:
        """Serve it.

        Raises:
            Refusal: when it cannot be served, or not to its end.
        """
        call, name = self._call, self._route.name
        guards = call.snapshot.guards.get(name)
        if guards is not None:
            await self._guard_request(guards)
        routing = _routing_request(call)
        itinerary = self._parts.router.start(self._route, routing, call.snapshot.routes)
        call.experiment, call.arm = itinerary.experiment, itinerary.arm
        caches = call.snapshot.caches.get(name)
        if caches is not None:
            self._cached = CachedCall(call, caches)
            # A semantic hit answers another text than the one that beside-guards passed when it was kept.
            check = self._beside if guards is not None and guards.looks_beside else None
            if await self._cached.replay(self._client, check):
                if self._cached.verifies is not None:
                    self._parts.shadows.verify(call, routing, self._cached.verified)
                return
        if not self._parts.ledger.healthy:
            # Spend that cannot be written down must not be made.
            raise Refusal("limits_unavailable", "the gateway's disk takes no rows now; try again soon", retry_after=5.0)
        limiter, applied = call.snapshot.limiter, applied_to(call)
        if applied is not None and limiter is not None:
            await admit(call, applied, limiter, self._parts.rates)
        if self._route.settings.shadow is not None and not call.shadow:
            self._parts.shadows.offer(call, routing)
        try:
            with self._parts.deadlines.within(self._route.settings.timeouts.total):
                await self._ask(itinerary, beside=guards is not None and guards.looks_beside)
        except TimeoutError:
            raise Refusal("upstream_timeout", "the call took longer than its route allows (timeouts.total)") from None

    async def _ask(self, itinerary: Itinerary, *, beside: bool) -> None:
        parts = self._parts
        attempts = Attempts(self._call, itinerary, parts.transport, parts.deadlines, parts.rates)
        watching = asyncio.ensure_future(self._beside()) if beside else None
        opened: Opened | None = None
        try:
            opened = await attempts.open()
            if watching is not None:
                await watching
            if opened.body is not None:
                await self._whole(opened)
            else:
                await self._stream(opened, attempts)
        finally:
            if watching is not None:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
            if opened is not None:
                await opened.answer.aclose()
                itinerary.ended(opened.step)
            itinerary.close()

    async def _guard_request(self, guards: GuardPipeline) -> None:
        call = self._call
        guarded = self._guarded = guards.open(
            GuardContext(wire=call.endpoint.wire, tenant=call.tenant, route=self._route.name, call_id=call.id)
        )
        if call.body is None:
            # What cannot be read cannot be guarded.
            raise Refusal("guard_failed", "this route has guards, and they cannot look into what is not JSON")
        left = await guarded.before(call.body)
        if left is not call.body:
            call.body, call.raw = left, msgspec.json.encode(left)

    async def _beside(self) -> None:
        assert self._guarded is not None
        assert self._call.body is not None
        await self._guarded.beside(self._call.body)

    async def _whole(self, opened: Opened) -> None:
        body, content_type = opened.body or b"", opened.content_type or "application/json"
        if self._guarded is not None:
            body = await self._guarded.after(body)
        self.sent = [body]
        self._call.first = time.perf_counter_ns() - self._call.begun
        await self._client.whole(opened.answer.status, content_type, body)
        if self._cached is not None:
            await self._cached.keep(content_type, body)

    async def _stream(self, opened: Opened, attempts: Attempts) -> None:
        call = self._call
        self.relay = opened.relay
        guarded = self._guarded.stream() if self._guarded is not None else None
        keep = self._cached.most_bytes if self._cached is not None else 0
        if call.snapshot.capture is not None:
            keep = max(keep, call.snapshot.settings.capture.most_bytes)
        stream = Stream(call, opened, self._client, guarded, self._parts.rates, self._parts.deadlines, keep=keep)
        call.first = time.perf_counter_ns() - call.begun
        await self._client.begin(opened.content_type)
        try:
            await self._pump(stream, opened, attempts)
        finally:
            self.sent = stream.sent
        await self._client.end()
        if self._cached is not None and stream.sent is not None and call.status == "ok":
            await self._cached.keep(opened.content_type, b"".join(stream.sent))

    async def _pump(self, stream: Stream, opened: Opened, attempts: Attempts) -> None:
        """Hand the stream on to its end; where it breaks off, by another deployment if that may be."""
        call = self._call
        while True:
            try:
                await stream.run()
            except AttemptFailed as failed:
                call.incidents.append(failed.failure)
                attempts.failed(opened.step, failed, stream.relay.pieces)
                again = await continued(call, stream, attempts)
                if again is None:
                    raise Refusal(code_of(failed.failure), failed.message) from failed
                opened.step, opened.answer = again.step, again.answer
            else:
                return

    def findings(self) -> None:
        """Add up what the guards did."""
        if self._guarded is None:
            return
        for outcome in self._guarded.outcomes:
            for kind, count in outcome.findings.items():
                key = f"{outcome.guard}:{kind}"
                self._call.findings[key] = self._call.findings.get(key, 0) + count
            if outcome.action in ("block", "error", "failed"):
                self._call.incidents.append(f"guard_{outcome.action}")


def _routing_request(call: Call) -> RoutingRequest:
    facts = call.facts
    return RoutingRequest(
        call_id=call.id,
        tenant=call.tenant,
        wire=call.endpoint.wire,
        headers=call.headers,
        metadata=facts.metadata,
        user=facts.user,
        session=facts.session,
        stream=facts.stream,
        tools=facts.has_tools,
        size=len(call.raw),
    )
