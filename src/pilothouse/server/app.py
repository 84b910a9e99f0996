"""One ASGI application: the gateway's calls as they are, and the API behind `/api`, loaded when somebody asks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from pilothouse.core import plugins
from pilothouse.core.services import Services

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class Front:
    """Hands each request on: `/api` to the API, everything else, metrics and health included, to the gateway.

    A server nobody administers neither imports the API's framework nor keeps it in memory.

    Args:
        gateway: The gateway's application; it sees its requests untouched, and the lifespan.
        services: The project.
        host: The address the server listens on.
    """

    def __init__(self, gateway: Application, services: Services, host: str) -> None:
        self._gateway = gateway
        self._services = services
        self._host = host
        self._api: Application | None = None
        self._loading = asyncio.Lock()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope.get("path", "")
        if scope["type"] == "http" and (path.startswith("/api/") or path == "/api"):
            api = self._api or await self._load()
            await api(scope, receive, send)
        else:
            await self._gateway(scope, receive, send)

    async def _load(self) -> Application:
        async with self._loading:
            if self._api is None:
                # On a thread: calls that are under way do not wait for an import.
                self._api = await asyncio.to_thread(self._build)
            return self._api

    def _build(self) -> Application:
        return plugins.load("servers", "api")(self._services, self._host)


def front(services: Services, host: str) -> Callable[[Application], Application]:
    """Return what puts the API beside a gateway; the plug-in `front` of the group `pilothouse.servers`."""
    return lambda gateway: Front(gateway, services, host)
