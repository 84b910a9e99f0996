"""`run cancel`: stop a run from another process."""

from __future__ import annotations

import time

import click

from pilothouse.core.errors import Conflict
from pilothouse.core.services import Services
from pilothouse.core.terminal import console, emit_json
from pilothouse.experiments.runs.commands.options import record_option
from pilothouse.experiments.runs.service import RunService
from pilothouse.experiments.runs.settings import RunSettings
from pilothouse.experiments.runs.types import Run

#: Seconds between two looks, and how many more than the rows in flight may take the process has to end.
LOOK = 0.1
PATIENCE = 10.0


@click.command()
@click.argument("ref")
@click.option("--now", "at_once", is_flag=True, help="Leave rows in flight as they are, as a second Ctrl-C does.")
@click.option("--no-wait", is_flag=True, help="Ask, and do not wait until it has stopped.")
@record_option
@click.pass_obj
def cancel(services: Services, ref: str, at_once: bool, no_wait: bool, as_json: bool) -> None:
    """Stop the run REF, whatever process works on it; its rows are kept, and it can be resumed."""
    runs = services.get(RunService)
    before = runs.get(ref)
    recorded = runs.cancel(before.id, at_once=at_once)
    if recorded.status == "running" and not no_wait:
        patience = PATIENCE + (0.0 if at_once else services.settings.section(RunSettings).grace)
        recorded = _wait(runs, recorded, patience, at_once=at_once)
    if as_json:
        emit_json(recorded)
    else:
        console().print(_said(before, recorded), markup=False, soft_wrap=True)


def _wait(runs: RunService, asked: Run, patience: float, *, at_once: bool) -> Run:
    """Wait until the run has stopped; the request is made again where it was met before the process looked for it."""
    until = time.monotonic() + patience
    while (found := runs.cancel(asked.id, at_once=at_once)).status == "running":
        if time.monotonic() > until:
            raise Conflict(
                f"the run '{asked.name}' was asked to stop and has not yet",
                fix=f"wait (pilothouse run stream {asked.name}), or pilothouse run cancel {asked.name} --now",
            )
        time.sleep(LOOK)
    return found


def _said(before: Run, after: Run) -> str:
    rows = f"{after.counts.done:,} rows are kept; pilothouse run resume {after.name}"
    if before.status == "interrupted":
        return f"{after.name}: its process is gone; interrupted, {rows}"
    if before.status != "running":
        return f"{after.name} has ended already: {after.status}"
    if after.status == "running":
        return f"{after.name} was asked to stop; pilothouse run stream {after.name}"
    if after.status not in ("cancelled", "interrupted"):
        return f"{after.name} ended before it could be stopped: {after.status}"
    return f"{after.name}: {after.status}, {rows}"
