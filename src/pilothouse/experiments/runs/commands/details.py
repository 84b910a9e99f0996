"""`run show-details` and `run show-metrics`."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import click
import msgspec

from pilothouse.core.errors import UserError
from pilothouse.core.services import Services
from pilothouse.core.terminal import console, emit_json, table
from pilothouse.experiments.runs.commands.options import all_option
from pilothouse.experiments.runs.commands.printing import shortened, visible
from pilothouse.experiments.runs.exports.details import STATUS, cell, csv_lines, details, write_details
from pilothouse.experiments.runs.service import RunService
from pilothouse.experiments.runs.types import RunRow

MOST = 100


@click.command("show-details")
@click.argument("ref", default="latest")
@click.option("--max-results", "-r", type=click.IntRange(1), default=MOST, show_default=True, help="Rows at most.")
@all_option
@click.option("--output", "-o", type=click.Path(path_type=Path, file_okay=False), help="Write details.csv and .jsonl.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a row.")
@click.pass_obj
def show_details(
    services: Services,
    ref: str,
    max_results: int,
    all_results: bool,
    output: Path | None,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Show the inputs and outputs of the run REF, row by row, a column for each."""
    if as_csv and as_json:
        raise UserError("--csv and --json are given", expected="one of them")
    runs = services.get(RunService)
    found = runs.get(ref)
    most = None if all_results else max_results

    def rows() -> Iterable[RunRow]:
        return islice(runs.rows(found), most)

    if output is not None:
        for path in write_details(rows, found.repeat, output):
            click.echo(str(path))
    elif as_json:
        for row in details(rows, found.repeat):
            click.echo(msgspec.json.encode(row))
    elif as_csv:
        # What a terminal would obey stays in the file that this is written to.
        for line in csv_lines(details(rows, found.repeat)):
            click.echo(line, nl=False, color=True)
    else:
        _print(list(details(rows, found.repeat)))
    if most is not None and found.counts.done > most:
        console(stderr=True).print(f"the first {most:,} of {found.counts.done:,} rows; --all-results gives all")


@click.command("show-metrics")
@click.argument("ref", default="latest")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def show_metrics(services: Services, ref: str, as_json: bool) -> None:
    """Show the metrics that the aggregation of the run REF logged."""
    found = services.get(RunService).get(ref)
    if as_json:
        emit_json(found.metrics)
    elif found.metrics:
        rows = [[name, f"{value:.6g}"] for name, value in found.metrics.items()]
        console().print(table(f"Metrics of {found.name}", ["metric", ">value"], rows))
    if not found.metrics:
        told = "its flow logged none" if found.status in ("completed", "completed_with_errors") else found.status
        console(stderr=True).print(f"{found.name} has no metrics: {told}", markup=False)


def _print(rows: list[dict[str, Any]]) -> None:
    columns = [column for column in (rows[0] if rows else {}) if column != STATUS]
    cells = ([visible(shortened(cell(row[column]))) for column in columns] for row in rows)
    console().print(table(None, columns, cells) if rows else "the run has no rows yet")
