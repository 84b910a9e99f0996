"""Read and check the tamper-evident log of who changed what."""

from __future__ import annotations

import re
from typing import Any

import click
import msgspec

from pilothouse.access.audit.service import AuditService
from pilothouse.access.audit.types import Anchor, AuditEntry
from pilothouse.core.errors import UserError
from pilothouse.core.services import Services
from pilothouse.core.terminal import console, emit_json, table

_ANCHOR = re.compile(r"([1-9][0-9]{0,17}):([0-9a-f]{64})")
_VALUE = 40

json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON for programs.")


@click.group()
def audit() -> None:
    """Who changed keys and the gateway's configuration, and when; each row seals the one before it."""


@audit.command("list")
@click.argument("target", required=False)
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many rows at most.")
@click.option("--before", type=click.IntRange(min=1), metavar="NUMBER", help="Only rows before this one.")
@json_option
@click.pass_obj
def list_(services: Services, target: str | None, limit: int, before: int | None, as_json: bool) -> None:
    """List rows, the newest first; TARGET is a thing, as key/ci, or a kind, as key."""
    found = services.get(AuditService).list(limit=limit, target=target, before=before)
    if as_json:
        emit_json(found)
    elif found:
        columns = (">row", "when (UTC)", "who", "what", "to what", "changed")
        console().print(table(None, columns, [_row(entry) for entry in found]))
    else:
        console().print("Nothing was changed yet." if target is None else f"No row is about {target}.")


@audit.command()
@click.option("--against", metavar="ROW:HASH", help="A row and its hash that were noted elsewhere.")
@json_option
@click.pass_obj
def verify(services: Services, against: str | None, as_json: bool) -> None:
    """Check every row against the one before it; leave with 1 when one is not what was written.

    Note the last line of a sound log where whoever can write the database cannot write, and give it with --against
    later: this also finds rows cut off at the end, and a log that was rewritten as a whole.
    """
    verdict = services.get(AuditService).verify(_anchor(against))
    if as_json:
        emit_json(verdict)
    elif verdict.broken is not None:
        console().print(f"Row {verdict.broken} is broken: {verdict.reason}. The {verdict.rows} before it are sound.")
    else:
        console().print(f"All {verdict.rows} rows are sound.")
        if verdict.rows:
            console().print(f"{verdict.rows}:{verdict.head}", soft_wrap=True)
    if verdict.broken is not None:
        raise click.exceptions.Exit(1)


def _anchor(text: str | None) -> Anchor | None:
    if text is None:
        return None
    match = _ANCHOR.fullmatch(text.strip())
    if match is None:
        raise UserError(f"'{text[:80]}' is no row and hash", where="--against", expected="the last line of a sound log")
    return Anchor(number=int(match[1]), hash=match[2])


def _row(entry: AuditEntry) -> tuple[object, ...]:
    change = entry.change
    who = change.actor.name if change.actor.kind == "person" else f"service:{change.actor.name}"
    return entry.number, f"{change.at:%Y-%m-%d %H:%M:%S}", who, change.action, change.target, _changed(entry)


def _changed(entry: AuditEntry) -> str:
    before, after = entry.change.before or {}, entry.change.after or {}
    if not before:
        return ""
    names = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
    return ", ".join(f"{name}: {_short(before.get(name))} > {_short(after.get(name))}" for name in names)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) and value.isprintable() and value else msgspec.json.encode(value).decode()
    return text if len(text) <= _VALUE else text[: _VALUE - 3] + "..."
