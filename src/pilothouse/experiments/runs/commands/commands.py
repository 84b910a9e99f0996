"""Run a flow over data, follow and open runs, resume, compare and export them."""

from __future__ import annotations

import click

from pilothouse.core.terminal import VerbGroup
from pilothouse.experiments.runs.commands import (
    cancel,
    create,
    details,
    export,
    listing,
    metadata,
    resume,
    show,
    stream,
)


# Pages over several runs are made by a room that stands above this one.
@click.group(cls=VerbGroup, more="run_verbs")
def run() -> None:
    """Run a flow over data, follow and open runs, resume, compare and export them."""


for command in (
    create.create,
    resume.resume,
    stream.stream,
    cancel.cancel,
    listing.list_,
    show.show,
    details.show_details,
    details.show_metrics,
    export.export,
    metadata.update,
    metadata.archive,
    metadata.restore,
    metadata.delete,
):
    run.add_command(command)
