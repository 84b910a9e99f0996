"""Copies of calls to another deployment: nobody sees their answers, and they never delay or fail the call itself.

A copy is paid for by nobody's budget: its ledger row says ``shadow``, belongs to the organisation and bears the use
case ``shadow``, so that what the trial costs can be seen.
"""

from __future__ import annotations

import asyncio

from pilothouse.gateway.plane.attempts import AttemptFailed, Attempts, code_of
from pilothouse.gateway.plane.call import Call
from pilothouse.gateway.plane.relays import Relay
from pilothouse.gateway.plane.settlement import Settlement
from pilothouse.gateway.refusals import Refusal
from pilothouse.gateway.routing.router import Router
from pilothouse.gateway.routing.types import Deployment, Route, RoutingRequest, Step
from pilothouse.gateway.types import Failure, Tenant
from pilothouse.gateway.upstream.types import Transport, UpstreamFault

USE_CASE = "shadow"


class Shadows:
    """Makes copies.

    Args:
        router: Decides which calls are copied, and how many copies may run.
        transport: The ways to deployments.
        settlement: Ends copies.
    """

    def __init__(self, router: Router, transport: Transport, settlement: Settlement) -> None:
        self._router = router
        self._transport = transport
        self._settlement = settlement
        self._running: set[asyncio.Task[None]] = set()

    def offer(self, call: Call, routing: RoutingRequest) -> None:
        """Copy a call, if its route wants that now."""
        route = call.route
        deployment = self._router.shadow(route, routing) if route is not None else None
        if route is None or deployment is None:
            return
        task = asyncio.ensure_future(self._run(_twin(call), route, deployment))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def aclose(self) -> None:
        """End the copies that run."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _run(self, twin: Call, route: Route, deployment: Deployment) -> None:
        relay: Relay | None = None
        try:
            async with asyncio.timeout(route.settings.timeouts.total):
                opened = await Attempts(twin, OneStep(route, deployment), self._transport).open()
                relay = opened.relay
                try:
                    while relay is not None and (piece := await opened.answer.read()) is not None:
                        relay.feed(piece)
                    if relay is not None:
                        relay.finish()
                finally:
                    await opened.answer.aclose()
        except Refusal as refusal:
            twin.status, twin.code, twin.http_status = "failed", refusal.code, refusal.status
        except (AttemptFailed, UpstreamFault) as fault:
            twin.status, twin.code = "cut", code_of(fault.failure)
        except (TimeoutError, ValueError):
            twin.status, twin.code = "cut", "upstream_timeout"
        finally:
            self._router.shadow_ended(route)
            await self._settlement.end(twin, relay)


class OneStep:
    """The way of a call to one deployment and no other; see ``Itinerary``."""

    experiment = ""
    arm = ""
    reason = ""

    def __init__(self, route: Route, deployment: Deployment) -> None:
        self._step: Step | None = Step(route=route, deployment=deployment)

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


def _twin(call: Call) -> Call:
    twin = Call(call.endpoint, call.headers, call.snapshot)
    twin.shadow = True
    twin.key, twin.tenant = call.key, Tenant(organisation=call.tenant.organisation, use_case=USE_CASE)
    twin.raw, twin.body, twin.facts = call.raw, call.body, call.facts
    twin.route, twin.model, twin.max_output = call.route, call.model, call.max_output
    return twin
