"""From settings to routes; whatever is wrong is told at once, each with its place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from pilothouse.core.errors import ConfigError, UserError
from pilothouse.gateway.config.checks import Where, check_route, check_whole
from pilothouse.gateway.config.naming import SINGLE, deployment_id, deployment_model, own_model
from pilothouse.gateway.config.types import ConfigErrors, RouteTable
from pilothouse.gateway.providers.interface import Provider
from pilothouse.gateway.routing.types import Deployment, Route
from pilothouse.gateway.settings import DeploymentSettings, GatewaySettings, RouteSettings
from pilothouse.models.connections import ConnectionSpec

MakeProvider = Callable[[str], Provider]


def unplaced(*keys: str | int) -> str:
    """Return the place of an entry where no file is known."""
    return ".".join(("gateway", *map(str, keys)))


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
    problems = [problem for name in settings.routes for problem in check_route(name, settings, specs, where)]
    problems += check_whole(settings, specs, where)
    providers, broken = _providers(settings.routes, specs, make_provider)
    problems += [
        ConfigError(
            f"the connection '{name}' cannot be used: {error.message}", where=error.where, expected=error.expected,
            fix=error.fix,
        )
        for name, error in broken.items()
    ]  # fmt: skip
    if problems:
        raise ConfigErrors(problems)
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


def _providers(
    routes: Mapping[str, RouteSettings], specs: Mapping[str, ConnectionSpec], make_provider: MakeProvider
) -> tuple[dict[str, Provider], dict[str, UserError]]:
    """Make each connection's provider once; those that cannot be made, with their reason."""
    names = {item.connection for route in routes.values() for item in route.deployments}
    return _made(sorted(names & set(specs)), make_provider)


def _made(names: Iterable[str], make_provider: MakeProvider) -> tuple[dict[str, Provider], dict[str, UserError]]:
    made: dict[str, Provider] = {}
    broken: dict[str, UserError] = {}
    for name in names:
        try:
            made[name] = make_provider(name)
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
