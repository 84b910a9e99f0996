"""The next deployment of a call: one reading of the state, used by calls and by explanations alike; changes nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from pilothouse.gateway.routing.conditions import unmet
from pilothouse.gateway.routing.health import EARLY_TRIAL, DeploymentHealth, HealthBoard
from pilothouse.gateway.routing.plans import Candidate, PlanBook, Price, RoutePlan
from pilothouse.gateway.routing.splits import unit_of
from pilothouse.gateway.routing.strategies import STRATEGIES, Draw, nearest
from pilothouse.gateway.routing.types import RoutingRequest

PASSING: Final = frozenset(("", "open", "trial", "resting", "full"))
"""Obstacles that go by themselves."""


class Selection:
    """The choices of one call.

    Attributes:
        plan: The route that was asked for.
        request: The call.
        arm: Its arm; empty for none.
    """

    __slots__ = ("_board", "_book", "_price", "arm", "plan", "request")

    def __init__(
        self, plan: RoutePlan, request: RoutingRequest, arm: str, book: PlanBook, board: HealthBoard, price: Price
    ) -> None:
        self.plan = plan
        self.request = request
        self.arm = arm
        self._book = book
        self._board = board
        self._price = price

    def choose(self, tried: Collection[str], now: float, attempt: int, *, beyond: bool = True) -> Candidate | None:
        """Return whom to ask next among those who may be asked at once, None where nobody is left.

        By route (the one asked for, then its fallbacks), then by priority, then by the route's strategy. Those whose
        slots are all taken come last: they have a queue, the others have not.

        Args:
            tried: Ids that are not to be asked again.
            now: The time.
            attempt: Which attempt of the call it is, from 0.
            beyond: Whether fallback routes may be gone to.
        """
        queued: list[Candidate] = []
        of = self._board.of
        for plan in self.routes() if beyond and self.plan.route.settings.fallback else (self.plan,):
            for group in plan.groups(self.request.wire, self.arm if plan is self.plan else ""):
                free: list[Candidate] = []
                for item in group:
                    if item.id in tried:
                        continue
                    health = of(item.id)
                    # Most candidates are well and without conditions: the long question is for the others.
                    if (health.is_open or health.rest_until > now or item.guarded) and self.obstacle(item, now):
                        continue
                    full = item.slots is not None and health.in_flight >= item.slots
                    (queued if full else free).append(item)
                if free:
                    return free[0] if len(free) == 1 else self._pick(plan, free, now, attempt)
        return min(queued, key=lambda item: of(item.id).in_flight) if queued else None

    def obstacle(self, candidate: Candidate, now: float) -> str:
        """Return why a candidate may not be asked now; empty where it may."""
        return self._board.of(candidate.id).obstacle(now) or self.unfit(candidate)

    def unfit(self, candidate: Candidate) -> str:
        """Return why a candidate may not be asked however well it is: full, or its condition; empty where it may."""
        if candidate.concurrency is not None and self._board.of(candidate.id).in_flight >= candidate.concurrency:
            return "full"
        return unmet(candidate.when, self.request) if candidate.when is not None else ""

    def is_servable(self, now: float) -> bool:
        """Tell whether anybody may come to serve this call, if not now."""
        return any(self.obstacle(item, now) in PASSING for item in self.all())

    def health(self, candidate: Candidate) -> DeploymentHealth:
        """Return how a candidate fares."""
        return self._board.of(candidate.id)

    def resting(self, now: float, longest: float) -> tuple[Candidate, float] | None:
        """Return who asked to be left alone and may be asked soonest, and in how many seconds."""
        found: tuple[Candidate, float] | None = None
        for item in self.all():
            health = self._board.of(item.id)
            seconds = health.rest_until - now
            if not 0 < seconds <= longest or health.is_open or self.unfit(item):
                continue
            if found is None or seconds < found[1]:
                found = item, seconds
        return found

    def early(self, now: float) -> Candidate | None:
        """Return whose breaker closes first, where it may be tried before its time."""
        found: tuple[float, Candidate] | None = None
        for item in self.all():
            health = self._board.of(item.id)
            if health.obstacle(now) != "open" or health.by_key or health.trial or now < health.tried_at + EARLY_TRIAL:
                continue
            if self.unfit(item):
                continue
            if found is None or health.open_until < found[0]:
                found = health.open_until, item
        return None if found is None else found[1]

    def soonest(self, now: float) -> float | None:
        """Return the seconds until any may be asked again; None where time alone changes nothing."""
        waits = [self._board.of(item.id).seconds(now) for item in self.all()]
        return min((seconds for seconds in waits if seconds > 0), default=None)

    def all(self) -> Iterator[Candidate]:
        """Yield all whom the configuration lets serve this call, route by route."""
        for plan in self.routes():
            for group in plan.groups(self.request.wire, self.arm if plan is self.plan else ""):
                yield from group

    def routes(self) -> Iterator[RoutePlan]:
        """Yield the route asked for, then its fallbacks and theirs, each once."""
        yield self.plan
        fallback = self.plan.route.settings.fallback
        if not fallback:
            return
        seen = {self.plan.route.name}
        waiting = list(fallback)
        for name in waiting:  # grows while it is walked
            route = self._book.routes.get(name)
            if route is None or route.name in seen:
                continue
            seen.add(route.name)
            waiting += route.settings.fallback
            yield self._book.plan(route)

    def _pick(self, plan: RoutePlan, fit: list[Candidate], now: float, attempt: int) -> Candidate:
        settings = plan.route.settings
        if settings.affinity is not None:
            unit = unit_of(self.request, settings.affinity)
            if unit:
                return nearest(fit, f"{settings.affinity}:{unit}")
        name = f"{plan.route.name}\0{attempt}\0{self.request.call_id}"
        return STRATEGIES[settings.strategy](fit, Draw(name, self._board, self._price, now))
