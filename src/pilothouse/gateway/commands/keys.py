"""`gateway key`: virtual keys in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, get_args

import click
from rich.text import Text

from pilothouse.access.keys.service import KeyService
from pilothouse.access.keys.types import Issued, Key, KeyDraft
from pilothouse.access.roles import ROLES
from pilothouse.core.errors import UserError
from pilothouse.core.services import Services
from pilothouse.core.terminal import console, emit_json, table
from pilothouse.gateway.commands.options import json_option, moment, shown_moment, span
from pilothouse.gateway.types import Operation

_OPERATIONS = get_args(Operation)


@click.group()
def key() -> None:
    """Keys that callers and administrators show."""


_organisation = click.option("--organisation", "--org", help="To whom it belongs; none: a key of the whole gateway.")
_team = click.option("--team", help="The team within the organisation.")
_user = click.option("--user", help="The person or service within the team.")
_use_case = click.option("--use-case", help="What it is for, so that spend can be told apart.")
_role = click.option("--role", type=click.Choice(ROLES), help="What it may do; caller by default.")
_model = click.option("--model", "models", multiple=True, metavar="PATTERN", help="Routes it may call, as 'gpt-*'.")
_operation = click.option(
    "--operation", "operations", multiple=True, type=click.Choice(_OPERATIONS), help="What it may ask of a model."
)
_expires = click.option("--expires", metavar="WHEN", help="30d, 2027-01-31, or a time with its zone.")


@key.command()
@click.argument("name")
@_organisation
@_team
@_user
@_use_case
@_role
@_model
@_operation
@_expires
@json_option
@click.pass_obj
def create(services: Services, name: str, expires: str | None, as_json: bool, **given: Any) -> None:
    """Make a key called NAME; its secret is shown this once."""
    changes = {field: value for field, value in given.items() if value}
    if expires is not None:
        changes["expires_at"] = moment(expires, "--expires", services.clock.now(), ahead=True)
    _show_issued(services.get(KeyService).create(KeyDraft(name=name, **changes)), as_json=as_json)


@key.command("list")
@_organisation
@click.option("--all", "with_ended", is_flag=True, help="Revoked and expired ones, too.")
@json_option
@click.pass_obj
def list_(services: Services, organisation: str | None, with_ended: bool, as_json: bool) -> None:
    """List the keys that open something."""
    now = services.clock.now()
    every = services.get(KeyService).list(organisation)
    found = every if with_ended else [item for item in every if item.state(now) == "active"]
    if as_json:
        emit_json([_data(item, now) for item in found])
        return
    if found:
        columns = ("name", "begins", "role", "whose", "models", "state", "last used")
        console().print(table(None, columns, [_row(item, now) for item in found]))
    else:
        console().print("There are no keys. Make one: pilothouse gateway key create NAME")
    hidden = len(every) - len(found)
    if hidden:
        console().print(f"{hidden} revoked or expired; see them with --all.")


@key.command()
@click.argument("ref", metavar="KEY")
@json_option
@click.pass_obj
def show(services: Services, ref: str, as_json: bool) -> None:
    """Show one key by its name or id."""
    _show(services.get(KeyService).show(ref), services.clock.now(), as_json=as_json)


@key.command()
@click.argument("ref", metavar="KEY")
@click.option("--grace", default="24h", show_default=True, metavar="TIME", help="How long the old secret still opens.")
@json_option
@click.pass_obj
def rotate(services: Services, ref: str, grace: str, as_json: bool) -> None:
    """Give a key a new secret, shown this once; its id, limits and spend go on."""
    _show_issued(services.get(KeyService).rotate(ref, grace=span(grace, "--grace")), as_json=as_json)


@key.command()
@click.argument("ref", metavar="KEY")
@json_option
@click.pass_obj
def revoke(services: Services, ref: str, as_json: bool) -> None:
    """Revoke a key, at once and for good."""
    revoked = services.get(KeyService).revoke(ref)
    if as_json:
        emit_json(_data(revoked, services.clock.now()))
    else:
        console().print(f"{revoked.name} is revoked; every process knows within a second.")


@key.command()
@click.argument("ref", metavar="KEY")
@click.option("--name", help="Another name.")
@_organisation
@_team
@_user
@_use_case
@_role
@_model
@click.option("--all-models", is_flag=True, help="It may call every route.")
@_operation
@click.option("--all-operations", is_flag=True, help="It may ask for everything.")
@_expires
@click.option("--never-expires", is_flag=True, help="It does not expire.")
@json_option
@click.pass_obj
def update(
    services: Services,
    ref: str,
    all_models: bool,
    all_operations: bool,
    expires: str | None,
    never_expires: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Change what a key may do, or whose it is; what is not named stays."""
    changes = {field: value for field, value in given.items() if value not in (None, ())}
    if expires is not None:
        changes["expires_at"] = moment(expires, "--expires", services.clock.now(), ahead=True)
    for is_cleared, field, empty in (
        (all_models, "models", ()),
        (all_operations, "operations", ()),
        (never_expires, "expires_at", None),
    ):
        if is_cleared and field in changes:
            raise UserError(f"{field} cannot be set and cleared at once")
        if is_cleared:
            changes[field] = empty
    if not changes:
        raise UserError("nothing is to be changed", expected="an option such as --role or --model")
    _show(services.get(KeyService).update(ref, changes), services.clock.now(), as_json=as_json)


def _show_issued(issued: Issued, *, as_json: bool) -> None:
    if as_json:
        emit_json({"key": issued.key, "secret": issued.secret.reveal()})
        return
    # The secret alone goes to standard output, so that a script can take it from there.
    notes = console(stderr=True)
    notes.print(Text(f"{issued.key.name} ({issued.key.id}): keep this secret, it is not shown again."), soft_wrap=True)
    if issued.key.old_until is not None:
        notes.print(f"The old one ({issued.key.rotated_from}...) opens until {shown_moment(issued.key.old_until)} UTC.")
    click.echo(issued.secret.reveal())


def _show(found: Key, now: datetime, *, as_json: bool) -> None:
    if as_json:
        emit_json(_data(found, now))
        return
    rows: Sequence[tuple[str, str]] = (
        ("name", found.name),
        ("id", found.id),
        ("state", found.state(now)),
        ("begins", f"{found.prefix}..."),
        ("role", found.role),
        ("organisation", found.organisation or "-"),
        ("team", found.team or "-"),
        ("user", found.user or "-"),
        ("use case", found.use_case or "-"),
        ("models", ", ".join(found.models) or "all"),
        ("operations", ", ".join(found.operations) or "all"),
        ("expires", shown_moment(found.expires_at) or "never"),
        ("made", f"{shown_moment(found.created_at)} by {found.created_by}"),
        ("rotated", shown_moment(found.rotated_at) or "never"),
        ("revoked", shown_moment(found.revoked_at) or "no"),
        ("last used", str(found.last_used or "never")),
    )
    for name, value in rows:
        console().print(Text(f"{name:<12}  {value}"), soft_wrap=True)


def _row(item: Key, now: datetime) -> tuple[str, ...]:
    whose = "/".join(part for part in (item.organisation, item.team, item.user) if part)
    state = item.state(now)
    if state == "active" and item.expires_at is not None:
        state = f"until {item.expires_at:%Y-%m-%d}"
    models = ", ".join(item.models) or "all"
    return item.name, item.prefix, item.role, whose or "-", models, state, str(item.last_used or "-")


def _data(item: Key, now: datetime) -> dict[str, Any]:
    return {**{field: getattr(item, field) for field in item.__struct_fields__}, "state": item.state(now)}
