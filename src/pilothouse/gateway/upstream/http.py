"""Deployments behind HTTP: pooled connections of version 1.1, no redirects, no decompression, no buffering."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from pyreqwest.client import Client
from pyreqwest.exceptions import (
    BuilderError,
    ConnectError,
    ConnectTimeoutError,
    PyreqwestError,
    RequestTimeoutError,
)
from pyreqwest.request import RequestBuilder, StreamRequest
from pyreqwest.response import Response, ResponseBodyReader

from pilothouse.gateway.providers.interface import Outgoing
from pilothouse.gateway.upstream.types import UpstreamFault
from pilothouse.models.http_client import client_builder
from pilothouse.models.secret import Secret

_KEPT: Final = (
    "content-type",
    "content-length",
    "retry-after",
    "retry-after-ms",
    "x-should-retry",
    "x-request-id",
    "request-id",
    "apim-request-id",
    "x-ms-region",
    "x-amzn-requestid",
    "x-amzn-errortype",
    "openai-processing-ms",
)
"""Headers of an answer that somebody may read; looking at each costs less than turning all of them into Python."""

_IDLE: Final = 128
"""Connections to one upstream that are kept for later. All of those of 500 streams at once held 16 MB more."""

_GRACE: Final = 1.0
"""Seconds after which the client's thread ends what the event loop has given up."""


class HttpTransport:
    """Sends requests by pools of connections, one for each time-out of connecting."""

    def __init__(self) -> None:
        self._clients: dict[float, Client] = {}

    async def open(
        self, outgoing: Outgoing, *, connect: float, whole: bool, patience: float | None = None
    ) -> HttpAnswer:
        """Send a request and return when the answer's head has come; of a ``whole`` one, when all of it has.

        Raises:
            UpstreamFault: ``connect`` when nobody is there, ``timeout``, ``cut``, or ``auth`` for a key or an
                address that cannot be sent.
        """
        try:
            request = self._request(outgoing, connect)
            if whole:
                if patience is not None:
                    # Who is cancelled while the pieces meet on the client's thread leaves the connection to it.
                    request = request.timeout(timedelta(seconds=patience + _GRACE))
                # One turn of the loop in place of three.
                response = await request.build().send()
                return HttpAnswer(response, body=bytes(await response.bytes()))
            # The default read buffer holds a whole stream back.
            sending = request.streamed_read_buffer_limit(0).build_streamed()
            return HttpAnswer(await sending.__aenter__(), sending=sending)
        except (ConnectError, ConnectTimeoutError) as error:
            raise UpstreamFault("connect", "no connection to the upstream") from error
        except RequestTimeoutError as error:
            raise UpstreamFault("timeout", "the upstream did not answer in time") from error
        except (BuilderError, ValueError):
            # The cause is left out: it may quote the key.
            raise UpstreamFault("auth", "the address or the key of the connection cannot be sent") from None
        except PyreqwestError as error:
            raise UpstreamFault("cut", "the upstream closed the connection before it had answered") from error

    async def aclose(self) -> None:
        """Close every pool."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.close()

    def _request(self, outgoing: Outgoing, connect: float) -> RequestBuilder:
        client = self._clients.get(connect) or self._open(connect)
        builder = client.request(outgoing.method, outgoing.url)
        for name, value in outgoing.headers:
            if isinstance(value, Secret):
                builder = builder.header(name, value.reveal(), is_sensitive=True)
            else:
                builder = builder.header(name, value)
        return builder.body_bytes(outgoing.body) if outgoing.body else builder

    def _open(self, connect: float) -> Client:
        # HTTP/2 would queue calls beyond some hundred streams on one connection; a redirect would carry the key away.
        builder = client_builder().http1_only().follow_redirects(False).user_agent("pilothouse").tcp_nodelay(True)
        builder = builder.gzip(False).brotli(False).zstd(False).deflate(False).pool_max_idle_per_host(_IDLE)
        client = builder.connect_timeout(timedelta(seconds=connect)).build()
        self._clients[connect] = client
        return client


class HttpAnswer:
    """One answer; see ``Answer``."""

    __slots__ = ("_body", "_reader", "_response", "_sending", "content_type", "status")

    def __init__(self, response: Response, *, sending: StreamRequest | None = None, body: bytes | None = None) -> None:
        self._sending = sending
        self._body = body
        self._reader: ResponseBodyReader | None = response.body_reader if sending is not None else None
        self._response = response
        self.status = response.status
        self.content_type = _header(response, "content-type") or ""

    @property
    def headers(self) -> Mapping[str, str]:
        """Those that somebody may want to read."""
        found = ((name, _header(self._response, name)) for name in _KEPT)
        return {name: value for name, value in found if value is not None}

    async def read(self) -> bytes | None:
        """Return the next piece, or None at the end.

        Raises:
            UpstreamFault: ``cut`` when the answer breaks off or is shorter than it said.
        """
        if self._reader is None:
            body, self._body = self._body, None
            return body
        try:
            piece = await self._reader.read_chunk()
        except PyreqwestError as error:
            raise UpstreamFault("cut", "the upstream broke off inside its answer") from error
        return None if piece is None else bytes(piece)

    async def aclose(self) -> None:
        """Give the connection back, or close it where the answer was not read to its end."""
        sending, self._sending = self._sending, None
        if sending is not None:
            await sending.__aexit__(None, None, None)


def _header(response: Response, name: str) -> str | None:
    """Return a header; None where it is missing, or holds bytes that are no text."""
    try:
        return response.get_header(name)
    except ValueError:
        return None
