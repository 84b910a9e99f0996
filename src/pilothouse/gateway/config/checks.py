"""What a configuration must not say, beyond the types of its fields."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from math import isfinite
from typing import get_args

from pilothouse.core.errors import ConfigError, nearest_hint
from pilothouse.gateway.config.naming import deployment_id, deployment_model
from pilothouse.gateway.routing.conditions import TENANT_PARTS
from pilothouse.gateway.settings import DeploymentSettings, GatewaySettings, RouteSettings, TrafficExperiment
from pilothouse.gateway.types import Wire
from pilothouse.models.connections import ConnectionSpec

Where = Callable[..., str]
"""From the keys of an entry to its ``file:line``."""

Specs = Mapping[str, ConnectionSpec]

_LONGEST_NAME = 200
_SLACK = 1e-9


def check_route(name: str, settings: GatewaySettings, specs: Specs, where: Where) -> Iterator[ConfigError]:
    """Yield what is wrong with one route."""
    route = settings.routes[name]
    if not name.strip() or name != name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        yield ConfigError(
            f"{name[:80]!r} cannot be the name of a route",
            where=where("routes", name),
            expected=f"1 to {_LONGEST_NAME} printable letters, no blank at its ends",
        )
    yield from _check_deployments(name, route, specs, where)
    for place, target in enumerate(route.fallback):
        known = _names(settings) - {name, *route.aliases}
        if target not in known:
            itself = target == name or target in route.aliases
            yield ConfigError(
                f"the route '{name}' falls back to " + ("itself" if itself else f"'{target}', which is no route"),
                where=where("routes", name, "fallback", place),
                expected=nearest_hint(target, known),
            )
    for place, guard in enumerate(route.guards):
        if guard not in settings.guards:
            yield ConfigError(
                f"the route '{name}' names the guard '{guard}', which does not exist",
                where=where("routes", name, "guards", place),
                expected=nearest_hint(guard, settings.guards),
            )
    if route.semantic_cache is not None and route.semantic_cache.connection not in specs:
        yield _unknown_connection(
            route.semantic_cache.connection, specs, where("routes", name, "semantic_cache", "connection")
        )
    known_ids = [found for item in route.deployments if (found := _id(name, item, specs))]
    if route.shadow is not None and route.shadow.deployment not in known_ids:
        yield ConfigError(
            f"the shadow of the route '{name}' goes to '{route.shadow.deployment}', which is none of its deployments",
            where=where("routes", name, "shadow", "deployment"),
            expected=nearest_hint(route.shadow.deployment, known_ids),
        )
    if route.experiment is not None:
        serving = {found for item in route.deployments if item.weight > 0 and (found := _id(name, item, specs))}
        at = partial(where, "routes", name, "experiment")
        yield from _check_experiment(route.experiment, known_ids, serving, at)


def check_whole(settings: GatewaySettings, specs: Specs, where: Where) -> Iterator[ConfigError]:
    """Yield what is wrong between routes."""
    yield from _check_aliases(settings, where)
    yield from _check_ids(settings, specs, where)
    yield from _check_namespaces(settings, where)
    for place, rule in enumerate(settings.limits):
        target = rule.match.get("route")
        if settings.routes and target is not None and target not in settings.routes:
            yield ConfigError(
                f"a limit is on the route '{target}', which does not exist: it would limit nothing",
                where=where("limits", place, "match", "route"),
                expected=nearest_hint(target, settings.routes),
            )


def _check_deployments(name: str, route: RouteSettings, specs: Specs, where: Where) -> Iterator[ConfigError]:
    if not any(item.weight > 0 for item in route.deployments):
        yield ConfigError(
            f"the route '{name}' has " + ("only deployments of weight 0" if route.deployments else "no deployment"),
            where=where("routes", name, "deployments"),
            expected="one at least with a weight above 0",
        )
    seen: dict[str, int] = {}
    for place, item in enumerate(route.deployments):
        at = ("routes", name, "deployments", place)
        spec = specs.get(item.connection)
        if spec is None:
            yield _unknown_connection(item.connection, specs, where(*at, "connection"))
            continue
        if not spec.kind.serves_models:
            yield ConfigError(
                f"the connection '{item.connection}' is of type {spec.type}: there are no models behind it",
                where=where(*at, "connection"),
                expected=nearest_hint(item.connection, _serving(specs)),
            )
        found = deployment_id(name, item, spec)
        if found in seen:
            yield ConfigError(
                f"the route '{name}' has two deployments called '{found}'",
                where=where(*at),
                expected=f"another name than that of {where(*at[:-1], seen[found])}",
                fix="give each a name",
            )
        seen.setdefault(found, place)
        yield from _check_deployment(item, partial(where, *at))


def _check_deployment(item: DeploymentSettings, where: Where) -> Iterator[ConfigError]:
    if not isfinite(item.weight):
        yield ConfigError(f"{item.weight} is not a weight", where=where("weight"), expected="a finite number")
    for place, wire in enumerate(item.wires or ()):
        if wire not in get_args(Wire):
            yield ConfigError(
                f"'{wire}' is not a form", where=where("wires", place), expected=nearest_hint(wire, get_args(Wire))
            )
    for part in item.when.tenant if item.when is not None else ():
        if part not in TENANT_PARTS:
            yield ConfigError(
                f"a tenant has no '{part}'",
                where=where("when", "tenant", part),
                expected=nearest_hint(part, TENANT_PARTS),
            )


def _check_experiment(
    experiment: TrafficExperiment, known: list[str], serving: set[str], where: Where
) -> Iterator[ConfigError]:
    arms = experiment.arms
    if not experiment.name.strip():
        yield ConfigError("an experiment needs a name", where=where("name"), expected="one that no other has")
    if not sum(arms.values()) > 0 or not isfinite(sum(arms.values())):
        yield ConfigError(
            f"the experiment '{experiment.name}' has no arm with a weight above 0",
            where=where("arms"),
            expected="arm: weight",
        )
    for arm, names in experiment.deployments.items():
        if arm not in arms:
            yield ConfigError(
                f"the experiment '{experiment.name}' has no arm '{arm}'",
                where=where("deployments", arm),
                expected=nearest_hint(arm, arms),
            )
        for place, name in enumerate(names):
            if name not in known:
                yield ConfigError(
                    f"the arm '{arm}' uses '{name}', which is none of the route's deployments",
                    where=where("deployments", arm, place),
                    expected=nearest_hint(name, known),
                )
        if arms.get(arm, 0) > 0 and not serving & set(names) and set(names) <= set(known):
            yield ConfigError(
                f"the arm '{arm}' has no deployment with a weight above 0: its calls would all be refused",
                where=where("deployments", arm),
                expected="one at least; a deployment of a higher priority serves an arm and is else a fallback",
            )
    if experiment.bandit is not None and experiment.bandit.floor * len(arms) > 1 + _SLACK:
        yield ConfigError(
            f"a floor of {experiment.bandit.floor} for each of {len(arms)} arms is more than all there is",
            where=where("bandit", "floor"),
            expected=f"at most {1 / len(arms):.4g}",
        )


def _check_aliases(settings: GatewaySettings, where: Where) -> Iterator[ConfigError]:
    owner = {name: name for name in settings.routes}
    for name, route in settings.routes.items():
        for place, alias in enumerate(route.aliases):
            if alias in owner:
                yield ConfigError(
                    f"the alias '{alias}' of the route '{name}' is taken by the route '{owner[alias]}'",
                    where=where("routes", name, "aliases", place),
                )
            owner.setdefault(alias, name)


def _check_ids(settings: GatewaySettings, specs: Specs, where: Where) -> Iterator[ConfigError]:
    """Health is kept by id over all routes, so an id means one thing."""
    meaning: dict[str, tuple[str, str, str]] = {}
    for name, route in settings.routes.items():
        for place, item in enumerate(route.deployments):
            found = _id(name, item, specs)
            if not found:
                continue
            model = deployment_model(name, item, specs[item.connection])
            first = meaning.setdefault(found, (item.connection, model, name))
            if first[:2] != (item.connection, model):
                yield ConfigError(
                    f"'{found}' means {item.connection}/{model} here and {first[0]}/{first[1]} in the route "
                    f"'{first[2]}'",
                    where=where("routes", name, "deployments", place),
                    fix="give one of them another name",
                )


def _check_namespaces(settings: GatewaySettings, where: Where) -> Iterator[ConfigError]:
    users: dict[str, str] = {}
    taken: dict[str, float] = {}
    for name, route in settings.routes.items():
        experiment = route.experiment
        if experiment is None:
            continue
        other = users.setdefault(experiment.name, name)
        if other != name:
            yield ConfigError(
                f"the experiment '{experiment.name}' stands in the route '{other}', too",
                where=where("routes", name, "experiment", "name"),
                fix="give it a name of its own",
            )
        if not experiment.namespace:
            continue
        before = taken.get(experiment.namespace, 0.0)
        taken[experiment.namespace] = before + experiment.traffic
        if before + experiment.traffic > 1 + _SLACK:
            yield ConfigError(
                f"the experiments of the namespace '{experiment.namespace}' take more than all units",
                where=where("routes", name, "experiment", "traffic"),
                expected=f"at most {max(0.0, 1 - before):.4g}",
            )


def _id(route: str, deployment: DeploymentSettings, specs: Specs) -> str:
    spec = specs.get(deployment.connection)
    return deployment_id(route, deployment, spec) if spec is not None else deployment.name


def _names(settings: GatewaySettings) -> set[str]:
    return {name for key, route in settings.routes.items() for name in (key, *route.aliases)}


def _serving(specs: Specs) -> Iterable[str]:
    return [name for name, spec in specs.items() if spec.kind.serves_models]


def _unknown_connection(name: str, specs: Specs, where: str) -> ConfigError:
    return ConfigError(f"there is no connection '{name}'", where=where, expected=nearest_hint(name, _serving(specs)))
