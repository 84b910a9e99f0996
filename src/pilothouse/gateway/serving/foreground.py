"""The gateway in the foreground of a terminal: as many processes as wanted, and a word about where they listen."""

from __future__ import annotations

import click

from pilothouse.core import plugins
from pilothouse.core.errors import ConfigError
from pilothouse.core.services import Services
from pilothouse.gateway.assembly import Gateway
from pilothouse.gateway.config.service import ConfigService
from pilothouse.gateway.config.telling import replaced
from pilothouse.gateway.limits.rules import needs_sharing
from pilothouse.gateway.serving.run import listening, serve
from pilothouse.gateway.serving.workers import Workers
from pilothouse.gateway.settings import GatewaySettings


def run(services: Services, settings: GatewaySettings, *, door: str) -> int:
    """Serve until a signal ends it.

    Args:
        services: The project.
        settings: Where to listen, and with how many processes.
        door: Name of the plug-in that puts further pages round the gateway; empty for none.

    Returns:
        Calls that were cut at the end.

    Raises:
        ConfigError: when the configuration cannot be used, or several processes would keep limits each for itself.
        UserError: when the address cannot be listened on.
    """
    with listening(settings.host, settings.port) as listener:
        host, port = listener.getsockname()[:2]
        address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        if settings.workers == 1:
            wrap = plugins.load("servers", door)(services, host) if door else None
            return serve(services, listener, lambda gateway: _announce(gateway, address), wrap, drain=settings.drain)
        active = services.get(ConfigService).start().settings
        if needs_sharing(active.limits) and not active.redis:
            raise ConfigError(
                f"{settings.workers} processes would each keep the limits for itself, and {settings.workers} times as "
                "much would pass",
                where="gateway.limits",
                fix="set gateway.redis, or serve with one worker",
            )
        environment = dict(services.settings.environment)
        workers = Workers(
            services.root,
            listener,
            settings.workers,
            environment,
            door=door,
            drain=settings.drain,
            announce=lambda: click.echo(f"the gateway listens on {address}/v1 with {settings.workers} workers"),
        )
        return workers.run()


def _announce(gateway: Gateway, address: str) -> None:
    names = gateway.table.models()
    click.echo(f"the gateway listens on {address}/v1 (Ctrl-C ends it)")
    click.echo(f"models: {', '.join(names[:12])}{', ...' if len(names) > 12 else ''}")
    if gateway.plane.snapshot.keys is None:
        click.echo("no key is needed on this machine; make one: pilothouse gateway key create NAME")
    for name, reason in gateway.table.skipped.items():
        click.echo(f"left out: {name}: {reason}", err=True)
    for line in replaced(gateway.config):
        click.echo(line, err=True)
