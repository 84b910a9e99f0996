"""`review serve`: the queue in a browser."""

from __future__ import annotations

import importlib.util
import secrets
from typing import Any

import click

from pilothouse.access.types import Actor
from pilothouse.core import plugins
from pilothouse.core.errors import UserError
from pilothouse.core.services import Services
from pilothouse.evaluation.annotation.service import ReviewService
from pilothouse.experiments.annotation.people import person
from pilothouse.experiments.annotation.web.types import Desk
from pilothouse.flows.commands.printing import print_at_once

_NEEDED = ("starlette", "uvicorn")


@click.command()
@click.argument("queue")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8090, show_default=True, help="Its port; 0: a free one.")
@click.option("--open", "is_opened", is_flag=True, help="Open the page in a browser.")
@click.option("--allow-host", multiple=True, metavar="NAME", help="A further name by which this server is called.")
@click.option("--as", "name", metavar="NAME", help="Everybody labels under this name; each gives their own otherwise.")
@click.pass_obj
def serve(services: Services, queue: str, name: str | None, **given: Any) -> None:
    """Serve pages on which the QUEUE is labelled.

    Only this machine is served by default. On another address everybody needs the token that is printed once.
    """
    missing = [module for module in _NEEDED if importlib.util.find_spec(module) is None]
    if missing:
        raise UserError(
            f"pages need {' and '.join(missing)}, which is not installed", fix='pip install "pilothouse[serve]"'
        )
    run = plugins.load("servers", "review")
    found = services.get(ReviewService).get(queue)
    print_at_once()
    desk = Desk(
        queue=found.name,
        host=given["host"],
        port=given["port"],
        is_opened=given["is_opened"],
        hosts=tuple(given["allow_host"]),
        reviewer=person(name, services.get(Actor)) if name is not None else None,
    )
    if not desk.is_local:
        desk = desk.with_token(secrets.token_urlsafe(24))
    run(services, desk)
