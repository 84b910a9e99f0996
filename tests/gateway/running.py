"""A gateway within the running loop: real server, real sockets, real routing and limits; its ledger is a list."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from opentelemetry.sdk.trace import TracerProvider

from pilothouse.access.keys.ring import KeyRing
from pilothouse.core.clock import SystemClock
from pilothouse.gateway.cache.exact import ExactCache
from pilothouse.gateway.cache.semantic import Embed, SemanticCache
from pilothouse.gateway.config.compilation import RouteTable, compile_routes
from pilothouse.gateway.guards.pipeline import GuardPipeline
from pilothouse.gateway.limits.memory import LimiterState, MemoryLimiter
from pilothouse.gateway.plane.app import Plane
from pilothouse.gateway.plane.asking.deadlines import Deadlines
from pilothouse.gateway.plane.metrics import Metrics
from pilothouse.gateway.plane.records import Records
from pilothouse.gateway.plane.serve import Parts
from pilothouse.gateway.plane.settlement import Settlement
from pilothouse.gateway.plane.shadows import Shadows
from pilothouse.gateway.plane.snapshot import RouteCaches, Snapshot
from pilothouse.gateway.providers.registry import build_provider
from pilothouse.gateway.routing.health import HealthBoard
from pilothouse.gateway.routing.router import Router
from pilothouse.gateway.serving.server import GatewayServer
from pilothouse.gateway.settings import GatewaySettings
from pilothouse.gateway.types import LedgerEntry
from pilothouse.gateway.upstream.http import HttpTransport
from pilothouse.gateway.upstream.in_process import SCHEME, InProcessProvider, InProcessTransport
from pilothouse.gateway.upstream.ways import Ways
from pilothouse.models.client import Provider as ModelProvider
from pilothouse.models.client import ProviderContext
from pilothouse.models.connection_types import TYPES
from pilothouse.models.connections import ConnectionSpec
from pilothouse.models.secret import Secret
from pilothouse.models.settings import ModelSettings
from pilothouse.models.types import Connection, Usage

from .mock.bill import STANDARD, Used, cost

UPSTREAM_SECRET = "sk-the-upstreams-own-key"


class ListLedger:
    """What a `LedgerWriter` takes in, kept."""

    healthy = True

    def __init__(self) -> None:
        self.entries: list[LedgerEntry] = []

    def record(self, entry: LedgerEntry) -> None:
        self.entries.append(entry)


class FlatRate(Struct, frozen=True):
    """The mock's standard prices."""

    id: str = "mock@2026-01-01"

    def cost(self, usage: Usage) -> int:
        used = Used(
            input=usage.input_tokens,
            output=usage.output_tokens,
            cached=usage.cached_input_tokens,
            write=usage.cache_write_tokens,
            writelong=usage.cache_write_long_tokens,
            reasoning=usage.reasoning_tokens,
        )
        return cost(STANDARD, used)

    def bound(self, input_tokens: int, output_tokens: int) -> int:
        return input_tokens * STANDARD["writelong"] + output_tokens * STANDARD["output"]


class FlatRates:
    """One price for all."""

    def rate(self, provider: str, model: str, at_ns: int) -> FlatRate:
        return FlatRate()


class Gateway(Struct, frozen=True, kw_only=True):
    """A gateway that answers.

    Attributes:
        url: Without `/v1`.
        ledger: Its rows.
        metrics: Its counters.
        limiter: None where nothing is limited.
        plane: Its data plane.
    """

    url: str
    ledger: ListLedger
    metrics: Metrics
    limiter: MemoryLimiter | None
    plane: Plane

    def entry(self, route: str) -> LedgerEntry:
        """Return the only row of a route."""
        (found,) = self.entries(route)
        return found

    def entries(self, route: str) -> list[LedgerEntry]:
        """Return the rows of a route, in order."""
        return [entry for entry in self.ledger.entries if entry.route == route]

    async def settled(self) -> None:
        """Wait until no call is under way: a client may have its answer before the call has ended."""
        while self.metrics.in_flight:
            await asyncio.sleep(0.005)


