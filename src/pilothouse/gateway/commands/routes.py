"""`gateway route`: routes and versions of the configuration in the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import click
import msgspec
from rich.text import Text

from pilothouse.access.types import Actor
from pilothouse.core.errors import ConfigError
from pilothouse.core.services import Services
from pilothouse.core.terminal import console, emit_json, table
from pilothouse.core.yaml import load_yaml
from pilothouse.gateway.admin.changing import Verb, change_config, configuration, reweigh
from pilothouse.gateway.commands.options import json_option, shares, shown_moment
from pilothouse.gateway.config.naming import deployment_id
from pilothouse.gateway.config.service import ConfigService, route_name
from pilothouse.gateway.config.types import ActiveConfig, ConfigChange
from pilothouse.gateway.settings import GatewaySettings, RouteSettings
from pilothouse.models.service import ModelService

_note = click.option("--note", default="", help="Why; kept with the version.")


@click.group()
def route() -> None:
    """What clients call, and what stands behind it.

    Changes hold at once, without a restart.
    """


@route.command("list")
@json_option
@click.pass_obj
def list_(services: Services, as_json: bool) -> None:
    """List the routes in force."""
    settings, number = _in_force(services)
    if as_json:
        emit_json({"version": number, "routes": settings.routes})
        return
    if not settings.routes:
        console().print("No routes are configured: every connection that serves models is one, as connection/model.")
        return
    rows = [
        (name, item.strategy, ", ".join(_weighted(services, name, item)), ", ".join(item.fallback) or "-")
        for name, item in settings.routes.items()
    ]
    title = f"version {number}" if number is not None else "pilothouse.yaml; no gateway was started yet"
    console().print(table(title, ("route", "strategy", "deployments (weight)", "fallback"), rows))


@route.command()
@click.argument("name", metavar="ROUTE")
@json_option
@click.pass_obj
def show(services: Services, name: str, as_json: bool) -> None:
    """Show one route, defaults included."""
    settings, number = _in_force(services)
    found = settings.routes[route_name(settings, name)]
    if as_json:
        emit_json({"version": number, "route": found})
        return
    for field, value in msgspec.to_builtins(found).items():
        shown = ", ".join(_weighted(services, name, found)) if field == "deployments" else _plain(value)
        console().print(Text(f"{field:<18}  {shown}"), soft_wrap=True)


@route.command()
@click.argument("name", metavar="ROUTE")
@click.argument("weights", nargs=-1, required=True, metavar="DEPLOYMENT=WEIGHT...")
@_note
@json_option
@click.pass_obj
def weights(services: Services, name: str, weights: tuple[str, ...], note: str, as_json: bool) -> None:
    """Change weights of a route's deployments; those that are not named keep theirs."""
    _change(services, *reweigh("weights", name, shares(weights, "weights"), note), as_json=as_json)


@route.command()
@click.argument("name", metavar="ROUTE")
@click.argument("arms", nargs=-1, required=True, metavar="ARM=WEIGHT...")
@_note
@json_option
@click.pass_obj
def arms(services: Services, name: str, arms: tuple[str, ...], note: str, as_json: bool) -> None:
    """Change weights of the arms of a route's experiment."""
    _change(services, *reweigh("arms", name, shares(arms, "arms"), note), as_json=as_json)


@route.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@_note
@json_option
@click.pass_obj
def apply(services: Services, file: Path, note: str, as_json: bool) -> None:
    """Put the configuration of FILE in force: routes, limits, guards, capture, as below `gateway:`."""
    data: Any = load_yaml(file).data
    if not isinstance(data, dict):
        raise ConfigError("a configuration is a mapping", where=str(file), expected="routes, limits, guards, capture")
    document = cast("dict[str, Any]", data)
    inner = document.get("gateway", document)
    _change(
        services,
        "config.apply",
        lambda service, seen: service.apply(inner, note=note or file.name, expected=seen),
        as_json=as_json,
    )


@route.command()
@click.argument("number", type=click.IntRange(min=1), required=False)
@json_option
@click.pass_obj
def rollback(services: Services, number: int | None, as_json: bool) -> None:
    """Put an earlier version in force again; without NUMBER the one before the last change."""
    _change(
        services,
        "config.rollback",
        lambda service, seen: service.rollback(number, expected=seen),
        as_json=as_json,
    )


@route.command()
@click.option("--moves", is_flag=True, help="What was in force from when on, in place of the versions.")
@json_option
@click.pass_obj
def history(services: Services, moves: bool, as_json: bool) -> None:
    """List the versions of the configuration."""
    service = services.get(ConfigService)
    if moves:
        walked = service.history()
        if as_json:
            emit_json(walked)
            return
        rows = [(shown_moment(move.changed_at), move.previous or "-", move.number, move.actor) for move in walked]
        console().print(table(None, ("when (UTC)", ">from", ">to", "by"), rows))
        return
    found = service.versions()
    if as_json:
        emit_json(found)
    elif found:
        lines = [
            (item.number, shown_moment(item.created_at), item.actor, item.origin, item.note, "*" if item.active else "")
            for item in found
        ]
        console().print(table(None, (">version", "made (UTC)", "by", "from", "note", "in force"), lines))
    else:
        console().print("No configuration was ever in force. Start one: pilothouse gateway serve")


@route.command()
@click.argument("before", type=click.IntRange(min=1), required=False)
@click.argument("after", type=click.IntRange(min=1), required=False)
@json_option
@click.pass_obj
def diff(services: Services, before: int | None, after: int | None, as_json: bool) -> None:
    """Show where two versions differ; by default what the last change did, or BEFORE against what is in force."""
    service = services.get(ConfigService)
    number = service.active().version.number
    if before is None:
        moves = service.history()
        before = (moves[-1].previous if moves else None) or number
    found = service.diff(before, after or number)
    if as_json:
        emit_json(found)
        return
    console().print(f"from version {before} to {after or number}" + ("" if found else ": no difference"))
    _show_changes(found)


def _in_force(services: Services) -> tuple[GatewaySettings, int | None]:
    active = configuration(services)
    if active is None:
        return services.settings.section(GatewaySettings), None
    return active.settings, active.version.number


def _weighted(services: Services, name: str, item: RouteSettings) -> list[str]:
    specs = {spec.name: spec for spec in services.get(ModelService).files.all()}
    return [
        f"{deployment_id(name, each, specs[each.connection]) if each.connection in specs else each.connection}"
        f" ({each.weight:g}{f', priority {each.priority}' if each.priority else ''})"
        for each in item.deployments
    ]


def _change(services: Services, action: str, verb: Verb, *, as_json: bool) -> ActiveConfig:
    before = configuration(services)
    after = change_config(services, services.get(Actor), action, verb)
    changes = services.get(ConfigService).diff(before.version.number, after.version.number) if before else ()
    if as_json:
        emit_json({"version": after.version, "changes": changes})
    elif before is not None and before.version.number == after.version.number:
        console().print(f"That is in force already, as version {after.version.number}.")
    else:
        console().print(f"Version {after.version.number} is in force.")
        _show_changes(changes)
    return after


def _show_changes(changes: tuple[ConfigChange, ...]) -> None:
    for change in changes:
        line = f"  {change.path}: {_plain(change.before)} > {_plain(change.after)}"
        console().print(Text(line), soft_wrap=True)


def _plain(value: object) -> str:
    return value if isinstance(value, str) and value.isprintable() else msgspec.json.encode(value).decode()
