"""`migrate runs`: the runs of prompt flow, to be shown, compared and evaluated here."""

from __future__ import annotations

from pathlib import Path

import click
from msgspec import Struct
from rich.text import Text

from pilothouse.access.types import Actor
from pilothouse.core.errors import Conflict, NotFound, UserError, nearest_hint
from pilothouse.core.services import Services
from pilothouse.core.terminal import console, emit_json, progress, table
from pilothouse.experiments.migration.history.adoption import adopt
from pilothouse.experiments.migration.history.books import home_folder, known_runs
from pilothouse.experiments.migration.history.bringing import as_rows, as_run
from pilothouse.experiments.migration.history.folder import is_run_folder, read_folder
from pilothouse.experiments.migration.history.types import Facts
from pilothouse.experiments.runs.service import RunService


class Brought(Struct, frozen=True, kw_only=True):
    """What became of one run; ``reason`` says why it was not brought over, ``exists`` that it was here already."""

    name: str
    status: str = ""
    rows: int = 0
    failed: int = 0
    reason: str = ""
    exists: bool = False


@click.command()
@click.argument("names", nargs=-1)
@click.option(
    "--from", "source", type=click.Path(path_type=Path), help="Prompt flow's folder, or that of one run; ~/.promptflow."
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON for programs.")
@click.pass_obj
def runs(services: Services, names: tuple[str, ...], source: Path | None, as_json: bool) -> None:
    """Bring runs of prompt flow over, all or those of NAMES, with their rows and metrics.

    They can be shown, compared, evaluated and verified against. Ends with 1 when one could not be brought over.
    """
    known = _known(source or home_folder(services.settings.environment))
    for name in names:
        if name not in known:
            raise NotFound(f"prompt flow has no run '{name}'", expected=nearest_hint(name, known))
    wanted = [facts for name, facts in known.items() if not names or name in names]
    done: list[Brought] = []
    with progress() as bar:
        task = bar.add_task("bringing runs over", total=len(wanted))
        for facts in wanted:
            done.append(_bring(services, facts))
            bar.advance(task)
    if as_json:
        emit_json(done)
    else:
        _print(done)
    if any(item.reason and not item.exists for item in done):
        raise click.exceptions.Exit(1)


def _known(source: Path) -> dict[str, Facts]:
    if source.is_dir() and is_run_folder(source):
        return {source.name: Facts(name=source.name, folder=str(source))}
    known = {facts.name: facts for facts in known_runs(source)}
    if not known:
        raise NotFound(
            "there are no runs of prompt flow",
            where=str(source),
            expected="pf.sqlite or .runs/ in it",
            fix="name another folder with --from",
        )
    return known


def _bring(services: Services, facts: Facts) -> Brought:
    here = {run.name: run.id for run in services.get(RunService).list()}
    if facts.name in here:
        return Brought(name=facts.name, reason="there is a run of that name", exists=True)
    try:
        recording = read_folder(Path(facts.folder), facts)
        run = as_run(recording, actor=services.get(Actor), now=services.clock.now(), sources=here)
        run = adopt(services, run, as_rows(recording))
    except Conflict as error:
        return Brought(name=facts.name, reason=error.message, exists=True)
    except UserError as error:
        return Brought(name=facts.name, reason=error.message)
    return Brought(name=run.name, status=run.status, rows=run.counts.done, failed=run.counts.failed)


def _print(done: list[Brought]) -> None:
    screen = console()
    rows = [
        (item.name, item.status or ("left alone" if item.exists else "not brought"), item.rows, item.failed)
        for item in done
    ]
    screen.print(table(None, ("run", "status", ">rows", ">failed"), rows))
    for item in done:
        if item.reason:
            screen.print(Text(f"{item.name}: {item.reason}"))
    if any(not item.reason for item in done):
        screen.print("next: pilothouse run list    (pilothouse migrate verify FLOW --against RUN)", markup=False)
