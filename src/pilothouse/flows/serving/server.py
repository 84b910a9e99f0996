"""The server: listening, answering, and ending without breaking off what is in flight."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import webbrowser
from collections.abc import Callable, Generator
from types import FrameType
from typing import Any

import click
import uvicorn
from h11 import DONE, IDLE
from uvicorn.protocols.http.h11_impl import H11Protocol

from pilothouse.core.errors import PilothouseError, UserError
from pilothouse.core.services import Services
from pilothouse.flows.runner import FlowRunner
from pilothouse.flows.serving.app import FlowApp, secrets_of
from pilothouse.flows.serving.types import Site
from pilothouse.flows.settings import ServingSettings
from pilothouse.models.secret import Secret
from pilothouse.models.service import ModelService
from pilothouse.tracing.service import TracingService

_SPARE_CONNECTIONS = 512
_BACKLOG = 2048


def serve(services: Services, runner: FlowRunner, settings: ServingSettings, site: Site) -> int:
    """Serve a flow until a signal ends it.

    Returns:
        0 when every request in flight was answered whole, 1 when some were cut.

    Raises:
        UserError: when the address cannot be listened on.
        PilothouseError: when the flow cannot be opened.
    """
    with contextlib.closing(runner), _listening(site) as listener, contextlib.chdir(runner.open().folder):
        return asyncio.run(_serve(services, runner, settings, site, listener))


async def _serve(
    services: Services, runner: FlowRunner, settings: ServingSettings, site: Site, listener: socket.socket
) -> int:
    models = services.get(ModelService)
    app = FlowApp(
        runner,
        tracer=services.get(TracingService).tracer,
        settings=settings,
        site=site,
        secrets=_secrets(models),
    )
    host, port = listener.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}/"

    def announce() -> None:
        click.echo(f"{runner.flow.name} is served on {address} (Ctrl-C ends it)")
        if site.is_opened:
            webbrowser.open(address)

    server = FlowServer(app, settings, announce)
    try:
        await server.serve([listener])
    finally:
        await models.aclose()
    if server.cut:
        click.echo(f"{server.cut} requests were cut", err=True)
    return 1 if server.cut else 0


@contextlib.contextmanager
def _listening(site: Site) -> Generator[socket.socket]:
    try:
        family = socket.AF_INET6 if ":" in site.host else socket.AF_INET
        listener = socket.create_server((site.host, site.port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        raise UserError(
            f"cannot listen on {site.host}, port {site.port}: {error}", fix="choose another --port, or 0 for a free one"
        ) from error
    with listener:
        yield listener


def _secrets(models: ModelService) -> tuple[Secret, ...]:
    found: list[Any] = []
    for item in models.connections():
        # A connection that is incomplete has no secret to show.
        with contextlib.suppress(PilothouseError):
            found.append(models.connection(item.name))
    return secrets_of(found)


class FlowServer(uvicorn.Server):
    """Ends on the first signal when all requests in flight are answered, on the second one at once.

    Args:
        app: The application.
        settings: The limits.
        announce: Called when requests and signals are taken.

    Attributes:
        cut: Requests that were broken off.
    """

    def __init__(self, app: FlowApp, settings: ServingSettings, announce: Callable[[], None]) -> None:
        protocol = type("Protocol", (PatientProtocol,), {"head_timeout": settings.head_timeout})
        super().__init__(
            uvicorn.Config(
                app,
                http=protocol,
                loop="asyncio",
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="critical",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                limit_concurrency=settings.concurrency + settings.queue + _SPARE_CONNECTIONS,
                timeout_graceful_shutdown=max(1, round(settings.drain)),
            )
        )
        self._flow_app = app
        self._announce = announce
        self.cut = 0

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Take the signals while the server runs. Unlike uvicorn, do not raise them again: this end is a good one."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain; the second time, end."""
        self._flow_app.is_draining = True
        self.force_exit = self.should_exit
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, and say so."""
        await super().startup(sockets)
        self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening and wait for what is in flight."""
        running = self._flow_app.scorer.gate
        if running.running:
            click.echo(f"ending: {running.running} requests are in flight; a second signal cuts them", err=True)
        await super().shutdown(sockets)
        self.cut = running.running + running.waiting


class PatientProtocol(H11Protocol):
    """Closes connections on which no whole head of a request comes in time."""

    head_timeout = 15.0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        super().connection_made(transport)
        # Frames are small: none may wait for the client to acknowledge the one before. asyncio sets this only on
        # sockets that were made for TCP by name.
        found = transport.get_extra_info("socket")
        if found is not None:
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Go on waiting until the head is whole."""
        super().data_received(data)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        if self.conn.their_state is not IDLE:
            self._stop_waiting()
        elif self._deadline is None and self.conn.our_state is not DONE:
            self._deadline = self.loop.call_later(self.head_timeout, self._give_up)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        if not self.transport.is_closing() and self.conn.their_state is IDLE:
            self.transport.close()
