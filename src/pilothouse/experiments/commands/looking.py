"""`pilothouse experiment list`, `show` and `report`."""

from __future__ import annotations

import webbrowser

import click

from pilothouse.core.services import Services
from pilothouse.core.terminal import console, emit_json, table
from pilothouse.datasets.composite import parts_of
from pilothouse.experiments.analysis.facts import settings_text
from pilothouse.experiments.commands import options
from pilothouse.experiments.reports.terminal import terminal_report
from pilothouse.experiments.service import ExperimentService
from pilothouse.experiments.types import Experiment, ExperimentRecord, ExperimentRun


@click.command()
@click.argument("ref", default="latest")
@click.option("--open", "opened", is_flag=True, help="Open the page in the browser.")
@click.pass_obj
def report(services: Services, ref: str, opened: bool) -> None:
    """Write the reports of the experiment REF again.

    REF is a name, name:number, an id, the beginning of one, or 'latest'.
    """
    files = services.get(ExperimentService).report(ref)
    for path in (files.html, files.rows, files.summary):
        click.echo(options.shown(path))
    if opened:
        webbrowser.open(files.html.resolve().as_uri())


@click.command(name="list")
@click.option("--limit", type=click.IntRange(1), default=30, show_default=True, help="The latest experiments.")
@options.as_json
@click.pass_obj
def list_(services: Services, limit: int, as_json: bool) -> None:
    """List experiments, the latest first."""
    found = services.get(ExperimentService).list(limit)
    if as_json:
        emit_json(found)
        return
    if not found:
        console().print("there is no experiment yet: pilothouse experiment run FILE", markup=False)
        return
    rows = [
        [item.ref, item.status, len(item.definition.variants), f"{item.updated_at:%Y-%m-%d %H:%M}", item.report or ""]
        for item in found
    ]
    console().print(table(None, ["experiment", "status", ">variants", "last run (UTC)", "report"], rows))


@click.command()
@click.argument("ref", default="latest")
@options.as_json
@click.pass_obj
def show(services: Services, ref: str, as_json: bool) -> None:
    """Show the experiment REF and what it found.

    REF is a name, name:number, an id, the beginning of one, or 'latest'.
    """
    experiments = services.get(ExperimentService)
    record = experiments.get(ref)
    found = experiments.comparison(ref) if record.comparison is not None else None
    if as_json:
        emit_json({"record": record, "comparison": found})
        return
    _print_record(record)
    if found is not None:
        for part in terminal_report(found):
            console().print(part)


def _print_record(record: ExperimentRecord) -> None:
    rows = [
        ["status", record.status],
        ["file", record.definition.path or ""],
        ["flow", record.definition.flow],
        *_data(record.definition),
        ["last run", f"{record.updated_at:%Y-%m-%d %H:%M} UTC"],
        ["report", record.report or ""],
        *([f"run {link.variant.name}", _run(link)] for link in record.runs),
    ]
    console().print(table(f"Experiment {record.ref}", ["", ""], rows))


def _data(asked: Experiment) -> list[list[str]]:
    if not asked.datasets:
        return [["data", asked.data]]
    return [[f"data {name}", part.data] for name, part in parts_of(asked.data).items()]


def _run(link: ExperimentRun) -> str:
    settings = settings_text(link.variant)
    return f"{link.run} ({settings})" if settings else link.run
