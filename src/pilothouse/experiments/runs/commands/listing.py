"""`run list`."""

from __future__ import annotations

import click

from pilothouse.core.errors import UserError
from pilothouse.core.services import Services
from pilothouse.core.terminal import console, emit_json, table
from pilothouse.experiments.runs.commands.options import all_option, most_option
from pilothouse.experiments.runs.commands.printing import taken
from pilothouse.experiments.runs.service import RunService
from pilothouse.experiments.runs.types import Run


@click.command(name="list")
@click.option("--experiment", help="Only runs of this experiment.")
@most_option
@all_option
@click.option("--include-archived", is_flag=True, help="Archived runs too.")
@click.option("--archived-only", is_flag=True, help="Archived runs alone.")
@click.option("--json", "as_json", is_flag=True, help="Print the records as JSON.")
@click.pass_obj
def list_(
    services: Services,
    experiment: str | None,
    limit: int,
    all_results: bool,
    include_archived: bool,
    archived_only: bool,
    as_json: bool,
) -> None:
    """List runs, the latest first."""
    if include_archived and archived_only:
        raise UserError("--include-archived and --archived-only are given", expected="one of them")
    archived = True if archived_only else None if include_archived else False
    most = None if all_results else limit + 1
    runs = services.get(RunService)
    found = runs.list(experiment=experiment, archived=archived, limit=most)
    shown = found if all_results else found[:limit]
    if as_json:
        emit_json(shown)
        return
    console().print(table(None, ["run", "status", ">rows", ">time"], map(_listed, shown)))
    if len(found) > len(shown):
        console().print(f"the latest {limit}; --all-results shows all", markup=False)
    if not found:
        console().print(_nothing(runs, archived, experiment), markup=False)


def _nothing(runs: RunService, archived: bool | None, experiment: str | None) -> str:
    if archived:
        return "no run is archived"
    if runs.list(experiment=experiment, limit=1):
        return "all runs are archived; --include-archived shows them"
    if experiment is not None:
        return f"the experiment '{experiment}' has no runs"
    return "there is no run yet: pilothouse run create --flow PATH --data FILE"


def _listed(found: Run) -> list[str]:
    total = found.counts.total if found.counts.total is not None else found.counts.done
    status = f"{found.status}, archived" if found.archived else found.status
    return [found.name, status, f"{found.counts.completed:,}/{total:,}", taken(found)]
