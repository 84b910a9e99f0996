"""A call from its admission to its answer."""

from __future__ import annotations

import asyncio

from msgspec import Struct

from pilothouse.gateway.guards.types import GuardContext
from pilothouse.gateway.plane.admission import admit, applied_to
from pilothouse.gateway.plane.attempts import AttemptFailed, Attempts, Opened, code_of
from pilothouse.gateway.plane.bodies import decode_body
from pilothouse.gateway.plane.call import Call
from pilothouse.gateway.plane.client import Client
from pilothouse.gateway.plane.continuation import continued
from pilothouse.gateway.plane.hooks import Guards, Rates, Recorder
from pilothouse.gateway.plane.metrics import Metrics
from pilothouse.gateway.plane.relays import Relay
from pilothouse.gateway.plane.settlement import Settlement
from pilothouse.gateway.plane.streaming import Stream
from pilothouse.gateway.refusals import Refusal
from pilothouse.gateway.routing.router import Router
from pilothouse.gateway.routing.types import Route, RoutingRequest
from pilothouse.gateway.upstream.types import Transport


class Parts(Struct, frozen=True, kw_only=True):
    """What every call uses and no configuration changes.

    Attributes:
        router: Chooses deployments.
        transport: The ways to them.
        rates: What calls cost.
        settlement: Ends calls.
        metrics: What is counted.
        capture: Records payloads; None for never.
    """

    router: Router
    transport: Transport
    rates: Rates
    settlement: Settlement
    metrics: Metrics
    capture: Recorder | None = None


class Serving:
    """Serves one call whose request was understood.

    Args:
        call: The call.
        parts: What it uses.
        client: Where its answer goes.

    Attributes:
        relay: Of a stream that has begun: it knows what was delivered.
    """

    def __init__(self, call: Call, parts: Parts, client: Client) -> None:
        assert call.route is not None
        self._call = call
        self._parts = parts
        self._client = client
        self._route: Route = call.route
        self.relay: Relay | None = None
        self.sent: list[bytes] | None = None

    async def run(self) -> None:
        """Serve it.

        Raises:
            Refusal: when it cannot be served, or not to its end.
        """
        call = self._call
        guards = call.snapshot.guards.get(self._route.name)
        if guards is not None:
            await self._guard_request(guards)
        limiter, applied = call.snapshot.limiter, applied_to(call)
        if applied is not None and limiter is not None:
            await admit(call, applied, limiter, self._parts.rates)
        try:
            async with asyncio.timeout(self._route.settings.timeouts.total):
                await self._ask(guards)
        except TimeoutError:
            raise Refusal("upstream_timeout", "the call took longer than its route allows (timeouts.total)") from None

    async def _ask(self, guards: Guards | None) -> None:
        call = self._call
        itinerary = self._parts.router.start(self._route, _routing_request(call), call.snapshot.routes)
        call.experiment, call.arm = itinerary.experiment, itinerary.arm
        attempts = Attempts(call, itinerary, self._parts.transport)
        beside = (
            asyncio.ensure_future(guards.beside(call.raw, self._context())) if guards and guards.has_beside else None
        )
        opened: Opened | None = None
        try:
            opened = await attempts.open()
            if beside is not None:
                await beside
            if opened.body is not None:
                await self._whole(opened, guards)
            else:
                await self._stream(opened, attempts, guards)
        except AttemptFailed:
            opened = None  # told already
            raise
        finally:
            if beside is not None:
                beside.cancel()
            if opened is not None:
                await opened.answer.aclose()
                itinerary.ended(opened.step)

    async def _guard_request(self, guards: Guards) -> None:
        call = self._call
        if call.body is None or not guards.has_before:
            return
        left = await guards.before(call.raw, self._context())
        call.findings.update(left.findings)
        if left.body is not call.raw:
            call.raw = left.body
            call.body = decode_body(left.body)

    async def _whole(self, opened: Opened, guards: Guards | None) -> None:
        call, body = self._call, opened.body or b""
        if guards is not None and guards.has_after:
            left = await guards.after(body, self._context())
            body = left.body
            call.findings.update(left.findings)
        self.sent = [body]
        await self._client.whole(opened.answer.status, opened.content_type or "application/json", body)

    async def _stream(self, opened: Opened, attempts: Attempts, guards: Guards | None) -> None:
        call = self._call
        self.relay = opened.relay
        await self._client.begin(opened.content_type)
        guarded = guards.stream(self._context()) if guards is not None and guards.has_stream else None
        keep = 0
        if self._parts.capture is not None:
            keep = call.snapshot.settings.capture.most_bytes
        stream = Stream(call, opened, self._client, guarded, self._parts.rates, keep=keep)
        try:
            while True:
                try:
                    await stream.run()
                    break
                except AttemptFailed as failed:
                    call.status = "cut"
                    call.incidents.append(failed.failure)
                    attempts.failed(opened.step, failed)
                    again = await continued(call, stream, attempts)
                    if again is None:
                        raise Refusal(code_of(failed.failure), failed.message) from failed
                    opened.step, opened.answer, call.status = again.step, again.answer, "ok"
        finally:
            self.sent = stream.sent
        await self._client.end()
        if guarded is not None:
            call.findings.update(guarded.findings)

    def _context(self) -> GuardContext:
        call = self._call
        return GuardContext(wire=call.endpoint.wire, tenant=call.tenant, route=self._route.name, call_id=call.id)


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
