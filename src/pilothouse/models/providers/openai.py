"""Connections `open_ai` and `serverless`: OpenAI, and every server that speaks its dialect."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import urlsplit

from pilothouse.models.client import ProviderContext
from pilothouse.models.connection_types import TYPES
from pilothouse.models.providers.dialect import DialectClient, Endpoint
from pilothouse.models.providers.http import HttpTransport
from pilothouse.models.secret import Secret
from pilothouse.models.types import Connection

PROVIDERS: Final = {
    "api.openai.com": "openai",
    "eu.api.openai.com": "openai",
    "us.api.openai.com": "openai",
    "api.groq.com": "groq",
    "api.deepseek.com": "deepseek",
    "api.mistral.ai": "mistral_ai",
    "api.x.ai": "x_ai",
    "api.perplexity.ai": "perplexity",
    "api.together.xyz": "together",
    "api.fireworks.ai": "fireworks",
    "api.cerebras.ai": "cerebras",
    "api.cohere.ai": "cohere",
    "api.anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "openrouter.ai": "openrouter",
}
"""Hosts whose prices are known. Any other host is `openai_compatible`: its prices are unknown."""

COMPATIBLE: Final = "openai_compatible"

_COMPATIBLE: Final = {
    "mistral": ("mistral_ai", "/v1"),
    "ollama": ("ollama", "/v1"),
    "vllm": ("vllm", "/v1"),
    "cohere": ("cohere", "/compatibility/v1"),
    "gemini": ("gcp.gemini", "/openai"),
}
"""Type of connection to OpenTelemetry's name and what the address ends with."""

_REASONING = re.compile(r"(o\d|gpt-5)")


def build(connection: Connection, context: ProviderContext) -> DialectClient:
    """Return the client of a connection of type `open_ai`."""
    base = connection.get("base_url", TYPES["open_ai"].fields["base_url"].default).rstrip("/")
    headers: dict[str, Secret | str] = {}
    if connection.get("api_key"):
        headers["authorization"] = bearer(connection)
    for field, header in (("organization", "openai-organization"), ("project", "openai-project")):
        if connection.get(field):
            headers[header] = connection.get(field)
    provider = provider_of(base)
    endpoint = Endpoint(
        provider=provider,
        address=lambda operation, model: f"{base}/{operation}",
        headers=headers,
        adapt=adapt if provider == "openai" else dict,
    )
    # A server of one's own, such as a gateway, records its side in the same trace; a vendor need not know of it.
    own = transport(connection, context, names_span=provider == COMPATIBLE)
    return DialectClient(endpoint, own, connection.name)


def provider_of(base: str) -> str:
    """Return who answers at an address, by OpenTelemetry's name."""
    try:
        return PROVIDERS.get(urlsplit(base).hostname or "", COMPATIBLE)
    except ValueError:  # no address at all: the first call says so
        return COMPATIBLE


def build_compatible(connection: Connection, context: ProviderContext) -> DialectClient:
    """Return the client of a connection of type `mistral`, `ollama`, `vllm`, `cohere` or `gemini`.

    All of them offer OpenAI's dialect, the last two below an address of its own.
    """
    base = connection.get("base_url", TYPES[connection.type].fields["base_url"].default).rstrip("/")
    provider, suffix = _COMPATIBLE[connection.type]
    base = base if base.endswith(suffix) else f"{base}{suffix}"
    endpoint = Endpoint(
        provider=provider,
        address=lambda operation, model: f"{base}/{operation}",
        headers={"authorization": bearer(connection)} if connection.get("api_key") else {},
    )
    return DialectClient(endpoint, transport(connection, context), connection.name)


def build_serverless(connection: Connection, context: ProviderContext) -> DialectClient:
    """Return the client of a connection of type `serverless`; the address gets `/v1` where it has none."""
    base = connection.get("api_base").rstrip("/")
    base = base if base.endswith("/v1") else f"{base}/v1"
    endpoint = Endpoint(
        provider="azure.ai.inference",
        address=lambda operation, model: f"{base}/{operation}",
        headers={"authorization": bearer(connection)},
    )
    return DialectClient(endpoint, transport(connection, context), connection.name)


def transport(connection: Connection, context: ProviderContext, *, names_span: bool = False) -> HttpTransport:
    """Return the HTTP client of a connection."""
    return HttpTransport(
        where=f"connection '{connection.name}'",
        timeouts=context.settings.timeouts,
        secrets=connection.secrets.values(),
        clock=context.clock,
        names_span=names_span,
    )


def bearer(connection: Connection, field: str = "api_key") -> Secret:
    """Return the value of the header `Authorization`."""
    return Secret(f"Bearer {connection.get(field)}")


def adapt(body: dict[str, Any]) -> dict[str, Any]:
    """Name the limit of tokens as OpenAI's reasoning models want it: they refuse `max_tokens`."""
    if "max_tokens" in body and _REASONING.match(str(body.get("model", ""))):
        body.setdefault("max_completion_tokens", body["max_tokens"])
        del body["max_tokens"]
    return body
