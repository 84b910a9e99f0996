"""Azure OpenAI: an address per deployment and a dated version, or its newer form without them; a key or a token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

import msgspec

from pilothouse.core.extras import require
from pilothouse.gateway.providers.forms import CHAT, OPERATIONS, Headers, base_of, operation, passed, segment
from pilothouse.gateway.providers.interface import Outgoing, Refused
from pilothouse.gateway.providers.openai import renamed
from pilothouse.gateway.providers.refused import Refusals
from pilothouse.gateway.providers.tokens import Renewed
from pilothouse.gateway.types import Body, Dialect, Wire
from pilothouse.models.client import ProviderContext
from pilothouse.models.providers.openai import bearer
from pilothouse.models.secret import Secret
from pilothouse.models.types import Connection

SCOPE: Final = "https://cognitiveservices.azure.com/.default"
"""What an Entra token is asked for."""

_UNDATED: Final = frozenset(("v1", "preview", "latest"))
_RESPONSES_SINCE: Final = "2025-03-01"
_STREAM_USAGE_SINCE: Final = "2024-09-01"
_ELSEWHERE: Final[frozenset[Wire]] = frozenset(("openai.moderations", "cohere.rerank"))
_WITHOUT_DEPLOYMENT: Final[frozenset[Wire]] = frozenset(("openai.responses", "openai.raw"))
_PASSED: Final = ("idempotency-key",)
_BODY: Final = msgspec.json.Decoder(Body)


class AzureOpenAiProvider:
    """One Azure resource; a model is the name of a deployment there.

    Args:
        base: The resource's address, without ``/openai``.
        version: Of the API: a date, or ``v1``, ``preview`` or ``latest`` for the form without one.
        headers: The key, or a token that is given.
        token: Fetches tokens; None where ``headers`` holds what is needed.
        refusals: Reads its errors.
    """

    name = "azure.ai.openai"
    dialect: Dialect = "openai"
    slots: int | None = None

    def __init__(
        self, *, base: str, version: str, headers: Headers, token: Renewed[Secret] | None, refusals: Refusals
    ) -> None:
        self._base = base
        self._version = version
        self._is_dated = version not in _UNDATED
        self._headers = headers
        self._token = token
        self._refusals = refusals

    def wire(self, wanted: Wire) -> Wire | None:
        """Return the form to speak for a call of another form."""
        if wanted == "openai.responses" and self._is_dated and self._version[:10] < _RESPONSES_SINCE:
            return "openai.chat"
        if wanted == "openai.raw" or (wanted in OPERATIONS and wanted not in _ELSEWHERE):
            return wanted
        return "openai.chat" if wanted in CHAT else None

    def outgoing(self, wire: Wire, model: str, body: bytes, *, stream: bool, headers: Mapping[str, str]) -> Outgoing:
        """Return the request to send."""
        method, path = operation(wire, headers)
        body = renamed(wire, model, body)
        if stream and self._is_dated and self._version[:10] < _STREAM_USAGE_SINCE:
            body = _without_options(body)
        fixed = self._headers if self._token is None else (*self._headers, ("authorization", self._token.value))
        return Outgoing(
            method=method,
            url=self._url(wire, model, path),
            headers=passed(fixed, headers, _PASSED),
            body=body,
        )

    def _url(self, wire: Wire, model: str, path: str) -> str:
        if not self._is_dated:
            # The form without dates is `v1`; the others are its previews.
            suffix = "" if self._version == "v1" else f"{'&' if '?' in path else '?'}api-version={self._version}"
            return f"{self._base}/openai/v1/{path}{suffix}"
        place = "" if wire in _WITHOUT_DEPLOYMENT else f"deployments/{segment(model)}/"
        joint = "&" if "?" in path else "?"
        return f"{self._base}/openai/{place}{path}{joint}api-version={self._version}"

    def refused(self, status: int, headers: Mapping[str, str], body: bytes) -> Refused:
        """Read an answer that says no; a token that was refused is fetched anew."""
        if status == 401 and self._token is not None:
            self._token.forget()
        return self._refusals.read(status, headers, body)

    async def prepare(self) -> None:
        """Renew the token where one is fetched."""
        if self._token is not None:
            await self._token.ready()

    async def aclose(self) -> None:
        """End a fetch under way."""
        if self._token is not None:
            await self._token.close()


def build(connection: Connection, context: ProviderContext) -> AzureOpenAiProvider:
    """Return the provider of a connection of type ``azure_open_ai``.

    With `auth_mode: meid_token` the connection's token is sent; with `entra` one is fetched with the default chain of
    credentials (environment, workload or managed identity, the command line's login).

    Raises:
        ConfigError: where a token is to be fetched and the package for it is not installed.
    """
    headers: Headers = ()
    mode = connection.get("auth_mode")
    if mode == "meid_token":
        headers = (("authorization", bearer(connection, "token")),)
    elif mode != "entra":
        headers = (("api-key", connection.secrets["api_key"]),)
    token = _entra(connection, context) if mode == "entra" else None
    return AzureOpenAiProvider(
        base=base_of(connection.get("api_base")).removesuffix("/openai"),
        version=quote(connection.get("api_version")),
        headers=headers,
        token=token,
        refusals=Refusals(connection.secrets.values(), context.clock),
    )


def _entra(connection: Connection, context: ProviderContext) -> Renewed[Secret]:
    purpose = f"the connection '{connection.name}' (a token of Entra)"
    identity = require("azure.identity", extra="entra", purpose=purpose)
    faults = require("azure.core.exceptions", extra="entra", purpose=purpose)
    credential = identity.DefaultAzureCredential()

    def fetch() -> tuple[Secret, float]:
        token = credential.get_token(SCOPE)
        return Secret(f"Bearer {token.token}"), float(token.expires_on)

    return Renewed(
        fetch,
        faults=(faults.AzureError,),
        where=f"connection '{connection.name}'",
        secrets=tuple(connection.secrets.values()),
        clock=context.clock,
    )


def _without_options(body: bytes) -> bytes:
    """Return a body without ``stream_options``, which older versions of the API refuse."""
    if b'"stream_options"' not in body:
        return body
    fields = _BODY.decode(body)
    fields.pop("stream_options", None)
    return msgspec.json.encode(fields)
