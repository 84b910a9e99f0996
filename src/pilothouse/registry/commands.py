"""Versions, their aliases and where they came from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import click
import msgspec
from rich.text import Text

from pilothouse.core.errors import UserError
from pilothouse.core.services import Services
from pilothouse.core.terminal import console, emit_json, table
from pilothouse.registry.service import RegistryService
from pilothouse.registry.types import AliasChange, Direction, Edge, Version, parse_reference

_DIGEST_SHOWN = 12
_ALIAS_EXAMPLES = """\b
registry alias dataset/sms:3 champion       point it at version 3
registry alias dataset/sms champion --back  undo the last move
registry alias dataset/sms                  list the aliases
registry alias dataset/sms --history        list their moves
"""

json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON for programs.")


@click.group()
def registry() -> None:
    """Versions, their aliases and where they came from.

    A version is written kind/name (the latest), kind/name:3, kind/name@alias or kind/name#DIGEST.
    """


@registry.command("list")
@click.argument("what", metavar="[KIND | KIND/NAME]", required=False)
@json_option
@click.pass_obj
def list_(services: Services, what: str | None, as_json: bool) -> None:
    """List the latest version of every name, or all versions of one name."""
    service = services.get(RegistryService)
    if what is not None and "/" in what:
        reference = parse_reference(what)
        found = service.versions(reference.kind, reference.name)
    else:
        found = service.list(what)
    if as_json:
        emit_json([_as_data(version) for version in found])
    elif found:
        rows = [(version.ref, version.digest[:_DIGEST_SHOWN], _when(version), version.actor) for version in found]
        console().print(table(None, ("version", "digest", "registered", "by"), rows))
    else:
        console().print("Nothing is registered yet. Datasets, flows and evaluators appear here when they are used.")


@registry.command()
@click.argument("ref")
@json_option
@click.pass_obj
def show(services: Services, ref: str, as_json: bool) -> None:
    """Show one version: digest, aliases and metadata."""
    service = services.get(RegistryService)
    version = service.resolve(ref)
    pointing = [
        alias for alias, number in service.aliases(version.kind, version.name).items() if number == version.number
    ]
    if as_json:
        emit_json({**_as_data(version), "aliases": pointing})
        return
    rows = [
        ("version", version.ref),
        ("digest", version.digest),
        ("registered", f"{_when(version)} by {version.actor}"),
        ("aliases", ", ".join(pointing) or "none"),
        *((key, _compact(value)) for key, value in sorted(version.metadata.items())),
    ]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        console().print(Text(f"{name:<{width}}  {value}"), soft_wrap=True)


@registry.command(epilog=_ALIAS_EXAMPLES)
@click.argument("ref")
@click.argument("alias", required=False)
@click.option("--remove", is_flag=True, help="Remove the alias; its history stays.")
@click.option("--back", is_flag=True, help="Point it where it pointed before its last move.")
@click.option("--history", is_flag=True, help="Show who moved it, when, from where, to where.")
@json_option
@click.pass_obj
def alias(
    services: Services, ref: str, alias: str | None, remove: bool, back: bool, history: bool, as_json: bool
) -> None:
    """Point ALIAS at the version REF; without ALIAS, list where the aliases point."""
    service = services.get(RegistryService)
    reference = parse_reference(ref)
    kind, name = reference.kind, reference.name
    if remove + back + history > 1:
        raise UserError("only one of --remove, --back and --history can be done at once")
    if history:
        changes = [change for change in service.alias_history(kind, name) if alias in (None, change.alias)]
        _show_changes(changes, as_json=as_json)
    elif alias is None:
        if remove or back:
            raise UserError(
                "which alias?", expected=f"registry alias {kind}/{name} ALIAS {'--remove' if remove else '--back'}"
            )
        service.versions(kind, name)
        _show_aliases(service.aliases(kind, name), as_json=as_json)
    elif remove:
        _say_change(service.remove_alias(kind, name, alias), as_json=as_json)
    elif back:
        _say_change(service.return_alias(kind, name, alias), as_json=as_json)
    else:
        version = service.resolve(ref)
        change = service.set_alias(kind, name, alias, version.number)
        if change is None and not as_json:
            console().print(f"{kind}/{name}@{alias} points at {version.ref} already.")
        else:
            _say_change(change, as_json=as_json)


@registry.command()
@click.argument("ref")
@click.option("--up", "direction", flag_value="up", help="Only what it was made from.")
@click.option("--down", "direction", flag_value="down", help="Only what was made from it.")
@click.option("--depth", type=click.IntRange(min=1), help="How many steps at most.")
@json_option
@click.pass_obj
def lineage(services: Services, ref: str, direction: Direction | None, depth: int | None, as_json: bool) -> None:
    """Show what a version was made from, and what was made from it."""
    service = services.get(RegistryService)
    version = service.resolve(ref)
    if as_json:
        edges = service.lineage(version.ref, direction or "both", depth=depth)
        emit_json({"ref": version.ref, "edges": edges})
        return
    screen = console()
    ways: tuple[tuple[Direction, str], ...] = (("up", "made from"), ("down", "led to"))
    for way, title in ways:
        if direction in (None, way):
            edges = service.lineage(version.ref, way, depth=depth)
            screen.print(f"{version.ref} {title}" + ("" if edges else " nothing"))
            for line in _branches(version.ref, edges, way):
                screen.print(Text(line), soft_wrap=True)  # a deep branch runs on: folding would eat the names


def _branches(root: str, edges: Sequence[Edge], way: Direction) -> Iterator[str]:
    """Yield the lines of a tree of edges away from ``root``; what was drawn is named again without its own branches."""
    leaving: dict[str, list[tuple[str, str]]] = {}
    for edge in edges:
        near, far = (edge.target, edge.source) if way == "up" else (edge.source, edge.target)
        leaving.setdefault(near, []).append((far, edge.relation))
    drawn = {root}
    pending = [("", leaving.get(root, []))]
    while pending:
        indent, siblings = pending.pop()
        if not siblings:
            continue
        (ref, relation), rest = siblings[0], siblings[1:]
        is_again = ref in drawn
        yield f"{indent}{'├─ ' if rest else '└─ '}{ref}  ({relation}{', see above' if is_again else ''})"
        pending.append((indent, rest))
        if not is_again:
            drawn.add(ref)
            pending.append((indent + ("│  " if rest else "   "), leaving.get(ref, [])))


def _show_aliases(pointing: dict[str, int], *, as_json: bool) -> None:
    if as_json:
        emit_json(pointing)
    elif pointing:
        console().print(table(None, ("alias", ">version"), list(pointing.items())))
    else:
        console().print("No alias points at it.")


def _show_changes(changes: Sequence[AliasChange], *, as_json: bool) -> None:
    if as_json:
        emit_json(changes)
        return
    rows = [
        (
            f"{change.changed_at:%Y-%m-%d %H:%M:%S}",
            change.alias,
            _number(change.previous),
            _number(change.number),
            change.actor,
        )
        for change in changes
    ]
    console().print(table(None, ("when (UTC)", "alias", ">from", ">to", "by"), rows))


def _say_change(change: AliasChange | None, *, as_json: bool) -> None:
    if as_json:
        emit_json(change)
    elif change is not None:
        place = f"{change.kind}/{change.name}@{change.alias}"
        before = f" (before: {change.previous})" if change.previous is not None else ""
        is_gone = change.number is None
        console().print(
            f"{place} was removed{before}." if is_gone else f"{place} points at version {change.number}{before}."
        )


def _number(number: int | None) -> str:
    return "-" if number is None else str(number)


def _as_data(version: Version) -> dict[str, Any]:
    return {"ref": version.ref, **msgspec.structs.asdict(version)}


def _when(version: Version) -> str:
    return f"{version.created_at:%Y-%m-%d %H:%M} UTC"


def _compact(value: object) -> str:
    return value if isinstance(value, str) and value.isprintable() else msgspec.json.encode(value).decode()