@asynccontextmanager
async def running(
    settings: GatewaySettings,
    connections: Mapping[str, tuple[str, str]],
    *,
    keys: KeyRing | None = None,
    traces: TracerProvider | None = None,
    embed: Embed | None = None,
    models: Mapping[str, ModelProvider] | None = None,
) -> AsyncIterator[Gateway]:
    """While inside, a gateway listens.

    Args:
        settings: Its configuration.
        connections: By name, a type and the address; fields without a default have the value `here`.
        keys: The virtual keys; where there are none, nobody is asked for one.
        traces: Takes the spans.
        embed: Makes the vectors of semantic caches.
        models: By the name of a connection, what serves its models in this process.
    """
    inside = models or {}
    table = _routes(settings, connections, inside)
    limiter = MemoryLimiter(settings.limits, LimiterState()) if settings.limits else None
    snapshot = Snapshot(
        version="1",
        settings=settings,
        routes=table.routes,
        open_routes=table.open_routes,
        keys=keys,
        limiter=limiter,
        guards=_guards(settings),
        caches=_caches(settings, embed),
    )
    ledger, metrics = ListLedger(), Metrics()
    transport = Ways(HttpTransport(), {SCHEME: InProcessTransport(inside.__getitem__)})
    kept: Any = ledger
    records = Records(kept, (traces or TracerProvider()).get_tracer("test"), metrics)
    if settings.traceparent:
        snapshot = replace(snapshot, begin_span=records.begin_span)
    plane = Plane(_parts(transport, kept, metrics, records), snapshot)
    try:
        async with _listening(plane, settings, metrics) as url:
            yield Gateway(url=url, ledger=ledger, metrics=metrics, limiter=limiter, plane=plane)
    finally:
        await transport.aclose()


def _routes(
    settings: GatewaySettings, connections: Mapping[str, tuple[str, str]], inside: Mapping[str, ModelProvider]
) -> RouteTable:
    context = ProviderContext(settings=ModelSettings(), root=Path(), cache=Path(), clock=SystemClock())

    def provider(name: str) -> Any:
        if name in inside:
            return InProcessProvider(name, inside[name])
        kind, address = connections[name]
        fields = {**_fields(kind), _address(kind): address}
        made = Connection(name=name, type=kind, configs=fields, secrets={"api_key": Secret(UPSTREAM_SECRET)})
        return build_provider(made, context)

    specs = [
        ConnectionSpec(
            name=name,
            kind=TYPES[kind],
            texts={_address(kind): address} if address else {},
            hidden=frozenset(),
            lines={},
            where="",
            folder=Path(),
        )
        for name, (kind, address) in connections.items()
    ]
    return compile_routes(settings, provider, specs)


def _parts(transport: Ways, ledger: Any, metrics: Metrics, records: Records) -> Parts:
    rates: Any = FlatRates()
    router, deadlines = Router(HealthBoard()), Deadlines()
    settlement = Settlement(rates, records)
    return Parts(
        router=router,
        transport=transport,
        rates=rates,
        settlement=settlement,
        ledger=ledger,
        metrics=metrics,
        shadows=Shadows(router, transport, settlement, deadlines),
        deadlines=deadlines,
    )


@asynccontextmanager
async def _listening(plane: Plane, settings: GatewaySettings, metrics: Metrics) -> AsyncIterator[str]:
    """While inside, the plane answers under the URL."""
    started = asyncio.Event()
    server = GatewayServer(
        plane,
        settings,
        begin_drain=lambda: setattr(plane, "is_draining", True),
        in_flight=lambda: metrics.in_flight,
        announce=started.set,
        reload=lambda: None,
        incident=metrics.incident,
    )
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        task = asyncio.ensure_future(server.serve([listener]))
        await asyncio.wait([task, asyncio.ensure_future(started.wait())], return_when=asyncio.FIRST_COMPLETED)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


def _address(kind: str) -> str:
    return "api_base" if "api_base" in TYPES[kind].fields else "base_url"


def _fields(kind: str) -> dict[str, str]:
    fields = TYPES[kind].fields.items()
    return {
        name: rule.default or "here" for name, rule in fields if rule.default or (rule.required and not rule.secret)
    }


def _guards(settings: GatewaySettings) -> dict[str, GuardPipeline]:
    compiled = {name: GuardPipeline.compile(route.guards, settings.guards) for name, route in settings.routes.items()}
    return {name: guards for name, guards in compiled.items() if guards is not None}


def _caches(settings: GatewaySettings, embed: Embed | None) -> dict[str, RouteCaches]:
    return {
        name: RouteCaches(
            exact=ExactCache(name, route, {}) if route.cache else None,
            semantic=SemanticCache(name, route, {}, embed, seed=1) if route.semantic_cache and embed else None,
        )
        for name, route in settings.routes.items()
        if route.cache or route.semantic_cache
    }
