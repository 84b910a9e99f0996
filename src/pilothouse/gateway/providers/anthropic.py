"""Anthropic: its messages and the count of their tokens, as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pilothouse.gateway.providers.forms import CHAT, Headers, base_of, passed
from pilothouse.gateway.providers.interface import Outgoing, Refused
from pilothouse.gateway.providers.refused import Refusals
from pilothouse.gateway.types import Dialect, Wire
from pilothouse.models.client import ProviderContext
from pilothouse.models.connection_types import TYPES
from pilothouse.models.types import Connection

VERSION: Final = "2023-06-01"
"""Of the API, where the client names none."""

_PATHS: Final[dict[Wire, str]] = {
    "anthropic.messages": "/v1/messages",
    "anthropic.count_tokens": "/v1/messages/count_tokens",
}
_PASSED: Final = ("anthropic-version", "anthropic-beta", "idempotency-key")


class AnthropicProvider:
    """Anthropic's own servers, or one that speaks as they do.

    Args:
        base: The address before ``/v1``.
        headers: The key.
        refusals: Reads its errors.
    """

    name = "anthropic"
    dialect: Dialect = "anthropic"
    slots: int | None = None

    def __init__(self, *, base: str, headers: Headers, refusals: Refusals) -> None:
        self._urls = {wire: f"{base}{path}" for wire, path in _PATHS.items()}
        self._headers = headers
        self._refusals = refusals

    def wire(self, wanted: Wire) -> Wire | None:
        """Return the form to speak for a call of another form."""
        if wanted in _PATHS:
            return wanted
        return "anthropic.messages" if wanted in CHAT else None

    def outgoing(self, wire: Wire, model: str, body: bytes, *, stream: bool, headers: Mapping[str, str]) -> Outgoing:
        """Return the request to send; the model stands in the body."""
        fields = passed(self._headers, headers, _PASSED)
        if "anthropic-version" not in headers:
            fields = (*fields, ("anthropic-version", VERSION))
        return Outgoing(method="POST", url=self._urls[wire], headers=fields, body=body)

    def refused(self, status: int, headers: Mapping[str, str], body: bytes) -> Refused:
        """Read an answer that says no."""
        return self._refusals.read(status, headers, body)

    async def prepare(self) -> None:
        """Nothing expires."""

    async def aclose(self) -> None:
        """Nothing is held."""


def build(connection: Connection, context: ProviderContext) -> AnthropicProvider:
    """Return the provider of a connection of type ``anthropic``."""
    base = base_of(connection.get("base_url", TYPES["anthropic"].fields["base_url"].default))
    return AnthropicProvider(
        base=base.removesuffix("/v1"),
        headers=(("x-api-key", connection.secrets["api_key"]),),
        refusals=Refusals(connection.secrets.values(), context.clock),
    )
