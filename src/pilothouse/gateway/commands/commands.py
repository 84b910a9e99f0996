"""Serve models to every client, and look after routes, keys, budgets and spend."""

from __future__ import annotations

import click

from pilothouse.gateway.commands.budgets import budget
from pilothouse.gateway.commands.explain import explain
from pilothouse.gateway.commands.keys import key
from pilothouse.gateway.commands.ledger import ledger, stats
from pilothouse.gateway.commands.replay import replay
from pilothouse.gateway.commands.routes import route
from pilothouse.gateway.commands.serve import serve


@click.group()
def gateway() -> None:
    """One address in front of every model: routes, keys, limits and what calls cost."""


for command in (serve, key, route, budget, ledger, stats, explain, replay):
    gateway.add_command(command)
