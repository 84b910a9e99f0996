"""Serve everything: the gateway's calls, and the API that looks after it."""

from __future__ import annotations

import sys
from typing import Any

import click

from pilothouse.core.services import Services
from pilothouse.gateway.commands.serve import chosen, load_server


@click.command()
@click.option("--host", help="Address to listen on; gateway.host by default.")
@click.option("--port", type=click.IntRange(0, 65535), help="Its port; 0: a free one. gateway.port by default.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes; gateway.workers by default.")
@click.option("--drain", type=click.FloatRange(min=0), help="Seconds that calls have to end; gateway.drain by default.")
@click.pass_obj
def serve(services: Services, **given: Any) -> None:
    """Serve the gateway at /v1 and its API at /api/v1, described at /api/v1/openapi.json.

    `pilothouse gateway serve` serves the gateway alone. Ctrl-C ends it when all calls are answered.
    """
    sys.exit(1 if load_server()(services, chosen(services, given), door="front") else 0)
