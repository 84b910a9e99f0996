"""Pages over runs, as verbs of `pilothouse run`."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import click

from pilothouse.core.errors import UserError
from pilothouse.core.services import Services
from pilothouse.core.storage.files import write_atomic
from pilothouse.experiments.reports.runs import runs_page
from pilothouse.experiments.reports.selection import MOST_ROWS
from pilothouse.experiments.runs.service import RunService

PAGES = "pages"


@click.command()
@click.argument("refs", nargs=-1, required=True, metavar="RUN...")
@click.option("--output", "-o", type=click.Path(path_type=Path, dir_okay=False), help="The file to write.")
@click.option("--max-results", type=click.IntRange(0), default=MOST_ROWS, show_default=True, help="Rows on the page.")
@click.option("--open", "is_opened", is_flag=True, help="Open it in a browser.")
@click.pass_obj
def visualize(
    services: Services, refs: tuple[str, ...], output: Path | None, max_results: int, is_opened: bool
) -> None:
    """Write one self-contained HTML page of one run, or of several side by side."""
    runs = services.get(RunService)
    found = [runs.get(ref) for ref in refs]
    twice = next((run.name for place, run in enumerate(found) if run.id in {it.id for it in found[:place]}), None)
    if twice is not None:
        raise UserError(f"the run '{twice}' is named twice", expected="different runs")
    made = runs_page(found, runs.rows, services.clock.now(), max_results)
    name = found[0].name if len(found) == 1 else f"{found[0].name}-and-{len(found) - 1}-more"
    path = output if output is not None else services.state / PAGES / f"{name}.html"
    write_atomic(path, made)
    click.echo(str(path))
    if is_opened:
        webbrowser.open(path.resolve().as_uri())
