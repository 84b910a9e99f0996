"""What goes wrong, and the exception it is in each official client."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any, NamedTuple

import anthropic
import openai

from pilothouse.access.keys.ring import KeyRing
from pilothouse.access.keys.types import Key, KeySecret
from pilothouse.gateway.settings import (
    CallRetries,
    CallTimeouts,
    DeploymentSettings,
    GatewaySettings,
    LimitRule,
    RouteSettings,
)

from ..mock.upstream import MockUpstream
from ..running import running
from .clients import Client, Clients, named
from .matrix import clients_of

FAULTS: Mapping[str, str] = {
    "the upstream answers 400": "fault=400",
    "the upstream refuses the gateway's own key (401)": "fault=401",
    "the upstream answers 404": "fault=404",
    "the upstream answers 429": "fault=429",
    "the upstream answers 500": "fault=500",
    "the upstream answers 529": "fault=529",
    "the prompt is too long for the model": "fault=contextlength",
    "the upstream takes longer than the route allows": "fault=hang",
}
"""What the mock is told, by what that is."""

INSIDE: Mapping[str, str] = {
    "the upstream reports an error inside the stream": "fault=error-in-stream@2",
    "the upstream ends inside the stream": "fault=cut@2",
    "the upstream stops inside the stream": "fault=hang@2",
}

OURS = (
    "no key",
    "an unknown key",
    "a model that is not there",
    "a negative limit of tokens",
    "a limit is reached",
    "a form that no deployment serves",
    "the client's own patience ends",
)

CLIENTS: tuple[Client, ...] = ("openai chat", "openai responses", "openai completions", "anthropic messages")


TOKEN = "ph-of-the-table"
SLOW = 0.3
"""Seconds that the client waits where its own patience is to end."""


class Place(NamedTuple):
    """One place of the table."""

    what: str
    client: Client

    @property
    def dialect(self) -> str:
        """Whose mock is asked."""
        return self.client.partition(" ")[0]


PLACES = [Place(what, client) for what in (*FAULTS, *INSIDE, *OURS) for client in CLIENTS]


def settings() -> GatewaySettings:
    """Return a route for each fault, at a mock of each of the two dialects."""
    routes: dict[str, RouteSettings] = {}
    for dialect in ("openai", "anthropic"):
        for told in {**FAULTS, **INSIDE}.values():
            routes[f"{dialect}.{told}"] = _route(dialect, f"mock-tokens=8-{told}", 0.4 if "hang" in told else 20)
        routes[f"{dialect}.slow"] = _route(dialect, "mock-first=5000", 20)
        routes[f"{dialect}.well"] = _route(dialect, "mock-tokens=8", 20)
    for client in CLIENTS:
        routes[f"{client}.limited"] = _route(client.partition(" ")[0], "mock-tokens=8", 20)
    limits = tuple(
        LimitRule(name=client, match={"route": f"{client}.limited"}, requests=1, per="day") for client in CLIENTS
    )
    return GatewaySettings(routes=routes, limits=limits)


def _route(connection: str, model: str, patience: float) -> RouteSettings:
    return RouteSettings(
        deployments=(DeploymentSettings(connection=connection, model=model),),
        retries=CallRetries(attempts=1, base=0.0),
        timeouts=CallTimeouts(connect=20.0, first_token=patience, idle=patience, total=60.0),
    )


def ring() -> KeyRing:
    """Return a ring with one key."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    key = Key(id="k", name="table", prefix=TOKEN[:6], created_at=now, created_by="tester")
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    return KeyRing(1, [key], [KeySecret(digest=digest, key="k", prefix=TOKEN[:6], created_at=now, created_by="tester")])


async def outcomes() -> dict[Place, str]:
    """Let everything go wrong for every client; return the exceptions."""
    async with AsyncExitStack() as stack:
        mock = await stack.enter_async_context(MockUpstream())
        connections = {"openai": ("open_ai", mock.url + "/v1"), "anthropic": ("anthropic", mock.url)}
        gateway = await stack.enter_async_context(running(settings(), connections, keys=ring()))
        clients = await stack.enter_async_context(clients_of(gateway, TOKEN))
        others = await stack.enter_async_context(clients_of(gateway, "ph-unknown"))
        met = [_met(others if place.what == "an unknown key" else clients, place) for place in PLACES]
        return dict(zip(PLACES, await asyncio.gather(*met), strict=True))


async def _met(clients: Clients, place: Place) -> str:
    what, dialect = place.what, place.dialect
    told = {**FAULTS, **INSIDE}.get(what)
    given: dict[str, Any] = {"model": f"{dialect}.{told}" if told else f"{dialect}.well"}
    if what == "no key":
        omitted = openai.Omit() if dialect == "openai" else anthropic.Omit()
        given["extra_headers"] = {"Authorization": omitted, "X-Api-Key": omitted}
    elif what == "a model that is not there":
        given["model"] = "nowhere"
    elif what == "a negative limit of tokens":
        given["most"] = -1
    elif what == "a limit is reached":
        given["model"] = f"{place.client}.limited"
        await ask(clients, place.client, **given)
    elif what == "the client's own patience ends":
        given |= {"model": f"{dialect}.slow", "timeout": SLOW}
    try:
        if what == "a form that no deployment serves":
            await _unserved(clients, dialect)
        else:
            await ask(clients, place.client, stream=what in INSIDE, **given)
    except (openai.APIError, anthropic.APIError) as error:
        return named(error)
    return "nothing"


async def _unserved(clients: Clients, dialect: str) -> None:
    if dialect == "openai":
        await clients.openai.embeddings.create(model="anthropic.well", input="x")
    else:
        await clients.anthropic.messages.count_tokens(model="openai.well", messages=[{"role": "user", "content": "x"}])


async def ask(clients: Clients, client: Client, *, most: int = 20, stream: bool = False, **given: Any) -> list[Any]:
    """Ask once, and read a stream to its end."""
    spoken: list[Any] = [{"role": "user", "content": "hello"}]
    if client == "openai chat":
        made: Any = clients.openai.chat.completions.create(messages=spoken, max_tokens=most, stream=stream, **given)
    elif client == "openai responses":
        made = clients.openai.responses.create(input=spoken, max_output_tokens=most, stream=stream, **given)
    elif client == "openai completions":
        made = clients.openai.completions.create(prompt="hello", max_tokens=most, stream=stream, **given)
    else:
        made = clients.anthropic.messages.create(messages=spoken, max_tokens=most, stream=stream, **given)
    answer = await made
    return [event async for event in answer] if stream else [answer]
