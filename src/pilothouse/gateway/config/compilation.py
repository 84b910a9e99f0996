"""From settings to routes; whatever is wrong is told at once, each with its place."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from pilothouse.core.errors import ConfigError, UserError
from pilothouse.core.yaml import load_yaml
from pilothouse.gateway.config.checks import Where, check_route, check_whole
from pilothouse.gateway.config.naming import SINGLE, deployment_id, deployment_model, own_model
from pilothouse.gateway.config.types import ConfigErrors, RouteTable
from pilothouse.gateway.providers.interface import Provider
from pilothouse.gateway.routing.types import Deployment, Route
from pilothouse.gateway.settings import DeploymentSettings, GatewaySettings, RouteSettings
from pilothouse.models.connections import ConnectionSpec

T = TypeVar("T")

MakeProvider = Callable[[str], Provider]


def unplaced(*keys: str | int) -> str:
    """Return the place of an entry where no file is known."""
    return ".".join(("gateway", *map(str, keys)))


def place_in(path: Path) -> Where:
    """Return where entries of the section stand in a `pilothouse.yaml`; their names, where there is no file."""
    return partial(load_yaml(path).where, "gateway") if path.is_file() else unplaced


def compile_routes(
    settings: GatewaySettings,
    make_provider: MakeProvider,
    connections: Sequence[ConnectionSpec],
    *,
    where: Where = unplaced,
) -> RouteTable:
    """Return the routes of a configuration, checked.

    Args:
        settings: The configuration; without routes, every connection that serves models and can be used is one.
        make_provider: From a connection's name to the vendor's side of it.
        connections: All connections of the project.
        where: From the keys of an entry below ``gateway`` to its ``file:line``.

    Raises:
        ConfigErrors: naming everything that is wrong.
    """
    specs = {spec.name: spec for spec in connections}
    if not settings.routes:
        return _by_connections(settings, make_provider, specs)
    providers = check_settings(settings, connections, make_provider, where=where)
    routes: dict[str, Route] = {}
    for name, route in settings.routes.items():
        made = Route(
            name=name,
            settings=route,
            deployments=tuple(
                Deployment(
                    id=deployment_id(name, item, specs[item.connection]),
                    model=deployment_model(name, item, specs[item.connection]),
                    provider=providers[item.connection],
                    settings=item,
                )
                for item in route.deployments
            ),
        )
        routes |= dict.fromkeys((name, *route.aliases), made)
    return RouteTable(settings=settings, routes=routes, open_routes={}, skipped={})


def check_settings(
    settings: GatewaySettings,
    connections: Sequence[ConnectionSpec],
    resolve: Callable[[str], T],
    *,
    trusted: Collection[str] = (),
    where: Where = unplaced,
) -> dict[str, T]:
    """Refuse a configuration that must not be.

    Args:
        settings: The configuration.
        connections: All connections of the project.
        resolve: Makes something of each connection that is used; a ``UserError`` means that it cannot be used.
        trusted: Connections that are not resolved.
        where: From the keys of an entry below ``gateway`` to its ``file:line``.

    Returns:
        What was made of each connection.

    Raises:
        ConfigErrors: naming everything that is wrong.
    """
    specs = {spec.name: spec for spec in connections}
    problems = [problem for name in settings.routes for problem in check_route(name, settings, specs, where)]
    problems += check_whole(settings, specs, where)
    names = {item.connection for route in settings.routes.values() for item in route.deployments}
    made, broken = _made(sorted(names.intersection(specs).difference(trusted)), resolve)
    problems += [
        ConfigError(
            f"the connection '{name}' cannot be used: {error.message}",
            where=error.where,
            expected=error.expected,
            fix=error.fix,
        )
        for name, error in broken.items()
        if specs[name].kind.serves_models
    ]
    if problems:
        raise ConfigErrors(problems)
    return made


def _made(names: Iterable[str], make: Callable[[str], T]) -> tuple[dict[str, T], dict[str, UserError]]:
    """Make something of each connection once; and what kept it from being made."""
    made: dict[str, T] = {}
    broken: dict[str, UserError] = {}
    for name in names:
        try:
            made[name] = make(name)
        except UserError as error:
            broken[name] = error
    return made, broken


def _by_connections(
    settings: GatewaySettings, make_provider: MakeProvider, specs: Mapping[str, ConnectionSpec]
) -> RouteTable:
    usable = [name for name, spec in specs.items() if spec.kind.serves_models]
    providers, broken = _made(usable, make_provider)
    routes: dict[str, Route] = {}
    open_routes: dict[str, Route] = {}
    for name, provider in providers.items():
        spec = specs[name]
        model = own_model(spec)
        if model or spec.type in SINGLE:
            routes[name] = _single(name, name, model, provider)
        open_routes[name] = _single(f"{name}/*", name, "", provider)
    return RouteTable(
        settings=settings,
        routes=routes,
        open_routes=open_routes,
        skipped={name: str(error) for name, error in broken.items()},
    )


def _single(route: str, connection: str, model: str, provider: Provider) -> Route:
    deployment = DeploymentSettings(connection=connection, model=model)
    made = Deployment(id=connection, model=model, provider=provider, settings=deployment)
    return Route(name=route, settings=RouteSettings(deployments=(deployment,)), deployments=(made,))
