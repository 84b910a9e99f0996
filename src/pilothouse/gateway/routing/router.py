"""The router: from a route and a call to the call's way through deployments."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from pilothouse.gateway.routing.explanation import Explanation, explained
from pilothouse.gateway.routing.hashing import fraction
from pilothouse.gateway.routing.health import HealthBoard, HealthState
from pilothouse.gateway.routing.itinerary import CallItinerary
from pilothouse.gateway.routing.plans import PlanBook, Price
from pilothouse.gateway.routing.selection import Selection
from pilothouse.gateway.routing.splits import Assignment
from pilothouse.gateway.routing.types import Deployment, Route, RoutingRequest


def no_price(_deployment: Deployment) -> int | None:
    """Know no price."""
    return None


class Router:
    """Chooses deployments. Belongs to one event loop; nothing in it waits, nothing is stored.

    Args:
        board: How deployments fare; one for the life of the process.
        monotonic: Seconds that never run backwards.
        price: What a deployment costs, for the strategy ``cheapest``; called for each choice, so it must be quick.
    """

    def __init__(
        self, board: HealthBoard, *, monotonic: Callable[[], float] = time.monotonic, price: Price = no_price
    ) -> None:
        self._board = board
        self._monotonic = monotonic
        self._price = price
        self._book = PlanBook({})
        self._weights: Mapping[str, Mapping[str, float]] = {}
        self._shadows: dict[str, int] = {}
        self.shadows_dropped = 0

    def start(self, route: Route, request: RoutingRequest, routes: Mapping[str, Route]) -> CallItinerary:
        """Return the way of a call. Nothing is begun by it.

        Args:
            route: What was asked for.
            request: The call.
            routes: All routes of the configuration by name, among them the fallbacks; the same object for as long as
                the configuration holds.
        """
        book = self._book
        if book.routes is not routes:
            book = self._book = PlanBook(routes)
        window = self._board.window(route.name)
        selection, assignment = self._select(book, route, request)
        return CallItinerary(selection, assignment, self._board, window, self._monotonic)

    def explain(self, route: Route, request: RoutingRequest, routes: Mapping[str, Route]) -> Explanation:
        """Return what would be done with a call now, and why; nothing is counted or changed."""
        book = self._book if self._book.routes is routes else PlanBook(routes)
        selection, assignment = self._select(book, route, request)
        return explained(selection, assignment, self._monotonic(), shadow=self._is_shadowed(route, request))

    def set_weights(self, weights: Mapping[str, Mapping[str, float]]) -> None:
        """Put weights in place of those of the configuration: experiment to arm to weight. Replaces all at once.

        Calls that run keep their arm; the next call of a unit goes by the weights that hold then.
        """
        self._weights = {name: dict(arms) for name, arms in weights.items()}

    def weights(self) -> Mapping[str, Mapping[str, float]]:
        """Return what ``set_weights`` put."""
        return self._weights

    def states(self) -> tuple[HealthState, ...]:
        """Return how all deployments stand."""
        return self._board.states(self._monotonic())

    def shadow(self, route: Route, request: RoutingRequest) -> Deployment | None:
        """Begin a copy of a call and return who gets it; None for no copy. End it by ``shadow_ended``.

        A copy that finds ``concurrency`` others in flight is dropped and counted in ``shadows_dropped``.
        """
        settings = route.settings.shadow
        if settings is None or not self._is_shadowed(route, request):
            return None
        if self._shadows.get(route.name, 0) >= settings.concurrency:
            self.shadows_dropped += 1
            return None
        found = next((item for item in route.deployments if item.id == settings.deployment), None)
        if found is not None:
            self._shadows[route.name] = self._shadows.get(route.name, 0) + 1
        return found

    def shadow_ended(self, route: Route) -> None:
        """Tell that a copy of a call of ``route`` is over, however it went."""
        left = self._shadows.pop(route.name, 0) - 1
        if left > 0:
            self._shadows[route.name] = left

    def _select(self, book: PlanBook, route: Route, request: RoutingRequest) -> tuple[Selection, Assignment | None]:
        plan = book.plan(route)
        assignment: Assignment | None = None
        if plan.split is not None:
            experiment = plan.split.settings
            moved = self._weights.get(experiment.name) if experiment.bandit is not None else None
            assignment = plan.split.assign(request, moved)
        arm = assignment.arm if assignment else ""
        return Selection(plan, request, arm, book, self._board, self._price), assignment

    def _is_shadowed(self, route: Route, request: RoutingRequest) -> bool:
        settings = route.settings.shadow
        return settings is not None and fraction(f"shadow {route.name}", request.call_id) < settings.share
