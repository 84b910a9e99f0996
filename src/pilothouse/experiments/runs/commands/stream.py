"""`run stream`: follow a run that another process is working on."""

from __future__ import annotations

import time

import click
from msgspec.structs import replace

from pilothouse.core.errors import Interrupted
from pilothouse.core.services import Services
from pilothouse.experiments.runs.commands.options import record_option
from pilothouse.experiments.runs.commands.printing import finish
from pilothouse.experiments.runs.commands.watching import display
from pilothouse.experiments.runs.service import RunService
from pilothouse.experiments.runs.types import Run

#: Seconds between two looks at the journal.
LOOK = 0.2


@click.command()
@click.argument("ref", default="latest")
@record_option
@click.pass_obj
def stream(services: Services, ref: str, as_json: bool) -> int:
    """Follow the run REF until it ends, then tell how, with its exit code; Ctrl-C ends only the following."""
    runs = services.get(RunService)
    found = runs.get(ref)
    if found.status == "running":
        try:
            _follow(runs, found)
        except KeyboardInterrupt:
            raise Interrupted(
                f"no longer following '{found.name}', which goes on",
                fix=f"pilothouse run stream {found.name}, or pilothouse run cancel {found.name}",
            ) from None
    return finish(runs, runs.get(found.id), as_json=as_json)


def _follow(runs: RunService, found: Run) -> None:
    follower = runs.follow(found)
    with display() as show:
        while runs.is_worked_on(found):
            show(follower.glance())
            time.sleep(LOOK)
        show(replace(follower.glance(), phase="done"))
