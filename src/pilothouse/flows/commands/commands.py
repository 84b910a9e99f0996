"""Flows of the project: list, look at one, try it on an input."""

from __future__ import annotations

import click

from pilothouse.flows.commands import listing
from pilothouse.flows.commands.build import build
from pilothouse.flows.commands.init import init
from pilothouse.flows.commands.test import test
from pilothouse.flows.commands.tools import tools
from pilothouse.flows.commands.validate import validate


@click.group()
def flow() -> None:
    """Flows of the project: list, look at one, try it on an input."""


for command in (init, listing.list_, listing.show, test, validate, tools, build):
    flow.add_command(command)
