"""Amazon's Bedrock: requests signed with keys of its own or of the machine, or a bearer key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from pilothouse.core.errors import ConnectionFault
from pilothouse.core.extras import require
from pilothouse.gateway.providers.forms import CHAT, Headers, base_of
from pilothouse.gateway.providers.interface import Outgoing, Refused
from pilothouse.gateway.providers.refused import Refusals
from pilothouse.gateway.providers.tokens import Renewed
from pilothouse.gateway.types import Dialect, Wire
from pilothouse.models.client import ProviderContext
from pilothouse.models.providers.openai import bearer
from pilothouse.models.secret import Secret
from pilothouse.models.types import Connection

SERVICE: Final = "bedrock"
"""The name that requests are signed for."""

_LOOKED_AGAIN: Final = 600.0
"""Seconds after which credentials are asked for anew; botocore itself renews those that expire."""

_FIXED: Final = (("content-type", "application/json"), ("accept", "application/json"))
_STREAMED: Final = (("content-type", "application/json"), ("accept", "application/vnd.amazon.eventstream"))
_SIGNED: Final = frozenset(("authorization", "x-amz-security-token"))


class Signer:
    """Signs requests (SigV4).

    Args:
        connection: Holds keys, or the name of a profile, or neither.
        context: Holds the clock.

    Raises:
        ConfigError: where the package for it is not installed.
    """

    def __init__(self, connection: Connection, context: ProviderContext) -> None:
        purpose = f"the connection '{connection.name}' (signed requests)"
        self._auth = require("botocore.auth", extra="bedrock", purpose=purpose)
        self._request = require("botocore.awsrequest", extra="bedrock", purpose=purpose).AWSRequest
        faults = require("botocore.exceptions", extra="bedrock", purpose=purpose)
        self._region = connection.get("region")
        self._credentials: Renewed[Any] = Renewed(
            _finder(connection, purpose, context),
            faults=(faults.BotoCoreError, faults.ClientError, LookupError),
            where=f"connection '{connection.name}'",
            secrets=tuple(connection.secrets.values()),
            clock=context.clock,
        )

    def sign(self, url: str, headers: Headers, body: bytes) -> Headers:
        """Return the headers with those of the signature."""
        request = self._request(method="POST", url=url, data=body, headers=dict(headers))
        self._auth.SigV4Auth(self._credentials.value, SERVICE, self._region).add_auth(request)
        signed: list[tuple[str, str | Secret]] = []
        for name, value in request.headers.items():
            lower = name.lower()
            signed.append((lower, Secret(value) if lower in _SIGNED else value))
        return tuple(signed)

    async def ready(self) -> None:
        """Find or renew the credentials."""
        await self._credentials.ready()

    def forget(self) -> None:
        """Have the credentials looked for anew."""
        self._credentials.forget()

    async def close(self) -> None:
        """End a search under way."""
        await self._credentials.close()


class BedrockProvider:
    """The models of one region.

    Args:
        base: The address before ``/model``.
        signer: Signs; None where ``headers`` holds a bearer key.
        headers: The bearer key.
        refusals: Reads its errors.
    """

    name = "aws.bedrock"
    dialect: Dialect = "bedrock"
    slots: int | None = None

    def __init__(self, *, base: str, signer: Signer | None, headers: Headers, refusals: Refusals) -> None:
        self._base = base
        self._signer = signer
        self._headers = headers
        self._refusals = refusals

    def wire(self, wanted: Wire) -> Wire | None:
        """Return the form to speak for a call of another form."""
        if wanted in {"bedrock.converse", "bedrock.embed"}:
            return wanted
        if wanted == "openai.embeddings":
            return "bedrock.embed"
        return "bedrock.converse" if wanted in CHAT else None

    def outgoing(self, wire: Wire, model: str, body: bytes, *, stream: bool, headers: Mapping[str, str]) -> Outgoing:
        """Return the request to send, signed."""
        verb = "invoke" if wire == "bedrock.embed" else "converse-stream" if stream else "converse"
        # An inference profile's name has slashes and colons that must not cut the path.
        url = f"{self._base}/model/{quote(model, safe='')}/{verb}"
        fixed = _STREAMED if stream else _FIXED
        fields = (*fixed, *self._headers) if self._signer is None else self._signer.sign(url, fixed, body)
        return Outgoing(method="POST", url=url, headers=fields, body=body)

    def refused(self, status: int, headers: Mapping[str, str], body: bytes) -> Refused:
        """Read an answer that says no; credentials that expired are looked for anew."""
        if self._signer is not None and (status == 403 or b"xpired" in body[:4096]):
            self._signer.forget()
        return self._refusals.read(status, headers, body)

    async def prepare(self) -> None:
        """Find or renew the credentials."""
        if self._signer is not None:
            await self._signer.ready()

    async def aclose(self) -> None:
        """End a search under way."""
        if self._signer is not None:
            await self._signer.close()


def build(connection: Connection, context: ProviderContext) -> BedrockProvider:
    """Return the provider of a connection of type ``bedrock``.

    With `api_key` that key is sent; else requests are signed: with `access_key_id` and `secret_access_key`, or with
    what botocore finds (the `profile`, the environment, the machine's role).

    Raises:
        ConfigError: where requests are to be signed and the package for it is not installed.
        ConnectionFault: for half a pair of keys.
    """
    region = connection.get("region")
    if bool(connection.get("access_key_id")) != bool(connection.get("secret_access_key")):
        raise ConnectionFault(
            f"the connection '{connection.name}' has half a pair of keys",
            where=connection.where or None,
            expected="both `access_key_id` and `secret_access_key`, or neither",
        )
    has_key = bool(connection.get("api_key"))
    return BedrockProvider(
        base=base_of(connection.get("base_url", f"https://bedrock-runtime.{region}.amazonaws.com")),
        signer=None if has_key else Signer(connection, context),
        headers=(("authorization", bearer(connection)),) if has_key else (),
        refusals=Refusals(connection.secrets.values(), context.clock),
    )


def _finder(connection: Connection, purpose: str, context: ProviderContext) -> Any:
    if connection.get("access_key_id"):
        credentials = require("botocore.credentials", extra="bedrock", purpose=purpose).Credentials(
            connection.get("access_key_id"),
            connection.get("secret_access_key"),
            connection.get("session_token") or None,
        )
        return lambda: (credentials, float("inf"))
    session = require("botocore.session", extra="bedrock", purpose=purpose)
    found: list[Any] = []

    def find() -> tuple[Any, float]:
        if not found:
            found.append(session.Session(profile=connection.get("profile") or None).get_credentials())
        if found[0] is None:
            found.clear()
            raise LookupError("neither the connection nor the machine holds credentials of Amazon")
        frozen = found[0].get_frozen_credentials()
        return frozen, context.clock.now().timestamp() + _LOOKED_AGAIN

    return find
