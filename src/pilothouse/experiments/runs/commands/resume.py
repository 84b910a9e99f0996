"""`run resume`: go on with a run."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import click

from pilothouse.core.services import Services
from pilothouse.core.terminal import console
from pilothouse.experiments.runs.commands.options import (
    compute_option,
    isolation_option,
    record_option,
    workers_option,
)
from pilothouse.experiments.runs.commands.printing import finish
from pilothouse.experiments.runs.commands.watching import OnProgress, watch
from pilothouse.experiments.runs.interrupts import Stop
from pilothouse.experiments.runs.service import RunService
from pilothouse.experiments.runs.types import Place, Run


@click.command()
@click.argument("ref")
@click.option("--failed-only", is_flag=True, help="Run failed rows again, not those that were never begun.")
@click.option("--force", is_flag=True, help="Go on though the flow or the data changed.")
@isolation_option
@compute_option
@workers_option
@record_option
@click.pass_obj
def resume(services: Services, ref: str, failed_only: bool, force: bool, as_json: bool, **where: Any) -> int:
    """Run the rows of REF that have no answer yet, and aggregate again.

    `run create --resume-from REF` does the same as a new run and leaves REF as it is.
    """
    runs = services.get(RunService)
    if runs.get(ref).status == "completed":
        console(stderr=True).print("every row has its answer already: nothing was run", markup=False)

    def work(stop: Stop, show: OnProgress) -> Coroutine[Any, Any, Run]:
        return runs.resume(ref, failed_only=failed_only, force=force, place=Place(**where), stop=stop, on_progress=show)

    return finish(runs, watch(services, work, prints_aside=as_json), as_json=as_json)
