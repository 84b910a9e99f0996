"""The server of review pages: listening, saying where, and ending on a signal."""

from __future__ import annotations

import contextlib
import signal
import socket
import webbrowser
from collections.abc import Callable, Generator

import click
import uvicorn

from pilothouse.core.errors import UserError
from pilothouse.core.services import Services
from pilothouse.evaluation.annotation.service import ReviewService
from pilothouse.experiments.annotation.web.app import ReviewApp
from pilothouse.experiments.annotation.web.doors import TOKEN
from pilothouse.experiments.annotation.web.types import Desk


def serve(services: Services, desk: Desk) -> None:
    """Serve a queue until a signal ends it; requests in flight are answered.

    Raises:
        UserError: the address cannot be listened on.
        NotFound: there is no such queue.
    """
    app = ReviewApp(services.get(ReviewService), desk)
    try:
        family = socket.AF_INET6 if ":" in desk.host else socket.AF_INET
        listener = socket.create_server((desk.host, desk.port), family=family)
    except (OSError, OverflowError) as error:
        raise UserError(
            f"cannot listen on {desk.host}, port {desk.port}: {error}",
            fix="choose another --port, or 0 for a free one",
        ) from error
    host, port = listener.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
    if desk.token is not None:
        address += f"?{TOKEN}={desk.token.reveal()}"

    def announce() -> None:
        click.echo(f"{desk.queue} is reviewed on {address} (Ctrl-C ends it)")
        if desk.is_opened:
            webbrowser.open(address)

    with listener:
        _Server(app, announce).run([listener])


class _Server(uvicorn.Server):
    """Says when it takes requests, and takes a signal for a good end."""

    def __init__(self, app: ReviewApp, announce: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                loop="asyncio",
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="critical",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=5,
            )
        )
        self._announce = announce

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Take the signals while the server runs; unlike uvicorn, do not raise them again."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, and say so."""
        await super().startup(sockets)
        self._announce()
