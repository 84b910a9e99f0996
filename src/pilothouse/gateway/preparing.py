"""What a configuration becomes before it can decide calls: routes with their vendors' sides, and guards."""

from __future__ import annotations

from collections.abc import Callable

from pilothouse.gateway.config.checks import Where
from pilothouse.gateway.config.compilation import compile_routes, unplaced
from pilothouse.gateway.config.types import RouteTable
from pilothouse.gateway.guards.pipeline import GuardPipeline
from pilothouse.gateway.providers.interface import Provider
from pilothouse.gateway.providers.registry import IN_PROCESS, build_provider
from pilothouse.gateway.routing.plans import Price
from pilothouse.gateway.routing.types import Deployment
from pilothouse.gateway.settings import GatewaySettings
from pilothouse.gateway.upstream.http import HttpTransport
from pilothouse.gateway.upstream.in_process import SCHEME, InProcessProvider, InProcessTransport
from pilothouse.gateway.upstream.types import Transport
from pilothouse.gateway.upstream.ways import Ways
from pilothouse.models.rates.card import RateCard
from pilothouse.models.service import ModelService


def prepare_routes(settings: GatewaySettings, models: ModelService, *, where: Where = unplaced) -> RouteTable:
    """Return the routes of a configuration over a project's connections.

    Args:
        settings: The configuration.
        models: The project's connections.
        where: From the keys of an entry below ``gateway`` to its ``file:line``.

    Raises:
        ConfigErrors: naming everything that is wrong.
    """

    def provider(name: str) -> Provider:
        connection = models.connection(name)
        if connection.type in IN_PROCESS:
            return InProcessProvider(name, models.provider(name))
        return build_provider(connection, models.context)

    return compile_routes(settings, provider, models.connections(), where=where)


def prepare_guards(table: RouteTable) -> dict[str, GuardPipeline]:
    """Return the guards of routes by route name; a route without guards is not in it.

    Raises:
        ConfigError: for guards that cannot be.
    """
    found: dict[str, GuardPipeline] = {}
    for route in table.routes.values():
        guards = GuardPipeline.compile(route.settings.guards, table.settings.guards)
        if guards is not None:
            found[route.name] = guards
    return found


def open_ways(models: ModelService) -> Transport:
    """Return the ways to all deployments; belongs to the running event loop."""
    return Ways(HttpTransport(), {SCHEME: InProcessTransport(models.provider)})


def common_price(rates: RateCard, now_ns: Callable[[], int]) -> Price:
    """Return what tells a deployment's price for routing: of a thousand tokens read and five hundred written."""

    def price(deployment: Deployment) -> int | None:
        rate = rates.rate(deployment.provider.name, deployment.model, now_ns())
        return rate.bound(1000, 500) if rate is not None else None

    return price
