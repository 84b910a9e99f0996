"""Serving: one process in the foreground, or several behind one listening socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from msgspec.structs import replace

from pilothouse.core.errors import UserError
from pilothouse.core.extras import require
from pilothouse.core.services import Services
from pilothouse.gateway.assembly import Gateway
from pilothouse.gateway.serving.probes import Application, ProbedGateway
from pilothouse.gateway.serving.server import GatewayServer

_BACKLOG = 2048

Wrap = Callable[[Application], Application]
"""Puts further pages round the gateway's application."""


@contextmanager
def listening(host: str, port: int) -> Generator[socket.socket]:
    """Give a socket that listens.

    Raises:
        UserError: when the address cannot be listened on.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        raise UserError(
            f"cannot listen on {host}, port {port}: {error}", fix="choose another --port, or 0 for a free one"
        ) from error
    with listener:
        yield listener


def serve(
    services: Services,
    listener: socket.socket,
    announce: Callable[[Gateway], None],
    wrap: Wrap | None = None,
    exposition: Callable[[Gateway], bytes] | None = None,
    *,
    drain: float | None = None,
) -> int:
    """Serve in this process until a signal ends it.

    Args:
        services: The project.
        listener: Where calls come in.
        announce: Called when calls are taken.
        wrap: Puts further pages round the gateway.
        exposition: Returns all figures; those of this process by default.
        drain: Seconds that calls in flight are given at the end; as configured by default.

    Returns:
        Calls that were cut at the end.

    Raises:
        ConfigError: when the configuration cannot be used.
    """
    loops: Any = require("uvloop", extra="gateway", purpose="the gateway")
    with asyncio.Runner(loop_factory=loops.new_event_loop) as runner:
        return runner.run(_serve(services, listener, announce, wrap, exposition, drain))


async def _serve(
    services: Services,
    listener: socket.socket,
    announce: Callable[[Gateway], None],
    wrap: Wrap | None,
    exposition: Callable[[Gateway], bytes] | None,
    drain: float | None,
) -> int:
    gateway = Gateway(services, listener.getsockname()[0])
    plane = gateway.plane
    app: Application = ProbedGateway(
        gateway, lambda: exposition(gateway) if exposition else gateway.metrics.exposition()
    )

    def leave() -> None:
        gateway.is_leaving = True

    def begin_drain() -> None:
        plane.is_draining = True

    server = GatewayServer(
        app if wrap is None else wrap(app),
        gateway.settings if drain is None else replace(gateway.settings, drain=drain),
        leave=leave,
        begin_drain=begin_drain,
        in_flight=lambda: plane.in_flight,
        announce=lambda: announce(gateway),
        reload=gateway.reload,
        incident=gateway.metrics.incident,
    )
    try:
        await gateway.open()
        await server.serve([listener])
    finally:
        await gateway.aclose()
    return server.cut
