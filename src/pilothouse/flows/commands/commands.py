"""Flows of the project: list, look at one, try it on an input, serve it."""

from __future__ import annotations

import click

from pilothouse.flows.commands import listing
from pilothouse.flows.commands.serve import serve
from pilothouse.flows.commands.test import test


@click.group()
def flow() -> None:
    """Flows of the project: list, look at one, try it on an input."""


for command in (listing.list_, listing.show, test, serve):
    flow.add_command(command)
