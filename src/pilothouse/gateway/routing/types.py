"""Nouns of routing: what is configured, what a call shows, and what is tried."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from pilothouse.gateway.providers.interface import Provider
from pilothouse.gateway.settings import DeploymentSettings, RouteSettings
from pilothouse.gateway.types import Failure, Tenant, Wire


class Deployment(Struct, frozen=True, kw_only=True):
    """One place a route's model is served from, ready to be asked.

    Attributes:
        id: Unique in the route; health and connections are kept by it across configurations.
        model: The model's name there.
        provider: The vendor's side of the connection.
        settings: As configured.
    """

    id: str
    model: str
    provider: Provider
    settings: DeploymentSettings


class Route(Struct, frozen=True, kw_only=True):
    """A model name and what stands behind it.

    Attributes:
        name: What clients ask for.
        settings: As configured.
        deployments: In the order of the configuration.
    """

    name: str
    settings: RouteSettings
    deployments: tuple[Deployment, ...]


class RoutingRequest(Struct, frozen=True, kw_only=True):
    """What routing may look at.

    Attributes:
        call_id: Unique; what is drawn by chance is drawn from it, so that a decision can be repeated.
        tenant: Who pays.
        wire: The form the client spoke.
        headers: The client's headers, lower case.
        metadata: The request's tags.
        user: The client's user id; empty for none.
        session: The session or conversation id; empty for none.
        stream: Whether the answer is streamed.
        tools: Whether tools are declared.
        size: Bytes of the body.
    """

    call_id: str
    tenant: Tenant
    wire: Wire
    headers: Mapping[str, str]
    metadata: Mapping[str, str]
    user: str = ""
    session: str = ""
    stream: bool = False
    tools: bool = False
    size: int = 0


class Step(Struct, frozen=True, kw_only=True):
    """The next thing to try.

    Attributes:
        route: Where the deployment stands: the one that was asked for, or a fallback.
        deployment: Whom to ask.
        wait: Seconds to wait before.
        hedge_after: Start another step beside it when no byte has come after so many seconds; None for never.
    """

    route: Route
    deployment: Deployment
    wait: float = 0.0
    hedge_after: float | None = None


class Itinerary(Protocol):
    """The way of one call through deployments. Each step that was begun is ended by exactly one of the verbs.

    Attributes:
        experiment: Name of the experiment in traffic; empty for none.
        arm: The call's arm; empty for none.
        reason: Why ``next`` returned None: ``unserved`` where no deployment fits the call at all.
        retry_after: Seconds after which another call makes sense, where that is known.
    """

    experiment: str
    arm: str

    @property
    def reason(self) -> str:
        """Why ``next`` returned None."""
        ...

    @property
    def retry_after(self) -> float | None:
        """Seconds after which another call makes sense."""
        ...

    def close(self) -> None:
        """Give back what a dropped call still holds."""
        ...

    def next(self) -> Step | None:
        """Begin the next attempt, or None when there is nothing left to try."""
        ...

    def hedge(self) -> Step | None:
        """Begin an attempt beside the running one, or None where none may be."""
        ...

    def served(self, step: Step, first_byte: float) -> None:
        """Tell that an attempt's answer has begun, ``first_byte`` seconds after it was sent."""
        ...

    def ended(self, step: Step) -> None:
        """Tell that an attempt whose answer had begun is over, well or by the client's will."""
        ...

    def failed(self, step: Step, failure: Failure, *, retry_after: float | None = None, retryable: bool = True) -> None:
        """Tell that an attempt failed, before or inside its answer."""
        ...
