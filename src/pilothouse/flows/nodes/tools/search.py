"""`promptflow.tools.serpapi`: a search through Serp API."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pilothouse.flows.nodes.tools.http import Request, Unreachable, send
from pilothouse.flows.promptflow.connections import SerpConnection
from pilothouse.flows.promptflow.faults import SerpAPISystemError, SerpAPIUserError
from pilothouse.models.secret import Secret


class SafeMode(StrEnum):
    """Whether adult content is left out."""

    ACTIVE = "active"
    OFF = "off"


class Engine(StrEnum):
    """Who searches."""

    GOOGLE = "google"
    BING = "bing"


async def search_async(
    connection: SerpConnection,
    query: str,
    location: str | None = None,
    safe: SafeMode = SafeMode.OFF,
    num: int = 10,
    engine: Engine = Engine.GOOGLE,
) -> Any:
    """Return the results of a search, as Serp API gives them.

    Args:
        connection: A connection of the type serp.
        query: What is searched for.
        location: Where the search is made from.
        safe: ``active`` leaves adult content out.
        num: How many results at most; 0 leaves it to the engine.
        engine: ``google``, ``bing``, or another of Serp API's.

    Raises:
        SerpAPIUserError: when Serp API refuses the search.
        SerpAPISystemError: when it fails or cannot be reached.
    """
    is_google = str(engine).lower() == Engine.GOOGLE
    # Each engine has names of its own for the same things.
    given: dict[str, Any] = {"q": query, "location": location, "engine": str(engine), "output": "json"}
    if str(safe).lower() == SafeMode.ACTIVE:
        given |= {"safe": "Active"} if is_google else {"safeSearch": "Strict"}
    if int(num) > 0:
        given["num" if is_google else "count"] = int(num)
    key = connection.api_key
    url = f"{str(connection.api_base).rstrip('/')}/search"
    request = Request(method="GET", url=url, query={**given, "api_key": key}, secrets=(Secret(key),))
    try:
        reply = await send(request)
    except Unreachable as error:
        raise SerpAPISystemError(f"SerpAPI search request failed: {error}") from None
    if reply.status == 200 and reply.data is not None:
        return reply.data
    said: Any = reply.data.get("error") if isinstance(reply.data, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    message = str(said or f"SerpAPI search request failed: HTTP {reply.status}: {reply.text}")  # pyright: ignore[reportUnknownArgumentType]
    raise (SerpAPISystemError if reply.status >= 500 or reply.status == 200 else SerpAPIUserError)(message)
