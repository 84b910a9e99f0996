"""Puts the gateway of a project together, and keeps it in step with its configuration and its keys."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Final

from pilothouse.access.keys.ring import KeyRing
from pilothouse.access.keys.service import KeyService
from pilothouse.access.keys.uses import KeyUses
from pilothouse.access.keys.watcher import KeyWatcher
from pilothouse.core.environment import Environment
from pilothouse.core.errors import ConfigError, PilothouseError, StorageError
from pilothouse.core.services import Services
from pilothouse.core.settings import FILE as SETTINGS_FILE
from pilothouse.core.storage.sql import Database, identity
from pilothouse.gateway.cache.exact import ExactCache
from pilothouse.gateway.cache.semantic import SemanticCache, embedder
from pilothouse.gateway.cache.shelf import CacheShelf, RouteCaches
from pilothouse.gateway.capture.writer import CaptureWriter
from pilothouse.gateway.config.compilation import place_in
from pilothouse.gateway.config.service import ConfigService
from pilothouse.gateway.config.telling import taken_in
from pilothouse.gateway.config.types import ActiveConfig, RouteTable
from pilothouse.gateway.config.watcher import ConfigWatcher
from pilothouse.gateway.guards.pipeline import GuardPipeline
from pilothouse.gateway.ledger.hosts.service import LedgerHosts
from pilothouse.gateway.ledger.keeping import LedgerKeeper
from pilothouse.gateway.ledger.writer import FOLDER, LedgerWriter
from pilothouse.gateway.limiting import AnyLimiter, Limiting
from pilothouse.gateway.plane.app import Plane
from pilothouse.gateway.plane.asking.deadlines import Deadlines
from pilothouse.gateway.plane.metrics import Metrics
from pilothouse.gateway.plane.records import Records
from pilothouse.gateway.plane.serve import Parts
from pilothouse.gateway.plane.settlement import Settlement
from pilothouse.gateway.plane.shadows import Shadows
from pilothouse.gateway.plane.snapshot import Snapshot
from pilothouse.gateway.preparing import common_price, open_ways, prepare_guards, prepare_routes
from pilothouse.gateway.routing.feedback.service import FeedbackService
from pilothouse.gateway.routing.feedback.tuner import BanditTuner
from pilothouse.gateway.routing.health import HealthBoard
from pilothouse.gateway.routing.router import Router
from pilothouse.gateway.settings import CaptureSettings, GatewaySettings, TrafficExperiment
from pilothouse.models.rates.card import RateCard
from pilothouse.models.service import ModelService
from pilothouse.models.settings import ModelSettings
from pilothouse.safety.detection import redact
from pilothouse.tracing.service import TracingService

_FIGURES_SECONDS: Final = 1.0


class Ready:
    """What one configuration became: all but the keys."""

    def __init__(self, config: ActiveConfig, table: RouteTable) -> None:
        self.config = config
        self.table = table
        self.guards: dict[str, GuardPipeline] = {}
        self.caches: dict[str, RouteCaches] = {}


class Gateway:
    """The gateway of one process. Make it inside the event loop it serves in.

    Args:
        services: The project.
        host: The address it listens on: an open gateway serves the loopback alone.

    Attributes:
        plane: The application.
        metrics: What is counted.
        ledger: Where rows go.
        faults: What is wrong now, by what it concerns; readiness shows it.
        is_leaving: Whether the end was asked for; until it begins calls are taken, though readiness says no.
    """

    def __init__(self, services: Services, host: str) -> None:
        self._services = services
        self._host = host
        self._models = services.get(ModelService)
        self._config = services.get(ConfigService)
        self._keys = services.get(KeyService)
        self.rates = services.get(RateCard)
        self.ledger = services.get(LedgerWriter)
        self.metrics = Metrics()
        self.router = Router(HealthBoard(), price=common_price(self.rates, time.time_ns))
        self._hosts = services.get(LedgerHosts)
        self._keeper = LedgerKeeper(services.state / FOLDER, services.root, news=self._hosts.last)
        self._records = Records(self.ledger, services.get(TracingService).tracer, self.metrics)
        redis = services.settings.section(GatewaySettings).redis
        self._limiting = Limiting(services, redis, tell=self._records.flush)
        self._watch_limits()
        self.faults: dict[str, str] = {}
        self.is_leaving = False
        self._in_force: Ready | None = None
        self._ready = self._in_force = self._prepare(self._config.start())
        self._key_watcher = KeyWatcher(self._keys, self._keys_changed, report=self._keys_fault)
        self._key_uses = KeyUses(
            self._keys, services.clock, report=lambda _: self._on_loop(lambda: self.metrics.incident("key_use_unnoted"))
        )
        self._config_watcher = ConfigWatcher(
            self._config, self._ready.config.version.number, self._config_changed, self._config_broken
        )
        self._transport = open_ways(self._models)
        settlement = Settlement(self.rates, self._records)
        self._deadlines = Deadlines()
        self._shadows = Shadows(self.router, self._transport, settlement, self._deadlines)
        self._captures: dict[CaptureSettings, CaptureWriter] = {}
        parts = Parts(
            router=self.router,
            transport=self._transport,
            rates=self.rates,
            settlement=settlement,
            ledger=self.ledger,
            metrics=self.metrics,
            shadows=self._shadows,
            deadlines=self._deadlines,
            used_keys=self._key_uses.seen,
        )
        self._ring = self._key_watcher.ring
        self._limiter: AnyLimiter | None = self._limiting.limiter(self._ready.config.settings)
        self._tuner = BanditTuner(services.get(FeedbackService), self._experiments, self._weigh, self._config_broken)
        self._shelf = services.get(CacheShelf)
        self._shelf.routes = self._ready.caches
        self.plane = Plane(parts, self._snapshot())
        self._loop: asyncio.AbstractEventLoop | None = None
        self._figures: asyncio.Task[None] | None = None

    @property
    def settings(self) -> GatewaySettings:
        """The settings in force."""
        return self._ready.config.settings

    @property
    def table(self) -> RouteTable:
        """The routes in force."""
        return self._ready.table

    @property
    def config(self) -> ActiveConfig:
        """The configuration in force."""
        return self._ready.config

    @property
    def is_taking(self) -> bool:
        """Whether calls are taken: rows can be written, limits can be kept, and nobody has asked for the end."""
        return not self.is_leaving and not self.plane.is_draining and self.ledger.healthy and self._limiting.is_ready

    async def open(self) -> None:
        """Begin to follow changes; return when calls can be taken."""
        self._loop = asyncio.get_running_loop()
        self._loop.run_in_executor(None, self._warm, self._ready.table)
        self._keeper.start()
        self._key_watcher.start()
        self._key_uses.start()
        self._config_watcher.start()
        self._tuner.start()
        self._figures = asyncio.ensure_future(self._refresh())
        await self._limiting.join()

    def reload(self) -> None:
        """Take in `pilothouse.yaml` anew; a file that must not be leaves everything as it is, and says why."""
        loop = self._loop
        if loop is not None:
            loop.run_in_executor(None, self._reload)

    async def aclose(self) -> None:
        """Write what is left and close what is open."""
        self._keeper.close()
        self._config_watcher.close()
        self._key_watcher.close()
        await asyncio.to_thread(self._key_uses.close)
        self._tuner.close()
        if self._figures is not None:
            self._figures.cancel()
        await self._shadows.aclose()
        await self._limiting.aclose()
        await self._shelf.aclose()
        await self._transport.aclose()
        await self._models.aclose()
        self._deadlines.close()
        self._records.flush()
        self.ledger.close()
        await asyncio.to_thread(self._send_last)
        for writer in self._captures.values():
            writer.close()

    def _send_last(self) -> None:
        try:
            self._hosts.send()
        except StorageError as error:
            sys.stderr.write(
                f"the last ledger rows wait on this host's disk until it is asked or serves again: {error}\n"
            )

    def _warm(self, table: RouteTable) -> None:
        """Look prices up beside the event loop, before the first call of each model does it there."""
        found = {(item.provider.name, item.model) for route in table.routes.values() for item in route.deployments}
        self.rates.warm(found, time.time_ns())

    def _reload(self) -> None:
        files = self._models.files
        known = files.environment
        try:
            files.environment = Environment.load(self._services.root)
            own = type(self._services.settings).load(self._services.root, files.environment)
            file, prices = own.section(GatewaySettings), own.section(ModelSettings).prices
            config = self._config.reading(file).start()
            if not self._config_watcher.look():
                self._config_changed(config)  # over connections as they are now
            if self.rates.take(prices):
                sys.stderr.write(f"models.prices were taken in: {len(prices)}\n")
        except PilothouseError as error:
            files.environment = known
            self.faults[SETTINGS_FILE] = str(error)
            sys.stderr.write(f"{SETTINGS_FILE} is not taken in, all stays as it was: {error}\n")
            return
        self.faults.pop(SETTINGS_FILE, None)
        before = self._services.settings.section(GatewaySettings)
        sys.stderr.write("".join(f"{line}\n" for line in taken_in(config, before, file)))

    async def _refresh(self) -> None:
        while True:
            self.metrics.refresh()
            await asyncio.sleep(_FIGURES_SECONDS)

    def _watch_limits(self) -> None:
        watch, limiting = self.metrics.watch, self._limiting
        watch("reservations", "Calls that have something set aside under limits", lambda: limiting.open_calls)
        watch("settlements_waiting", "Calls whose end the shared counters have not been told", lambda: limiting.waiting)
        watch("limits_joined", "Processes whose limits can be asked", lambda: limiting.is_ready)
        watch("limits_unchecked", "Calls that passed without their limits being asked", lambda: limiting.unchecked)

    def _prepare(self, config: ActiveConfig) -> Ready:
        """Compile a configuration wholly; runs beside the event loop.

        Raises:
            ConfigError: when it cannot be used.
        """
        settings = config.settings
        where = place_in(self._services.root / SETTINGS_FILE)
        ready = Ready(config, prepare_routes(settings, self._models, where=where))
        ready.guards |= prepare_guards(ready.table)
        for route in ready.table.routes.values():
            if route.name not in ready.caches and (route.settings.cache or route.settings.semantic_cache):
                ready.caches[route.name] = self._kept(route.name, settings) or self._caches(route.name, settings)
        self._limiting.prepare(settings)
        return ready

    def _kept(self, name: str, settings: GatewaySettings) -> RouteCaches | None:
        """Return the caches in force, where the new configuration would make the same ones; None for others."""
        before = self._in_force
        if before is None:
            return None
        old, new = before.config.settings, settings
        same = old.routes.get(name) == new.routes[name] and old.guards == new.guards and old.redis == new.redis
        return before.caches.get(name) if same else None

    def _caches(self, name: str, settings: GatewaySettings) -> RouteCaches:
        route = settings.routes[name]
        exact = None
        if route.cache is not None:
            project = identity(self._services.get(Database))
            exact = ExactCache(name, route, dict(settings.guards), settings.redis, project=project)
        semantic = None
        if route.semantic_cache is not None:
            embed = embedder(self._models.client(route.semantic_cache.connection), route.semantic_cache.model)
            semantic = SemanticCache(name, route, dict(settings.guards), embed)
        return RouteCaches(exact=exact, semantic=semantic)

    def _capturing(self, settings: CaptureSettings) -> CaptureWriter | None:
        if settings.mode == "off":
            return None
        if settings not in self._captures:
            folder = self._services.state / "capture"
            self._captures[settings] = CaptureWriter(folder, settings, lambda text: redact(text)[0])
        # One that is out of force stays: calls that began with it end with it.
        return self._captures[settings]

    def _experiments(self) -> list[TrafficExperiment]:
        routes = self._ready.config.settings.routes.values()
        return [route.experiment for route in routes if route.experiment is not None]

    def _weigh(self, weights: Mapping[str, Mapping[str, float]]) -> None:
        self._on_loop(lambda: self.router.set_weights(weights))

    def _snapshot(self) -> Snapshot:
        ready, settings = self._ready, self._ready.config.settings
        return Snapshot(
            version=str(ready.config.version.number),
            settings=settings,
            routes=ready.table.routes,
            open_routes=ready.table.open_routes,
            keys=None if self._is_open(settings, self._ring) else self._ring,
            limiter=self._limiter,
            guards=ready.guards,
            caches=ready.caches,
            capture=self._capturing(settings.capture),
            begin_span=self._records.begin_span if settings.traceparent else None,
        )

    def _is_open(self, settings: GatewaySettings, ring: KeyRing) -> bool:
        local = is_loopback(self._host)
        if settings.access == "open":
            if not local:
                raise ConfigError(
                    f"an open gateway may listen on this machine alone, not on {self._host}",
                    fix="set gateway.access to keys, and make one: pilothouse gateway key create NAME",
                )
            return True
        return settings.access == "auto" and local and len(ring) == 0

    def _keys_changed(self, ring: KeyRing) -> None:
        self._on_loop(lambda: self._take(ring=ring))

    def _config_changed(self, config: ActiveConfig) -> None:
        ready = self._prepare(config)
        self._warm(ready.table)
        self.faults.pop("configuration", None)
        self._on_loop(lambda: self._take(ready=ready))

    def _take(self, *, ready: Ready | None = None, ring: KeyRing | None = None) -> None:
        if ready is not None:
            self._ready = ready
            self._limiter = self._limiting.limiter(ready.config.settings)
            self._shelf.take(ready.caches)
            self._in_force = ready
        self._ring = ring or self._ring
        self.plane.snapshot = self._snapshot()

    def _config_broken(self, error: PilothouseError) -> None:
        self.faults["configuration"] = str(error)
        sys.stderr.write(f"the configuration stays as it was: {error}\n")

    def _keys_fault(self, fault: PilothouseError | None) -> None:
        if fault is None:
            self.faults.pop("keys", None)
        else:
            self.faults["keys"] = str(fault)
            sys.stderr.write(f"keys cannot be read, the last ones stay in force: {fault}\n")

    def _on_loop(self, action: Callable[[], None]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(action)


def is_loopback(host: str) -> bool:
    """Tell whether an address is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
