"""`run show`: the record of a run, its rows, one row with all its nodes."""

from __future__ import annotations

from itertools import islice

import click
import msgspec

from pilothouse.core.services import Services
from pilothouse.core.terminal import console, emit_json, table
from pilothouse.experiments.runs.commands.printing import (
    as_text,
    error_text,
    print_summary,
    shortened,
    some_rows,
)
from pilothouse.experiments.runs.service import RunService
from pilothouse.experiments.runs.types import RunRow


@click.command()
@click.argument("ref", default="latest")
@click.option("--rows", "with_rows", is_flag=True, help="Show the rows.")
@click.option("--failed", is_flag=True, help="Show the rows without an answer.")
@click.option("--line", help="Show one row with all its nodes, by its id.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Rows shown at most.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: the record, or one row a line.")
@click.pass_obj
def show(
    services: Services, ref: str, with_rows: bool, failed: bool, line: str | None, limit: int, as_json: bool
) -> None:
    """Show the run REF (name, id or 'latest'), and its rows."""
    runs = services.get(RunService)
    found = runs.get(ref)
    if not with_rows and not failed and line is None:
        if as_json:
            emit_json(found)
        else:
            print_summary(runs, found)
        return
    rows = some_rows(runs, found, failed=failed) if line is None else iter(runs.line(found, line))
    if as_json:
        for row in rows:
            click.echo(msgspec.json.encode(row))
        return
    if line is not None:
        for row in rows:
            _open(row)
        return
    shown = list(islice(rows, limit + 1))
    console().print(
        table(f"Rows of {found.name}", ["line", "status", ">s", "outputs or error"], map(_cells, shown[:limit]))
    )
    if len(shown) > limit:
        console().print(f"the first {limit}; --limit N shows more, --json all", markup=False)


def _open(row: RunRow) -> None:
    out = console()
    nodes = [[node.node, node.status, f"{node.duration:.3f}", shortened(as_text(node.output))] for node in row.nodes]
    out.print(table(f"Row {row.line_id}, {row.status}", ["node", "status", ">s", "output"], nodes))
    out.print(f"inputs: {as_text(row.inputs)}\noutputs: {as_text(row.outputs)}", markup=False)
    if row.error is not None:
        out.print(f"error: {error_text(row)}\n{row.error.traceback or ''}".rstrip(), markup=False)
    for note in row.notes:
        out.print(f"note: {note}", markup=False)
    if row.trace_id is not None:
        out.print(f"next: pilothouse trace show {row.trace_id[:12]}", markup=False)


def _cells(row: RunRow) -> list[str]:
    text = as_text(row.outputs) if row.status == "completed" else error_text(row)
    number = row.line_id if not row.repeat else f"{row.line_id} #{row.repeat + 1}"
    return [number, row.status, f"{row.duration:.2f}", shortened(text)]
