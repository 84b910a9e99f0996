"""Flows of the project: start one, look at it, check it, try it, serve it, build it."""

from __future__ import annotations

import click

from pilothouse.flows.commands import listing
from pilothouse.flows.commands.build import build
from pilothouse.flows.commands.init import init
from pilothouse.flows.commands.serve import serve
from pilothouse.flows.commands.test import test
from pilothouse.flows.commands.tools import tools
from pilothouse.flows.commands.validate import validate


class _InOrder(click.Group):
    """Lists its verbs in the order in which a flow's life goes through them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_InOrder)
def flow() -> None:
    """Flows of the project: start one, look at it, check it, try it, serve it, build it."""


for command in (init, listing.list_, listing.show, validate, test, serve, build, tools):
    flow.add_command(command)
