"""Routes of pretended deployments, and a clock that moves when told."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from pilothouse.gateway.providers.interface import Outgoing, Refused
from pilothouse.gateway.routing.health import HealthBoard
from pilothouse.gateway.routing.router import Router
from pilothouse.gateway.routing.types import Deployment, Route, RoutingRequest
from pilothouse.gateway.settings import DeploymentSettings, RouteSettings
from pilothouse.gateway.types import Tenant


class Vendor:
    """A provider that serves what it is told to."""

    dialect = "openai"

    def __init__(self, *, slots: int | None = None, wires: tuple[str, ...] = ("openai.chat",)) -> None:
        self.name = "vendor"
        self.slots = slots
        self.wires = wires

    def wire(self, wanted: str) -> str | None:
        return wanted if wanted in self.wires else None

    def outgoing(self, *args: object, **kwargs: object) -> Outgoing:
        raise AssertionError("routing sends nothing")

    def refused(self, *args: object) -> Refused:
        raise AssertionError("routing reads nothing")

    async def prepare(self) -> None: ...

    async def aclose(self) -> None: ...


class Bench:
    """A router on a hand-moved clock.

    Attributes:
        now: Seconds.
        board: Health.
        router: The router.
        routes: By name.
    """

    def __init__(self, price: Callable[[Deployment], int | None] = lambda _: None) -> None:
        self.now = 1000.0
        self.board = HealthBoard()
        self.router = Router(self.board, monotonic=lambda: self.now, price=price)
        self.routes: dict[str, Route] = {}
        self._numbers = count()

    def add(
        self, name: str, *deployments: DeploymentSettings, vendor: Vendor | None = None, **settings: object
    ) -> Route:
        made = tuple(
            Deployment(id=item.name or item.connection, model="m", provider=vendor or Vendor(), settings=item)
            for item in deployments
        )
        route = Route(name=name, settings=RouteSettings(deployments=deployments, **settings), deployments=made)
        self.routes = {**self.routes, name: route}
        return route

    def request(self, **fields: object) -> RoutingRequest:
        defaults = {
            "call_id": f"call-{next(self._numbers)}",
            "tenant": Tenant(),
            "wire": "openai.chat",
            "headers": {},
            "metadata": {},
        }
        return RoutingRequest(**{**defaults, **fields})

    def start(self, name: str = "chat", **fields: object):
        return self.router.start(self.routes[name], self.request(**fields), self.routes)

    def explain(self, name: str = "chat", **fields: object):
        return self.router.explain(self.routes[name], self.request(**fields), self.routes)

    def first(self, name: str = "chat", **fields: object) -> str:
        """Who is asked first; served and ended at once."""
        way = self.start(name, **fields)
        step = way.next()
        if step is None:
            return ""
        way.served(step, 0.1)
        way.ended(step)
        return step.deployment.id

    def walk(self, name: str = "chat", failure: str = "server", **fields: object) -> list[str]:
        """Who is asked when all fail, in order."""
        way = self.start(name, **fields)
        asked = []
        while (step := way.next()) is not None:
            asked.append(step.deployment.id)
            way.failed(step, failure)
        return asked


def D(name: str, **fields: object) -> DeploymentSettings:
    return DeploymentSettings(connection=name, **fields)


@pytest.fixture
def bench() -> Bench:
    return Bench()
