"""Calls of the services behind built-in tools: JSON in, JSON out, tried again where that helps, keys in no message."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

import msgspec
from msgspec import Struct
from pyreqwest.client import Client
from pyreqwest.exceptions import PyreqwestError
from pyreqwest.request import ConsumedRequest

from pilothouse.core.errors import ConnectionFault
from pilothouse.models.http_client import client_builder
from pilothouse.models.secret import Secret, redact

_TRIES = 4
_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_TIMEOUT = timedelta(seconds=60)
_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
_SHOWN = 400


class Request(Struct, frozen=True, kw_only=True):
    """One call.

    Attributes:
        method: ``GET`` or ``POST``.
        url: The address, without what is in ``query``.
        query: Parameters of the address; None is left out.
        headers: Headers; secrets in them do not show in the library's own messages.
        body: What is sent as JSON; None for nothing.
        secrets: What must show in no message.
    """

    method: str
    url: str
    query: Mapping[str, Any] = {}
    headers: Mapping[str, str] = {}
    body: Any = None
    secrets: tuple[Secret, ...] = ()


class Reply(Struct, frozen=True, kw_only=True):
    """An answer: its status, its JSON (None where it is not JSON) and its text without secrets."""

    status: int
    data: Any
    text: str


class Unreachable(Exception):
    """The service could not be reached, or broke off; the message holds no secret."""


async def send(request: Request) -> Reply:
    """Send a request; one that the service cannot take just now is sent again, with growing pauses.

    Raises:
        ConnectionFault: when the address or the key cannot be sent at all.
        Unreachable: when no answer came.
    """
    async with client_builder().timeout(_TIMEOUT).follow_redirects(False).build() as client:
        for attempt in range(_TRIES):
            is_last = attempt == _TRIES - 1
            pause = min(_PAUSE * 2**attempt, _LONGEST_PAUSE)
            try:
                response = await _built(client, request).send()
                reply = _read(response.status, bytes(await response.bytes()), request.secrets)
                pause = _asked_pause(response.get_header("retry-after"), pause)
            except PyreqwestError as error:
                if is_last:
                    reason = redact(f"{type(error).__name__}: {error}", request.secrets)
                    raise Unreachable(reason) from None
            else:
                if is_last or reply.status not in _AGAIN:
                    return reply
            await asyncio.sleep(pause)
    raise AssertionError("the last attempt returns or raises")


def _built(client: Client, request: Request) -> ConsumedRequest:
    try:
        builder = client.request(request.method, request.url)
        given = {key: str(value) for key, value in request.query.items() if value is not None}
        builder = builder.query(given) if given else builder
        for name, value in request.headers.items():
            builder = builder.header(name, value, is_sensitive=True)
        if request.body is not None:
            builder = builder.header("content-type", "application/json").body_bytes(msgspec.json.encode(request.body))
        return builder.build()
    except ValueError:
        # The cause is left out: it may quote the key.
        raise ConnectionFault(
            f"the address or the key cannot be sent: {redact(request.url, request.secrets)}",
            expected="an address such as https://host, and a key without spaces or line ends inside",
        ) from None


def _read(status: int, body: bytes, secrets: Iterable[Secret]) -> Reply:
    text = redact(body.decode("utf-8", errors="replace"), secrets)
    try:
        data: Any = msgspec.json.decode(text)
    except msgspec.DecodeError:
        data = None
    return Reply(status=status, data=data, text=text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")


def _asked_pause(header: str | None, pause: float) -> float:
    try:
        return min(max(float(header or ""), 0.0), _LONGEST_PAUSE)
    except ValueError:
        return pause
