"""Try variants of a flow on data, compare them, gate and report."""

from __future__ import annotations

import click

from pilothouse.experiments.commands import bless, compare, gate, looking, plan, run
from pilothouse.experiments.tracking.commands.importing import import_
from pilothouse.experiments.tracking.commands.log import log


@click.group()
def experiment() -> None:
    """Try variants of a flow on data, compare them, gate and report."""


for command in (
    run.run,
    plan.plan,
    compare.compare,
    looking.list_,
    looking.show,
    looking.report,
    gate.gate,
    bless.bless,
    log,
    import_,
):
    experiment.add_command(command)
