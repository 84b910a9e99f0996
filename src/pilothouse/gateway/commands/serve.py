"""`gateway serve`: every model of the project behind one address."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

import click
from msgspec.structs import replace

from pilothouse.core import plugins
from pilothouse.core.errors import UserError
from pilothouse.core.services import Services
from pilothouse.gateway.settings import GatewaySettings

_NEEDED = ("uvicorn", "uvloop", "httptools", "prometheus_client")


def load_server() -> Any:
    """Return what serves, which comes with an extra.

    Raises:
        UserError: when the extra is not installed.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"the gateway needs {' and '.join(missing)}, which is not installed",
            fix='pip install "pilothouse[gateway]"',
        )
    return plugins.load("servers", "gateway")


def chosen(services: Services, given: dict[str, Any]) -> GatewaySettings:
    """Return the project's settings with what was given on the command line on top."""
    return replace(services.settings.section(GatewaySettings), **{k: v for k, v in given.items() if v is not None})


_HOST = click.option("--host", help="Address to listen on; gateway.host by default.")
_PORT = click.option("--port", type=click.IntRange(0, 65535), help="Its port; 0: a free one. gateway.port by default.")
_WORKERS = click.option("--workers", type=click.IntRange(min=1), help="Processes; gateway.workers by default.")

_DRAIN = click.option(
    "--drain", type=click.FloatRange(min=0), help="Seconds for calls in flight at the end; gateway.drain by default."
)


@click.command()
@_HOST
@_PORT
@_WORKERS
@_DRAIN
@click.pass_obj
def serve(services: Services, **given: Any) -> None:
    """Serve every model of the project behind one address.

    Ctrl-C ends it when all calls are answered, at most after --drain seconds; a second one at once. SIGHUP takes
    in pilothouse.yaml anew.
    """
    sys.exit(1 if load_server()(services, chosen(services, given), door="") else 0)
