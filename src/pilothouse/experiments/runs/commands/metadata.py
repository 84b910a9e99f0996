"""`run update`, `run archive`, `run restore`, `run delete`."""

from __future__ import annotations

import click

from pilothouse.core.errors import UserError, nearest_hint
from pilothouse.core.services import Services
from pilothouse.core.terminal import emit_json
from pilothouse.experiments.runs.commands.options import record_option
from pilothouse.experiments.runs.runfile import parse_pairs
from pilothouse.experiments.runs.service import RunService

_WORDS = ("display_name", "description")


@click.command()
@click.argument("ref")
@click.option("--set", "settings", multiple=True, required=True, help="display_name=, description= or tags.KEY=VALUE.")
@record_option
@click.pass_obj
def update(services: Services, ref: str, settings: tuple[str, ...], as_json: bool) -> None:
    """Give the run REF another display name, description or tags; what it did stays as it was."""
    words: dict[str, str] = {}
    tags: dict[str, str] = {}
    for key, text in parse_pairs(settings, "--set").items():
        if key in _WORDS:
            words[key] = text
        elif key.startswith("tags.") and key != "tags.":
            tags[key.removeprefix("tags.")] = text
        else:
            hint = nearest_hint(key, (*_WORDS, "tags.KEY"))
            raise UserError(f"'{key}' of a run cannot be changed", where="--set", expected=hint)
    changed = services.get(RunService).update(ref, **words, tags=tags)
    if as_json:
        emit_json(changed)
    else:
        click.echo(f"changed {changed.name}")


@click.command()
@click.argument("ref")
@record_option
@click.pass_obj
def archive(services: Services, ref: str, as_json: bool) -> None:
    """Leave the run REF out of lists; nothing of it is lost."""
    changed = services.get(RunService).archive(ref)
    if as_json:
        emit_json(changed)
    else:
        click.echo(f"archived {changed.name}; back with: pilothouse run restore {changed.name}")


@click.command()
@click.argument("ref")
@record_option
@click.pass_obj
def restore(services: Services, ref: str, as_json: bool) -> None:
    """Take the archived run REF back into lists."""
    changed = services.get(RunService).archive(ref, archived=False)
    if as_json:
        emit_json(changed)
    else:
        click.echo(f"restored {changed.name}")


@click.command()
@click.argument("ref")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.pass_obj
def delete(services: Services, ref: str, yes: bool) -> None:
    """Delete the run REF and its rows."""
    runs = services.get(RunService)
    found = runs.get(ref)
    if not yes:
        click.confirm(f"delete the run '{found.name}' and its {found.counts.done:,} rows?", abort=True)
    runs.delete(found.id)
    click.echo(f"deleted {found.name}")
