"""Connection `azure_open_ai`: one address per deployment, a dated version of the API, a key or a token."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from pilothouse.models.client import ProviderContext
from pilothouse.models.providers.dialect import DialectClient, Endpoint
from pilothouse.models.providers.elsewhere import through_gateway
from pilothouse.models.providers.openai import adapt, bearer, transport
from pilothouse.models.secret import Secret
from pilothouse.models.types import Connection

_STREAM_USAGE_SINCE: Final = "2024-09-01"
"""Older versions of the API refuse `stream_options`."""


def build(connection: Connection, context: ProviderContext) -> DialectClient:
    """Return the client of a connection; a request's model is the name of a deployment."""
    if connection.get("auth_mode") == "entra":
        raise through_gateway(connection)
    base = connection.get("api_base").rstrip("/")
    version = connection.get("api_version")
    key: dict[str, Secret | str] = (
        {"authorization": bearer(connection, "token")}
        if connection.get("auth_mode") == "meid_token"
        else {"api-key": connection.secrets["api_key"]}
    )
    endpoint = Endpoint(
        provider="azure.ai.openai",
        address=lambda operation, model: (
            f"{base}/openai/deployments/{quote(model, safe='')}/{operation}?api-version={quote(version)}"
        ),
        headers=key,
        adapt=_adapt,
        stream_usage=version[:10] >= _STREAM_USAGE_SINCE,
    )
    return DialectClient(endpoint, transport(connection, context), connection.name)


def _adapt(body: dict[str, Any]) -> dict[str, Any]:
    body = adapt(body)
    # The deployment in the address decides.
    body.pop("model", None)
    return body
