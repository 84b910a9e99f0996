"""The caches of this process by route, for whoever learns that an answer was wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Self

from msgspec import Struct

from pilothouse.core.services import Services
from pilothouse.gateway.cache.exact import ExactCache
from pilothouse.gateway.cache.semantic import SemanticCache


class RouteCaches(Struct, frozen=True, kw_only=True):
    """The caches of one route.

    Attributes:
        exact: For the same request; None for none.
        semantic: For requests that mean the same; None for none.
        most_bytes: Of the longest answer that is kept.
    """

    exact: ExactCache | None = None
    semantic: SemanticCache | None = None
    most_bytes: int = 1 << 20


class CacheShelf:
    """Where the gateway of this process puts its caches. Belongs to the gateway's event loop.

    Attributes:
        routes: By route name; empty where no gateway serves in this process.
    """

    def __init__(self) -> None:
        self.routes: Mapping[str, RouteCaches] = {}
        self._closing: set[asyncio.Future[None]] = set()

    @classmethod
    def build(cls, _services: Services) -> Self:
        """Build the shelf of a process."""
        return cls()

    def take(self, routes: Mapping[str, RouteCaches]) -> None:
        """Put the caches of another configuration in place; those that are in force no more are let go of."""
        kept = {id(caches) for caches in routes.values()}
        for caches in self.routes.values():
            if caches.exact is not None and id(caches) not in kept:
                task = asyncio.ensure_future(caches.exact.aclose())
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)
        self.routes = routes

    async def evict(self, route: str, call_id: str) -> bool:
        """Forget the answers that a call brought, or was given; tell whether there was any.

        Of answers in Redis it matters not which process gave them; those found by meaning are this process's own.
        """
        caches = self.routes.get(route)
        if caches is None:
            return False
        exact = caches.exact is not None and await caches.exact.evict(call_id)
        semantic = caches.semantic is not None and caches.semantic.evict(call_id)
        return exact or semantic

    async def aclose(self) -> None:
        """Let go of connections, and of the caches."""
        for caches in self.routes.values():
            if caches.exact is not None:
                await caches.exact.aclose()
        self.routes = {}
