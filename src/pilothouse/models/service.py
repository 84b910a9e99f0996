"""Models as the rest of the house sees them: a connection's name in, a client out that retries, adapts and records."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Self

from msgspec.structs import replace
from opentelemetry.trace import Tracer

from pilothouse.core import plugins
from pilothouse.core.canonical import digest_file
from pilothouse.core.environment import Environment
from pilothouse.core.errors import ConnectionFault
from pilothouse.core.services import Services
from pilothouse.models.client import ModelClient, Provider, ProviderContext, ProviderFactory
from pilothouse.models.connection_types import TYPES
from pilothouse.models.connections import ConnectionFolder, ConnectionSpec
from pilothouse.models.local_models import cache_folder
from pilothouse.models.prices import PriceBook
from pilothouse.models.settings import ModelSettings
from pilothouse.models.types import Connection, Usage
from pilothouse.models.wrappers.limiter import AdaptiveLimiter, LimitedClient
from pilothouse.models.wrappers.retrying import RetryingClient
from pilothouse.models.wrappers.traced import TracedClient
from pilothouse.tracing.service import TracingService
from pilothouse.tracing.settings import TracingSettings


class ModelService:
    """Connections, clients and prices of one project.

    Args:
        files: The connection files.
        context: What providers may need.
        tracer: Who makes spans.
        capture: Whether messages are recorded in spans.
        providers: From a type of connection to its maker of clients; the plug-ins by default.
    """

    def __init__(
        self,
        *,
        files: ConnectionFolder,
        context: ProviderContext,
        tracer: Tracer,
        capture: bool,
        providers: Callable[[str], ProviderFactory] | None = None,
    ) -> None:
        self.files = files
        self.context = context
        self._tracer = tracer
        self._capture = capture
        self._factory = providers or _plugin
        self._prices = PriceBook(context.settings.prices)
        self._named: dict[str, tuple[Provider, ModelClient]] = {}
        self._open: list[Provider] = []

    @classmethod
    def build(cls, services: Services) -> Self:
        """Build the service of a project."""
        settings = services.settings.section(ModelSettings)
        environment = services.settings.environment
        return cls(
            files=ConnectionFolder(services.root / settings.connections, environment),
            context=ProviderContext(
                settings=settings,
                root=services.root,
                cache=cache_folder(settings, environment, services.root),
                clock=services.clock,
            ),
            tracer=services.get(TracingService).tracer,
            capture=services.settings.section(TracingSettings).capture_content,
        )

    @property
    def environment(self) -> Environment:
        """The project's variables, that references to the environment are resolved with."""
        return self.files.environment

    def connections(self) -> list[ConnectionSpec]:
        """Return all connections by name, unresolved; `local` and `scripted` are always there."""
        return self.files.all()

    def connection(self, name: str) -> Connection:
        """Return a connection with its values.

        Raises:
            ConnectionFault: when it is unknown, incomplete or unsafe.
        """
        connection = self.files.resolve(name)
        script = self.context.root / connection.get("script")
        if connection.type == "scripted" and script.is_file():
            # Another script, other answers: what is remembered under the connection's identity must not outlive it.
            return replace(connection, configs={**connection.configs, "script_digest": digest_file(script)})
        return connection

    def client(self, name: str) -> ModelClient:
        """Return the client of a connection: one for all callers, so that they share its limit.

        Raises:
            ConnectionFault: when the connection is unknown or incomplete, or has no models behind it.
        """
        return self._wrapped(name)[1]

    def provider(self, name: str) -> Provider:
        """Return what calls the models of a connection, without retries, limits and spans: for who has his own.

        Raises:
            ConnectionFault: when the connection is unknown or incomplete, or has no models behind it.
        """
        return self._wrapped(name)[0]

    def check(self, name: str, model: str) -> None:
        """Raise now what every call to a model would raise: for looking ahead before a long run.

        Args:
            name: The connection.
            model: The model or deployment; empty for the connection's own.

        Raises:
            UserError: when the connection is incomplete, or a local model is not pulled.
        """
        self._wrapped(name)[0].check(model)

    def slots(self, name: str) -> int | None:
        """Return how many calls a connection serves at once; None where only the provider knows.

        Raises:
            UserError: when the connection is incomplete.
        """
        return self._wrapped(name)[0].concurrency

    def open(self, connection: Connection) -> ModelClient:
        """Return a client of a connection that stands in no file, with a limit of its own.

        Raises:
            ConnectionFault: when no models stand behind its type.
        """
        return self._wrap(connection)[1]

    def _wrapped(self, name: str) -> tuple[Provider, ModelClient]:
        if name not in self._named:
            self._named[name] = self._wrap(self.connection(name))
        return self._named[name]

    def _wrap(self, connection: Connection) -> tuple[Provider, ModelClient]:
        if not TYPES[connection.type].serves_models:
            serving = ", ".join(kind.name for kind in TYPES.values() if kind.serves_models)
            raise ConnectionFault(
                f"the connection '{connection.name}' is of type {connection.type}: there are no models behind it",
                where=connection.where or None,
                expected=f"a connection of type {serving}",
            )
        provider = self._factory(connection.type)(connection, self.context)
        self._open.append(provider)
        settings = self.context.settings
        ceiling = min(settings.concurrency.ceiling, provider.concurrency or settings.concurrency.ceiling)
        limited = LimitedClient(provider, AdaptiveLimiter(ceiling, settings.concurrency.start))
        return provider, TracedClient(
            RetryingClient(limited, settings.retries),
            self._tracer,
            clock=self.context.clock,
            connection=connection.name,
            capture=self._capture,
            secrets=connection.secrets.values(),
        )

    def price(self, provider: str, model: str, usage: Usage, at: datetime) -> Decimal | None:
        """Return what a call cost in US dollars; None where the price is not known.

        The first question about a hosted model loads the catalogue: half a second of CPU.
        """
        return self._prices.price(provider, model, usage, at)

    async def aclose(self) -> None:
        """Close all clients; new ones may be asked for afterwards."""
        self._named.clear()
        while self._open:
            await self._open.pop().aclose()

    def close(self) -> None:
        """Free what lives outside any event loop; HTTP connections close with the process."""
        self._named.clear()
        while self._open:
            self._open.pop().close()


def _plugin(kind: str) -> ProviderFactory:
    factory: ProviderFactory = plugins.load("providers", kind)
    return factory
