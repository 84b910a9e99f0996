"""What can be known of a route before any call: who may serve which form, in which order of priority."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import groupby

from pilothouse.gateway.routing.splits import Split, splits_of
from pilothouse.gateway.routing.types import Deployment, Route
from pilothouse.gateway.settings import Condition
from pilothouse.gateway.types import Wire

Price = Callable[[Deployment], int | None]
"""What a deployment costs, in any unit that is the same for all; None where it is not known."""


class Candidate:
    """A deployment and what is asked about it on every call.

    Attributes:
        deployment: As configured.
        id: Its id.
        route: Where it stands.
        weight: Its share.
        when: Its condition.
        concurrency: Most calls at once.
        guarded: Whether it has a condition or a limit of its own.
        slots: Calls at once beyond which others are preferred.
        order: Its place in the configuration.
    """

    __slots__ = ("concurrency", "deployment", "guarded", "id", "order", "route", "slots", "weight", "when")

    def __init__(self, route: Route, deployment: Deployment, order: int) -> None:
        settings = deployment.settings
        self.deployment = deployment
        self.id = deployment.id
        self.route = route
        self.weight = settings.weight
        self.when: Condition | None = settings.when
        self.concurrency = settings.concurrency
        self.guarded = settings.when is not None or settings.concurrency is not None
        self.slots = deployment.provider.slots
        self.order = order

    def speaks(self, wire: Wire) -> bool:
        """Tell whether it can serve a call of the form ``wire``, translated or not."""
        own = self.deployment.settings.wires
        return (own is not None and wire in own) or self.deployment.provider.wire(wire) is not None


Groups = tuple[tuple[Candidate, ...], ...]


class RoutePlan:
    """A route, made ready once for each configuration.

    Attributes:
        route: The route.
        candidates: All deployments, in the order of the configuration.
        split: Its experiment; None for none.
    """

    __slots__ = ("_groups", "candidates", "route", "split")

    def __init__(self, route: Route, split: Split | None) -> None:
        self.route = route
        self.split = split
        self.candidates = tuple(Candidate(route, item, order) for order, item in enumerate(route.deployments))
        self._groups: dict[tuple[Wire, str], Groups] = {}

    def groups(self, wire: Wire, arm: str) -> Groups:
        """Return those who may serve a form in an arm, by rising priority."""
        found = self._groups.get((wire, arm))
        if found is None:
            fit = [item for item in self.candidates if not self.barrier(item, wire, arm)]
            fit.sort(key=lambda item: item.deployment.settings.priority)
            by_priority = groupby(fit, key=lambda item: item.deployment.settings.priority)
            found = self._groups[wire, arm] = tuple(tuple(group) for _, group in by_priority)
        return found

    def barrier(self, candidate: Candidate, wire: Wire, arm: str) -> str:
        """Return why the configuration alone keeps a candidate from a call; empty where it does not."""
        if candidate.weight <= 0:
            return "its weight is 0"
        allowed = self.split.settings.deployments.get(arm) if self.split and arm else None
        if allowed is not None and candidate.id not in allowed:
            return f"not in the arm {arm!r}"
        return "" if candidate.speaks(wire) else f"it cannot serve {wire}"


class PlanBook:
    """Plans of one configuration's routes, each made when it is first asked for.

    Args:
        routes: All routes of the configuration; intervals of namespaces depend on them all.
        most: Plans to keep; names of routes may come from clients.
    """

    def __init__(self, routes: Mapping[str, Route], most: int = 4096) -> None:
        self.routes = routes
        self._most = most
        self._plans: dict[str, RoutePlan] = {}
        found = (route.settings.experiment for route in routes.values())
        self._splits = splits_of({item.name: item for item in found if item is not None}.values())

    def plan(self, route: Route) -> RoutePlan:
        """Return the plan of a route."""
        found = self._plans.get(route.name)
        if found is None or found.route is not route:
            if len(self._plans) >= self._most:
                self._plans.clear()
            experiment = route.settings.experiment
            split = None if experiment is None else self._splits.get(experiment.name)
            if experiment is not None and split is None:  # a route that stands in no table
                split = splits_of([experiment])[experiment.name]
            found = self._plans[route.name] = RoutePlan(route, split)
        return found
