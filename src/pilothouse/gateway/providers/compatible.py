"""Servers that speak as OpenAI does: Mistral, Ollama, vLLM, Azure's serverless endpoints, and any other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from pilothouse.gateway.providers.forms import CHAT, OPERATIONS, Headers, base_of, operation, passed
from pilothouse.gateway.providers.interface import Outgoing, Refused
from pilothouse.gateway.providers.refused import Refusals
from pilothouse.gateway.types import Dialect, Wire
from pilothouse.models.client import ProviderContext
from pilothouse.models.connection_types import TYPES
from pilothouse.models.providers.openai import bearer, provider_of
from pilothouse.models.types import Connection

_PASSED: Final = ("openai-beta", "idempotency-key")


class Kind(Struct, frozen=True, kw_only=True):
    """One kind of server.

    Attributes:
        name: By OpenTelemetry's name; empty where the host's name tells.
        address: The connection's field with the base address.
        suffix: What the base address must end with; put there where it does not.
        wires: The forms it understands.
    """

    name: str = ""
    address: str = "base_url"
    suffix: str = ""
    wires: frozenset[Wire]


_PLAIN: Final[tuple[Wire, ...]] = ("openai.chat", "openai.completions", "openai.embeddings")

KINDS: Final[dict[str, Kind]] = {
    "openai_compatible": Kind(wires=frozenset((*OPERATIONS, "openai.raw")) - {"openai.responses"}),
    "serverless": Kind(
        name="azure.ai.inference", address="api_base", suffix="/v1", wires=frozenset((*_PLAIN, "cohere.rerank"))
    ),
    "mistral": Kind(
        name="mistral_ai",
        wires=frozenset(
            ("openai.chat", "openai.embeddings", "openai.moderations", "openai.transcriptions", "openai.raw")
        ),
    ),
    "ollama": Kind(name="ollama", suffix="/v1", wires=frozenset(_PLAIN)),
    "vllm": Kind(
        name="vllm",
        suffix="/v1",
        wires=frozenset((*_PLAIN, "openai.responses", "openai.transcriptions", "cohere.rerank")),
    ),
}
"""By type of connection."""


class CompatibleProvider:
    """A server that speaks as OpenAI does.

    Args:
        name: By OpenTelemetry's name.
        base: The address before the operation.
        headers: Sent with each call.
        wires: The forms it understands; other forms of a conversation become ``openai.chat``.
        refusals: Reads its errors.
    """

    dialect: Dialect = "openai"
    slots: int | None = None

    def __init__(self, *, name: str, base: str, headers: Headers, wires: frozenset[Wire], refusals: Refusals) -> None:
        self.name = name
        self._base = base
        self._headers = headers
        self._wires = wires
        self._refusals = refusals

    def wire(self, wanted: Wire) -> Wire | None:
        """Return the form to speak for a call of another form."""
        if wanted in self._wires:
            return wanted
        return "openai.chat" if wanted in CHAT else None

    def outgoing(self, wire: Wire, model: str, body: bytes, *, stream: bool, headers: Mapping[str, str]) -> Outgoing:
        """Return the request to send; the model stands in the body."""
        method, path = operation(wire, headers)
        return Outgoing(
            method=method,
            url=f"{self._base}/{path}",
            headers=passed(self._headers, headers, _PASSED),
            body=body,
        )

    def refused(self, status: int, headers: Mapping[str, str], body: bytes) -> Refused:
        """Read an answer that says no."""
        return self._refusals.read(status, headers, body)

    async def prepare(self) -> None:
        """Nothing expires."""

    async def aclose(self) -> None:
        """Nothing is held."""


def build(connection: Connection, context: ProviderContext) -> CompatibleProvider:
    """Return the provider of a connection of one of the ``KINDS``, or of ``open_ai`` at another host than OpenAI's."""
    kind = KINDS.get(connection.type, KINDS["openai_compatible"])
    base = base_of(connection.get(kind.address, TYPES[connection.type].fields[kind.address].default))
    if kind.suffix and not base.endswith(kind.suffix):
        base += kind.suffix
    return CompatibleProvider(
        name=kind.name or provider_of(base),
        base=base,
        headers=authorised(connection),
        wires=kind.wires,
        refusals=Refusals(connection.secrets.values(), context.clock),
    )


def authorised(connection: Connection) -> Headers:
    """Return the header with the key; nothing where a server of one's own asks for none."""
    return (("authorization", bearer(connection)),) if connection.get("api_key") else ()
