"""Copies of calls: nobody sees their answers, and they never delay or fail the call itself.

A copy is paid for by nobody's budget: its ledger row says ``shadow``, belongs to the organisation and bears the use
case ``shadow``, so that what the trial costs can be seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from pilothouse.gateway.dialects.interface import Relay
from pilothouse.gateway.plane.asking.attempts import Attempts, Opened
from pilothouse.gateway.plane.asking.deadlines import Deadlines
from pilothouse.gateway.plane.asking.failures import code_of
from pilothouse.gateway.plane.call import Call
from pilothouse.gateway.plane.settlement import Settlement
from pilothouse.gateway.refusals import Refusal
from pilothouse.gateway.routing.router import Router
from pilothouse.gateway.routing.types import Deployment, Itinerary, Route, RoutingRequest, Step
from pilothouse.gateway.types import Failure, Tenant
from pilothouse.gateway.upstream.types import Transport, UpstreamFault

USE_CASE = "shadow"

Seen = Callable[[str, bytes], Awaitable[None]]
"""Takes the content type and the body of a whole answer."""


class Shadows:
    """Makes copies.

    Args:
        router: Decides which calls are copied, and how many copies may run.
        transport: The ways to deployments.
        settlement: Ends copies.
        deadlines: What ends those that take too long.
    """

    def __init__(self, router: Router, transport: Transport, settlement: Settlement, deadlines: Deadlines) -> None:
        self._router = router
        self._transport = transport
        self._settlement = settlement
        self._deadlines = deadlines
        self._running: set[asyncio.Task[None]] = set()

    def offer(self, call: Call, routing: RoutingRequest) -> None:
        """Copy a call to the shadow of its route, if the route wants that now."""
        route = call.route
        deployment = self._router.shadow(route, routing) if route is not None else None
        if route is None or deployment is None:
            return

        async def copy() -> None:
            try:
                await self._run(_twin(call), route, OneStep(route, deployment))
            finally:
                self._router.shadow_ended(route)

        self._begin(copy())

    def verify(self, call: Call, routing: RoutingRequest, seen: Seen) -> None:
        """Ask for a fresh answer to a call that a cache has answered, and hand it to ``seen``."""
        route = call.route
        if route is None:
            return
        itinerary = self._router.start(route, routing, call.snapshot.routes)

        async def check() -> None:
            try:
                answer = await self._run(_twin(call), route, itinerary)
                if answer is not None:
                    await seen(*answer)
            finally:
                itinerary.close()

        self._begin(check())

    async def aclose(self) -> None:
        """End the copies that run."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _run(self, twin: Call, route: Route, itinerary: Itinerary) -> tuple[str, bytes] | None:
        """Ask, settle, and return content type and body of a whole answer; None where there was none."""
        relay: Relay | None = None
        try:
            with self._deadlines.within(route.settings.timeouts.total):
                attempts = Attempts(twin, itinerary, self._transport, self._deadlines, self._settlement.rates)
                opened = await attempts.open()
                relay = opened.relay
                try:
                    body = opened.body if relay is None else await _read(opened, relay)
                finally:
                    await opened.answer.aclose()
                    itinerary.ended(opened.step)
                return opened.content_type, body or b""
        except Refusal as refusal:
            twin.status, twin.code, twin.http_status = "failed", refusal.code, refusal.status
        except UpstreamFault as fault:
            twin.status, twin.code = "cut", code_of(fault.failure)
        except asyncio.CancelledError:
            twin.status, twin.code = "cancelled", "client_gone"
            raise
        except (TimeoutError, ValueError):
            twin.status, twin.code = "cut", "upstream_timeout"
        finally:
            await self._settlement.end(twin, relay)
        return None


class OneStep:
    """The way of a call to one deployment and no other; see ``Itinerary``."""

    experiment = ""
    arm = ""
    reason = ""
    retry_after = None

    def __init__(self, route: Route, deployment: Deployment) -> None:
        self._step: Step | None = Step(route=route, deployment=deployment)

    def close(self) -> None:
        """Hold nothing."""

    def next(self) -> Step | None:
        """Return the one step, once."""
        step, self._step = self._step, None
        return step

    def hedge(self) -> Step | None:
        """Return None."""
        return None

    def served(self, step: Step, first_byte: float) -> None:
        """Take no note: a copy tells nothing about how calls fare."""

    def ended(self, step: Step) -> None:
        """Take no note."""

    def failed(self, step: Step, failure: Failure, *, retry_after: float | None = None, retryable: bool = True) -> None:
        """Take no note."""


async def _read(opened: Opened, relay: Relay) -> bytes:
    pieces = [opened.first]
    while (piece := await opened.answer.read()) is not None:
        pieces.append(relay.feed(piece))
    pieces.append(relay.finish())
    if not relay.is_finished:
        raise UpstreamFault("cut", "the upstream ended inside its answer")
    return b"".join(pieces)


def _twin(call: Call) -> Call:
    twin = Call(call.endpoint, call.headers, call.snapshot)
    twin.shadow = True
    twin.key, twin.tenant = call.key, Tenant(organisation=call.tenant.organisation, use_case=USE_CASE)
    twin.raw, twin.body, twin.facts = call.raw, call.body, call.facts
    twin.route, twin.model, twin.max_output = call.route, call.model, call.max_output
    return twin
