"""Run a flow over data, follow and open runs, resume, compare and export them."""

from __future__ import annotations

from typing import Any

import click

from pilothouse.core import plugins
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

#: Entry points that add verbs: pages over several runs are made by a room that stands above this one.
MORE = "run_verbs"


class RunGroup(click.Group):
    """The verbs of this room, and those that other rooms add."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all verbs."""
        return sorted({*super().list_commands(ctx), *plugins.names(MORE)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return one verb."""
        found: Any = super().get_command(ctx, cmd_name)
        return plugins.load(MORE, cmd_name) if found is None and cmd_name in plugins.names(MORE) else found


@click.group(cls=RunGroup)
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
