"""Google's Gemini with a key: the model and the verb stand in the address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pilothouse.gateway.providers.forms import CHAT, Headers, base_of, passed, segment
from pilothouse.gateway.providers.interface import Outgoing, Refused
from pilothouse.gateway.providers.refused import Refusals
from pilothouse.gateway.types import Dialect, Wire
from pilothouse.models.client import ProviderContext
from pilothouse.models.connection_types import TYPES
from pilothouse.models.types import Connection

STREAM: Final = "streamGenerateContent?alt=sse"
_TUNED: Final = "tunedModels/"
WHOLE: Final = "generateContent"


class GeminiProvider:
    """The Gemini API.

    Args:
        base: The address before ``/models``, its version included.
        headers: The key.
        refusals: Reads its errors.
    """

    name = "gcp.gemini"
    dialect: Dialect = "gemini"
    slots: int | None = None

    def __init__(self, *, base: str, headers: Headers, refusals: Refusals) -> None:
        self._base = base
        self._headers = headers
        self._refusals = refusals

    def wire(self, wanted: Wire) -> Wire | None:
        """Return the form to speak for a call of another form."""
        if wanted in {"gemini.generate", "gemini.embed"}:
            return wanted
        if wanted == "openai.embeddings":
            return "gemini.embed"
        return "gemini.generate" if wanted in CHAT else None

    def outgoing(self, wire: Wire, model: str, body: bytes, *, stream: bool, headers: Mapping[str, str]) -> Outgoing:
        """Return the request to send."""
        # Tuned models have a place of their own.
        place = "tunedModels" if model.startswith(_TUNED) else "models"
        name = model.removeprefix(f"{place}/")
        verb = "batchEmbedContents" if wire == "gemini.embed" else STREAM if stream else WHOLE
        return Outgoing(
            method="POST",
            url=f"{self._base}/{place}/{segment(name)}:{verb}",
            headers=passed(self._headers, {}, ()),
            body=body,
        )

    def refused(self, status: int, headers: Mapping[str, str], body: bytes) -> Refused:
        """Read an answer that says no."""
        return self._refusals.read(status, headers, body)

    async def prepare(self) -> None:
        """Nothing expires."""

    async def aclose(self) -> None:
        """Nothing is held."""


def build(connection: Connection, context: ProviderContext) -> GeminiProvider:
    """Return the provider of a connection of type ``gemini``."""
    return GeminiProvider(
        base=base_of(connection.get("base_url", TYPES["gemini"].fields["base_url"].default)),
        headers=(("x-goog-api-key", connection.secrets["api_key"]),),
        refusals=Refusals(connection.secrets.values(), context.clock),
    )
