"""Cohere: chat, embeddings and rerank in the second version of its API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pilothouse.gateway.providers.compatible import authorised
from pilothouse.gateway.providers.forms import CHAT, Headers, base_of, passed
from pilothouse.gateway.providers.interface import Outgoing, Refused
from pilothouse.gateway.providers.refused import Refusals
from pilothouse.gateway.types import Dialect, Wire
from pilothouse.models.client import ProviderContext
from pilothouse.models.connection_types import TYPES
from pilothouse.models.types import Connection

_PATHS: Final[dict[Wire, str]] = {
    "cohere.chat": "/v2/chat",
    "cohere.embed": "/v2/embed",
    "cohere.rerank": "/v2/rerank",
}


class CohereProvider:
    """Cohere's own servers, or one that speaks as they do.

    Args:
        base: The address before the version.
        headers: The key.
        refusals: Reads its errors.
    """

    name = "cohere"
    dialect: Dialect = "cohere"
    slots: int | None = None

    def __init__(self, *, base: str, headers: Headers, refusals: Refusals) -> None:
        self._urls = {wire: f"{base}{path}" for wire, path in _PATHS.items()}
        self._headers = passed(headers, {}, ())
        self._refusals = refusals

    def wire(self, wanted: Wire) -> Wire | None:
        """Return the form to speak for a call of another form."""
        if wanted in _PATHS:
            return wanted
        if wanted == "openai.embeddings":
            return "cohere.embed"
        return "cohere.chat" if wanted in CHAT else None

    def outgoing(self, wire: Wire, model: str, body: bytes, *, stream: bool, headers: Mapping[str, str]) -> Outgoing:
        """Return the request to send; the model stands in the body."""
        return Outgoing(method="POST", url=self._urls[wire], headers=self._headers, body=body)

    def refused(self, status: int, headers: Mapping[str, str], body: bytes) -> Refused:
        """Read an answer that says no."""
        return self._refusals.read(status, headers, body)

    async def prepare(self) -> None:
        """Nothing expires."""

    async def aclose(self) -> None:
        """Nothing is held."""


def build(connection: Connection, context: ProviderContext) -> CohereProvider:
    """Return the provider of a connection of type ``cohere``."""
    base = base_of(connection.get("base_url", TYPES["cohere"].fields["base_url"].default))
    return CohereProvider(
        base=base.removesuffix("/v1").removesuffix("/v2"),
        headers=authorised(connection),
        refusals=Refusals(connection.secrets.values(), context.clock),
    )
