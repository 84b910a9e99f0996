"""One process that listens: it answers until a signal, then finishes what is in flight."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Generator
from types import FrameType
from typing import Any

import uvicorn

from pilothouse.gateway.serving.protocol import GatewayProtocol
from pilothouse.gateway.settings import GatewaySettings

_BACKLOG = 2048


class GatewayServer(uvicorn.Server):
    """Ends on the first signal when all calls in flight are answered or the drain time is over, on the second at once.

    Args:
        app: The application.
        settings: The limits.
        leave: Called when the end is asked for.
        begin_drain: Called when the end begins: no new call is taken from here on.
        in_flight: Tells how many calls are under way.
        announce: Called when calls are taken.
        reload: Called on SIGHUP.
        incident: Told of what is refused before it is a request, by kind.

    Attributes:
        cut: Calls that were broken off.
    """

    def __init__(
        self,
        app: Any,
        settings: GatewaySettings,
        *,
        leave: Callable[[], None] = lambda: None,
        begin_drain: Callable[[], None],
        in_flight: Callable[[], int],
        announce: Callable[[], None],
        reload: Callable[[], None],
        incident: Callable[[str], None] = lambda _kind: None,
    ) -> None:
        own = {"head_timeout": settings.head_timeout, "incident": staticmethod(incident)}
        protocol = type("Protocol", (GatewayProtocol,), own)
        super().__init__(
            uvicorn.Config(
                app,
                http=protocol,
                loop="none",
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="critical",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                date_header=False,
                backlog=_BACKLOG,
                limit_concurrency=settings.connections,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=max(1, round(settings.drain)),
            )
        )
        self._notice = settings.notice
        self._leave = leave
        self._begin_drain = begin_drain
        self._in_flight = in_flight
        self._announce = announce
        self._reload = reload
        self.cut = 0

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Take the signals while the server runs; unlike uvicorn, do not raise them again: this end is a good one."""
        if threading.current_thread() is not threading.main_thread():
            yield  # signals belong to the main thread; who embeds a server ends it
            return
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in numbers}
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, self._handle_reload)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain; the second time, end."""
        self._leave()
        self.force_exit = self.should_exit
        self.should_exit = True

    def _handle_reload(self, _number: int, _frame: FrameType | None) -> None:
        self._reload()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, and say so."""
        await super().startup(sockets)
        self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let it be noticed, stop listening, and wait for what is in flight."""
        until = time.monotonic() + self._notice
        while time.monotonic() < until and not self.force_exit:  # noqa: ASYNC110
            await asyncio.sleep(0.05)  # a signal's handler cannot set an event
        self._begin_drain()
        running = self._in_flight()
        if running:
            sys.stderr.write(f"ending: {running} calls are in flight; a second signal cuts them\n")
        await super().shutdown(sockets)
        self.cut = self._in_flight()
