"""From a connection to the vendor's side of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from pilothouse.core.errors import ConnectionFault
from pilothouse.gateway.providers import anthropic, azure_openai, bedrock, cohere, compatible, gemini, openai, vertex
from pilothouse.gateway.providers.interface import Provider
from pilothouse.models.client import ProviderContext
from pilothouse.models.connection_types import TYPES
from pilothouse.models.providers.openai import provider_of
from pilothouse.models.types import Connection

IN_PROCESS: Final = frozenset(("local", "scripted"))
"""Types of connections that are served without a request over the network."""


def _open_ai(connection: Connection, context: ProviderContext) -> Provider:
    base = connection.get("base_url", TYPES["open_ai"].fields["base_url"].default)
    build = openai.build if provider_of(base) == "openai" else compatible.build
    return build(connection, context)


_BUILDERS: Final[dict[str, Callable[[Connection, ProviderContext], Provider]]] = {
    "open_ai": _open_ai,
    "azure_open_ai": azure_openai.build,
    "anthropic": anthropic.build,
    "bedrock": bedrock.build,
    "cohere": cohere.build,
    "gemini": gemini.build,
    "vertex": vertex.build,
    **dict.fromkeys(("serverless", "mistral", "ollama", "vllm"), compatible.build),
}


def build_provider(connection: Connection, context: ProviderContext) -> Provider:
    """Return the vendor's side of a connection.

    Raises:
        ConnectionFault: for a connection without models, one that is served in process, or one without an address.
        ConfigError: where the package that it needs is not installed.
    """
    if connection.type in IN_PROCESS:
        raise ConnectionFault(
            f"the connection '{connection.name}' is served in process: no request is sent for it",
            where=connection.where or None,
        )
    if connection.type not in _BUILDERS:
        raise ConnectionFault(
            f"the connection '{connection.name}' is of type {connection.type}: there are no models behind it",
            where=connection.where or None,
            expected=f"a connection of type {', '.join(_BUILDERS)}",
        )
    for field in ("base_url", "api_base"):
        _check(connection, field)
    return _BUILDERS[connection.type](connection, context)


def _check(connection: Connection, field: str) -> None:
    rule = TYPES[connection.type].fields.get(field)
    if rule is None:
        return
    address = connection.get(field, rule.default)
    try:
        parts = urlsplit(address)
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname) and not (parts.query or parts.fragment)
    except ValueError:
        is_address = False
    if address and not is_address:
        raise ConnectionFault(
            f"the '{field}' of the connection '{connection.name}' is no address",
            where=connection.where or None,
            expected="an address such as https://host/v1",
        )
