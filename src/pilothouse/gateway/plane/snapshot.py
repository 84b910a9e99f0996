"""What decides a call, in one piece: swapped whole when the configuration or the keys change."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct

from pilothouse.access.keys.ring import KeyRing
from pilothouse.gateway.cache.shelf import RouteCaches
from pilothouse.gateway.capture.writer import CaptureWriter
from pilothouse.gateway.guards.pipeline import GuardPipeline
from pilothouse.gateway.limits.types import Limiter
from pilothouse.gateway.routing.types import Route
from pilothouse.gateway.settings import GatewaySettings
from pilothouse.tracing.completed import Begun


class Snapshot(Struct, frozen=True, kw_only=True):
    """One version of everything that decides.

    Attributes:
        version: Of the configuration; stands on every ledger row.
        settings: As configured.
        routes: By every name a client may use.
        open_routes: Connections that serve any model, ``connection/model``; empty where routes are configured.
        keys: The virtual keys; None where the gateway is open.
        limiter: None where nothing is limited.
        guards: By route name; a route without guards is not in it.
        caches: By route name; a route without a cache is not in it.
        capture: Records payloads; None for never.
        begin_span: Told the client's `traceparent`, what a call's span will be called; None where upstreams are not
            told.
    """

    version: str
    settings: GatewaySettings
    routes: Mapping[str, Route]
    open_routes: Mapping[str, Route]
    keys: KeyRing | None
    limiter: Limiter | None
    guards: Mapping[str, GuardPipeline]
    caches: Mapping[str, RouteCaches]
    capture: CaptureWriter | None = None
    begin_span: Callable[[str | None], Begun] | None = None
