"""Google's Vertex AI: its own models and Anthropic's, with access tokens of a service account or of the machine."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import UTC
from typing import Any, Final, cast
from urllib.parse import quote

import msgspec

from pilothouse.core.errors import ConnectionFault
from pilothouse.core.extras import require
from pilothouse.gateway.dialects.embeddings import predicted
from pilothouse.gateway.providers.forms import CHAT, Headers, base_of, passed, segment
from pilothouse.gateway.providers.gemini import STREAM, WHOLE
from pilothouse.gateway.providers.interface import Outgoing, Refused
from pilothouse.gateway.providers.refused import Refusals
from pilothouse.gateway.providers.tokens import Renewed
from pilothouse.gateway.types import Body, Dialect, Wire
from pilothouse.models.client import ProviderContext
from pilothouse.models.providers.openai import bearer
from pilothouse.models.secret import Secret
from pilothouse.models.types import Connection

SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
"""What a token is asked for."""

_ANTHROPIC_VERSION: Final = msgspec.Raw(b'"vertex-2023-10-16"')
_PATIENCE: Final = 20.0
_BODY: Final = msgspec.json.Decoder(Body)
_PASSED: Final = ("anthropic-beta",)


class VertexProvider:
    """One project in one location.

    Args:
        base: The address up to and with the publisher.
        publisher: ``google`` or ``anthropic``.
        token: Fetches tokens; None where ``headers`` holds one.
        headers: A token that is given.
        refusals: Reads its errors.
    """

    slots: int | None = None

    def __init__(
        self, *, base: str, publisher: str, token: Renewed[Secret] | None, headers: Headers, refusals: Refusals
    ) -> None:
        self._base = base
        self._is_anthropic = publisher == "anthropic"
        self.name = "gcp.vertex_ai"
        self.dialect: Dialect = "anthropic" if self._is_anthropic else "gemini"
        self._token = token
        self._headers = headers
        self._refusals = refusals

    def wire(self, wanted: Wire) -> Wire | None:
        """Return the form to speak for a call of another form."""
        if self._is_anthropic:
            if wanted == "anthropic.count_tokens":
                return wanted
            return "anthropic.messages" if wanted in CHAT else None
        if wanted in {"openai.embeddings", "gemini.embed"}:
            return "gemini.embed"
        return "gemini.generate" if wanted in CHAT or wanted == "gemini.generate" else None

    def outgoing(self, wire: Wire, model: str, body: bytes, *, stream: bool, headers: Mapping[str, str]) -> Outgoing:
        """Return the request to send."""
        fixed = self._headers if self._token is None else (("authorization", self._token.value),)
        if wire == "anthropic.count_tokens":
            place, body = "count-tokens:rawPredict", _versioned(body, keeps_model=True)
        elif wire == "anthropic.messages":
            place = f"{segment(model, '@')}:{'streamRawPredict' if stream else 'rawPredict'}"
            body = _versioned(body, keeps_model=False)
        elif wire == "gemini.embed":
            place, body = f"{segment(model, '@')}:predict", predicted(body)
        else:
            place = f"{segment(model, '@')}:{STREAM if stream else WHOLE}"
        return Outgoing(
            method="POST",
            url=f"{self._base}/models/{place}",
            headers=passed(fixed, {"content-type": "application/json", **headers}, _PASSED),
            body=body,
        )

    def refused(self, status: int, headers: Mapping[str, str], body: bytes) -> Refused:
        """Read an answer that says no; a token that was refused is fetched anew."""
        if status == 401 and self._token is not None:
            self._token.forget()
        return self._refusals.read(status, headers, body)

    async def prepare(self) -> None:
        """Renew the token."""
        if self._token is not None:
            await self._token.ready()

    async def aclose(self) -> None:
        """End a fetch under way."""
        if self._token is not None:
            await self._token.close()


def build(connection: Connection, context: ProviderContext) -> VertexProvider:
    """Return the provider of a connection of type ``vertex``.

    A `token` is sent as it is; else tokens are fetched for the `service_account`, or for the default credentials
    of the machine (environment, the command line's login, the metadata server).

    Raises:
        ConfigError: where tokens are to be fetched and the package for it is not installed.
        ConnectionFault: where the service account's key cannot be read.
    """
    location = connection.get("location", "global")
    publisher = connection.get("publisher", "google")
    place = f"projects/{quote(connection.get('project'), safe='')}/locations/{quote(location, safe='')}"
    given = connection.get("token")
    return VertexProvider(
        base=f"{base_of(connection.get('base_url', _host(location)))}/v1/{place}/publishers/{publisher}",
        publisher=publisher,
        headers=(("authorization", bearer(connection, "token")),) if given else (),
        token=None if given else _google(connection, context),
        refusals=Refusals(connection.secrets.values(), context.clock),
    )


def _host(location: str) -> str:
    if location == "global":
        return "https://aiplatform.googleapis.com"
    if location in {"us", "eu"}:
        return f"https://aiplatform.{location}.rep.googleapis.com"
    return f"https://{location}-aiplatform.googleapis.com"


def _versioned(body: bytes, *, keeps_model: bool) -> bytes:
    """Return a body of Anthropic's with the version inside it, as Vertex wants it."""
    fields = _BODY.decode(body)
    if not keeps_model:
        fields.pop("model", None)
    fields["anthropic_version"] = _ANTHROPIC_VERSION
    return msgspec.json.encode(fields)


def _google(connection: Connection, context: ProviderContext) -> Renewed[Secret]:
    purpose = f"the connection '{connection.name}' (a token of Google)"
    auth = require("google.auth", extra="vertex", purpose=purpose)
    faults = require("google.auth.exceptions", extra="vertex", purpose=purpose)
    transport = _transport(faults.TransportError)
    credentials = _service_account(connection, purpose) if connection.get("service_account") else None

    def fetch() -> tuple[Secret, float]:
        nonlocal credentials
        if credentials is None:
            credentials, _ = auth.default(scopes=[SCOPE], request=transport)
        credentials.refresh(transport)
        expiry = credentials.expiry
        ends = expiry.replace(tzinfo=UTC).timestamp() if expiry is not None else float("inf")
        return Secret(f"Bearer {credentials.token}"), ends

    return Renewed(
        fetch,
        faults=(faults.GoogleAuthError, OSError),
        where=f"connection '{connection.name}'",
        secrets=tuple(connection.secrets.values()),
        clock=context.clock,
    )


def _service_account(connection: Connection, purpose: str) -> Any:
    module = require("google.oauth2.service_account", extra="vertex", purpose=purpose)
    try:
        info: Any = msgspec.json.decode(connection.get("service_account"))
        return module.Credentials.from_service_account_info(info, scopes=[SCOPE])
    except (msgspec.DecodeError, ValueError, TypeError, KeyError, AttributeError):
        # The cause is left out: it may quote the key.
        raise ConnectionFault(
            f"the 'service_account' of the connection '{connection.name}' cannot be read",
            where=connection.where or None,
            expected="the JSON of a service account's key, such as ${file:account.json}",
        ) from None


class _Answer:
    """What google-auth wants to know of an answer."""

    def __init__(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
        self.status = status
        self.headers = headers
        self.data = data


def _transport(fault: type[Exception]) -> Any:
    """Return what google-auth fetches tokens with: the standard library, which needs no further package."""

    def send(
        url: str,
        method: str = "GET",
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: object,
    ) -> _Answer:
        if not url.startswith(("https://", "http://")):
            raise fault("the address of a token is no web address")
        data = body.encode() if isinstance(body, str) else body
        request = urllib.request.Request(url, data=data, headers=dict(headers or {}), method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=timeout or _PATIENCE) as answer:  # noqa: S310
                return _Answer(answer.status, dict(answer.headers), cast("bytes", answer.read()))
        except urllib.error.HTTPError as error:
            return _Answer(error.code, dict(error.headers), error.read())
        except OSError as error:
            raise fault(str(error)) from error

    return send
