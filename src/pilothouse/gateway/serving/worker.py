"""One process of several; started by ``workers``."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from pathlib import Path

from pilothouse.core import plugins
from pilothouse.core.errors import PilothouseError
from pilothouse.core.extras import require
from pilothouse.gateway.assembly import Gateway
from pilothouse.gateway.serving.run import Wrap, serve
from pilothouse.gateway.serving.workers import READY


def main(root: str, listener: str, folder: str, door: str, drain: str, alive: str) -> int:
    """Serve on a socket that was handed over.

    Args:
        root: The project's folder.
        listener: The number of the socket's descriptor.
        folder: Where the figures of all processes meet, and where this one says that it is ready.
        door: Name of the plug-in that puts further pages round the gateway; empty for none.
        drain: Seconds that calls in flight are given at the end.
        alive: The number of a descriptor that ends with the process that watches over the workers.

    Returns:
        Calls that were cut at the end, at most 100.
    """
    threading.Thread(target=_end_with, args=(int(alive),), name="parent", daemon=True).start()
    workspace = plugins.load("workspaces", "project")(Path(root))
    with workspace, socket.socket(fileno=int(listener)) as shared:
        wrap: Wrap | None = plugins.load("servers", door)(workspace, shared.getsockname()[0]) if door else None

        def announce(_gateway: Gateway) -> None:
            (Path(folder) / f"{os.getpid()}.{READY}").touch()

        cut = serve(workspace, shared, announce, wrap, lambda _: all_figures(folder), drain=float(drain))
        return min(cut, 100)


def _end_with(descriptor: int) -> None:
    """End in good order when the parent is gone: nobody would replace, reload or end this process any more."""
    os.read(descriptor, 1)
    os.kill(os.getpid(), signal.SIGTERM)


def all_figures(folder: str) -> bytes:
    """Return the figures of every process that is or was."""
    prometheus = require("prometheus_client", extra="gateway", purpose="the gateway")
    several = require("prometheus_client.multiprocess", extra="gateway", purpose="the gateway")
    registry = prometheus.CollectorRegistry()
    several.MultiProcessCollector(registry, path=folder)
    return prometheus.generate_latest(registry)


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:7]))
    except PilothouseError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
