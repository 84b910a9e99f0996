"""Amazon's Bedrock: requests signed with keys of its own or of the machine, or a bearer key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pilothouse.core.clock import Clock
from pilothouse.core.errors import ConnectionFault
from pilothouse.core.extras import require
from pilothouse.gateway.providers.forms import CHAT, Headers, base_of, segment
from pilothouse.gateway.providers.interface import Outgoing, Refused
from pilothouse.gateway.providers.refused import Refusals
from pilothouse.gateway.providers.sigv4 import Keys, sign
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


class Signer:
    """Signs requests with keys that are kept good.

    Args:
        keys: The keys.
        region: What requests are signed for.
        clock: Requests are signed with the time.
    """

    def __init__(self, keys: Renewed[Keys], region: str, clock: Clock) -> None:
        self.keys = keys
        self._region = region
        self._clock = clock

    def sign(self, url: str, body: bytes) -> Headers:
        """Return the headers of the signature."""
        return sign(self.keys.value, url, body, region=self._region, service=SERVICE, at=self._clock.now())


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
        url = f"{self._base}/model/{segment(model)}/{verb}"
        fixed = _STREAMED if stream else _FIXED
        proof = self._headers if self._signer is None else self._signer.sign(url, body)
        return Outgoing(method="POST", url=url, headers=(*fixed, *proof), body=body)

    def refused(self, status: int, headers: Mapping[str, str], body: bytes) -> Refused:
        """Read an answer that says no; credentials that expired are looked for anew."""
        if self._signer is not None and (status == 403 or b"xpired" in body[:4096]):
            self._signer.keys.forget()
        return self._refusals.read(status, headers, body)

    async def prepare(self) -> None:
        """Find or renew the credentials."""
        if self._signer is not None:
            await self._signer.keys.ready()

    async def aclose(self) -> None:
        """End a search under way."""
        if self._signer is not None:
            await self._signer.keys.close()


def build(connection: Connection, context: ProviderContext) -> BedrockProvider:
    """Return the provider of a connection of type ``bedrock``.

    With `api_key` that key is sent; else requests are signed: with `access_key_id` and `secret_access_key`, or with
    what botocore finds (the `profile`, the environment, the machine's role).

    Raises:
        ConfigError: where keys are to be found and the package for it is not installed.
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
        signer=None if has_key else Signer(_keys(connection, context), region, context.clock),
        headers=(("authorization", bearer(connection)),) if has_key else (),
        refusals=Refusals(connection.secrets.values(), context.clock),
    )


def _keys(connection: Connection, context: ProviderContext) -> Renewed[Keys]:
    where = f"connection '{connection.name}'"
    secrets = tuple(connection.secrets.values())
    if connection.get("access_key_id"):
        given = Keys(
            connection.get("access_key_id"),
            connection.secrets["secret_access_key"],
            connection.secrets.get("session_token"),
        )
        return Renewed(lambda: (given, float("inf")), faults=(), where=where, secrets=secrets, clock=context.clock)
    purpose = f"the connection '{connection.name}' (keys of the machine)"
    botocore = require("botocore.session", extra="bedrock", purpose=purpose)
    faults = require("botocore.exceptions", extra="bedrock", purpose=purpose)
    found: list[Any] = []

    def find() -> tuple[Keys, float]:
        if not found:
            session = botocore.Session(profile=connection.get("profile") or None)
            credentials = session.get_credentials()
            if credentials is None:
                raise LookupError("neither the connection nor the machine holds keys of Amazon")
            found.append(credentials)
        # Keys that end are renewed here.
        now = found[0].get_frozen_credentials()
        token = Secret(now.token) if now.token else None
        return Keys(now.access_key, Secret(now.secret_key), token), context.clock.now().timestamp() + _LOOKED_AGAIN

    kinds = (faults.BotoCoreError, faults.ClientError, LookupError)
    return Renewed(find, faults=kinds, where=where, secrets=secrets, clock=context.clock)
