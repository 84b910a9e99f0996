"""HTTP to providers: one pooled client, and every way an answer can go wrong told as a ``ModelError``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator, Iterable, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from typing import Final, cast

from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from pyreqwest.client import Client
from pyreqwest.exceptions import BuilderError, ConnectError, PyreqwestError
from pyreqwest.request import StreamRequest
from pyreqwest.response import Response

from pilothouse.core.clock import Clock
from pilothouse.core.errors import ConnectionFault, ModelError
from pilothouse.models.http_client import client_builder
from pilothouse.models.providers import answers
from pilothouse.models.providers.sse import EventParser, EventTooLong
from pilothouse.models.secret import Secret
from pilothouse.models.settings import Timeouts

_RETRYABLE: Final = frozenset({408, 409, 425, 429})
_NOT_RETRYABLE_5XX: Final = frozenset({501, 505})
_REQUEST_IDS: Final = ("x-request-id", "apim-request-id", "x-ms-request-id", "request-id", "cf-ray")
_READ: Final = 1 << 16
_traceparent: Final = TraceContextTextMapPropagator()
_FIXES: Final = {
    400: "see what the provider says about the request",
    401: "check the key of the connection: pilothouse connection show NAME",
    403: "check that the key may use this model: pilothouse connection show NAME",
    404: "check the model or deployment name and the address of the connection",
    413: "send less text",
    429: "send fewer calls at once (models.concurrency.ceiling) or ask the provider for a higher limit",
}


class HttpTransport:
    """Posts JSON to one provider.

    Args:
        where: The connection, for messages.
        timeouts: How long to wait.
        secrets: What must never show in a message.
        clock: For `Retry-After` dates.
        names_span: Whether the server is told of which span the call is part (`traceparent`).
    """

    def __init__(
        self,
        *,
        where: str,
        timeouts: Timeouts,
        secrets: Iterable[Secret],
        clock: Clock,
        names_span: bool = False,
    ) -> None:
        self._where = where
        self._timeouts = timeouts
        self._secrets = tuple(secrets)
        self._clock = clock
        self._names_span = names_span
        self._client: Client | None = None

    async def post(self, url: str, headers: Mapping[str, Secret | str], body: bytes) -> bytes:
        """Return the whole body of a successful answer.

        Raises:
            ModelError: for anything else.
        """
        with self._explained(url):
            async with asyncio.timeout(self._timeouts.total), self._open(url, headers, body) as response:
                return bytes(await response.bytes())

    async def events(self, url: str, headers: Mapping[str, Secret | str], body: bytes) -> AsyncGenerator[str]:
        """Yield the data of each server-sent event as it arrives.

        Raises:
            ModelError: when the request fails, the stream stalls, breaks off, or is not a stream.
        """
        deadline = self._clock.monotonic() + self._timeouts.total
        with self._explained(url):
            async with self._open(url, headers, body) as response:
                if "json" in (response.get_header("content-type") or ""):
                    # A server that does not stream answers in one piece, or reports an error with status 200.
                    yield bytes(await response.bytes()).decode("utf-8", errors="replace")
                    return
                parser = EventParser()
                while (piece := await self._read(response, deadline)) is not None:
                    for event in parser.feed(piece):
                        yield event
                last, torn = parser.finish()
                for event in last:
                    yield event
                if torn:
                    raise self.error("the stream broke off inside an event", retryable=True)

    def error(self, message: str, *, status: int | None = None, retryable: bool = False) -> ModelError:
        """Return an error of this connection, without secrets."""
        return ModelError(self.clean(message), status=status, retryable=retryable, where=self._where)

    def clean(self, text: str) -> str:
        """Return ``text`` short, on one line and without secrets."""
        return answers.clean(text, self._secrets)

    async def aclose(self) -> None:
        """Close the pool; the next call opens a new one."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    @asynccontextmanager
    async def _open(self, url: str, headers: Mapping[str, Secret | str], body: bytes) -> AsyncGenerator[Response]:
        sending = self._request(url, headers, body)
        async with asyncio.timeout(self._timeouts.first_byte):
            response = await sending.__aenter__()
        try:
            if not 200 <= response.status < 300:
                raise await self._refused(response)
            yield response
        finally:
            await sending.__aexit__(None, None, None)

    def _request(self, url: str, headers: Mapping[str, Secret | str], body: bytes) -> StreamRequest:
        if self._client is None:
            self._client = _build(self._timeouts)
        try:
            request = self._client.post(url).body_bytes(body).header("content-type", "application/json")
            for name, value in headers.items():
                if isinstance(value, Secret):
                    request = request.header(name, value.reveal(), is_sensitive=True)
                else:
                    request = request.header(name, value)
            if self._names_span:
                span: dict[str, str] = {}
                _traceparent.inject(span)
                for name, value in span.items():
                    request = request.header(name, value)
            # The default read buffer holds a whole stream back.
            return request.streamed_read_buffer_limit(0).build_streamed()
        except ValueError:
            # The cause is left out: it may quote the key.
            raise ConnectionFault(
                f"the address or the key cannot be sent: {self.clean(url)}",
                where=self._where,
                expected="an address such as https://host/v1, and a key without spaces or line ends inside",
            ) from None

    async def _read(self, response: Response, deadline: float) -> bytes | None:
        left = min(self._timeouts.idle, deadline - self._clock.monotonic())
        async with asyncio.timeout(max(left, 0)):
            piece = await response.body_reader.read_chunk()
        return None if piece is None else bytes(piece)

    async def _refused(self, response: Response) -> ModelError:
        body = b""
        # The status says enough where the body does not come.
        with suppress(PyreqwestError, TimeoutError):
            async with asyncio.timeout(self._timeouts.idle):
                while len(body) < _READ and (piece := await response.body_reader.read_chunk()) is not None:
                    body += bytes(piece)
        headers = {name: response.get_header(name) or "" for name in (*_REQUEST_IDS, "retry-after", "retry-after-ms")}
        return self.refusal(response.status, body, headers, hint=response.get_header("x-should-retry"))

    def refusal(
        self, status: int, body: bytes, headers: Mapping[str, str] | None = None, hint: str | None = None
    ) -> ModelError:
        """Return the error for an answer that says no.

        Args:
            status: The HTTP status, or the code inside the body.
            body: What the provider sent.
            headers: Its headers, lower case.
            hint: The value of `x-should-retry`, by which OpenAI overrides the status.
        """
        given = headers or {}
        message, code = answers.describe(body)
        identity = next((given[name] for name in _REQUEST_IDS if given.get(name)), "")
        retryable = status in _RETRYABLE or (500 <= status < 600 and status not in _NOT_RETRYABLE_5XX)
        if hint in {"true", "false"}:
            retryable = hint == "true"
        suffix = f" (request {self.clean(identity)})" if identity else ""
        return ModelError(
            f"HTTP {status}: {self.clean(message) or 'no reason given'}{suffix}",
            status=status,
            retryable=retryable and code not in answers.SPENT,
            retry_after=answers.retry_after(given, self._clock.now()),
            where=self._where,
            fix=_FIXES.get(status),
        )

    @contextmanager
    def _explained(self, url: str) -> Generator[None]:
        try:
            yield
        except TimeoutError as error:
            raise self.error("the provider did not answer in time", retryable=True) from error
        except EventTooLong as error:
            raise self.error(str(error)) from error
        except BuilderError as error:
            raise ConnectionFault(
                f"the address of the provider cannot be used: {self.clean(_causes(error))}",
                where=self._where,
                expected="an address such as https://host/v1",
            ) from error
        except ConnectError as error:
            raise ModelError(
                self.clean(f"the connection failed: {_causes(error)}, at {url.partition('?')[0]}"),
                retryable=True,
                where=self._where,
                fix="check that the server runs, and the address of the connection",
            ) from error
        except PyreqwestError as error:
            raise self.error(f"the connection failed: {_causes(error)}", retryable=True) from error


def _build(timeouts: Timeouts) -> Client:
    # HTTP/2 would queue calls beyond some hundred streams on one connection; a redirect would carry the key elsewhere.
    builder = client_builder().http1_only().follow_redirects(False).user_agent("pilothouse")
    return builder.connect_timeout(timedelta(seconds=timeouts.connect)).build()


def _causes(error: BaseException) -> str:
    details = cast("dict[str, list[dict[str, str]] | None]", getattr(error, "details", None) or {})
    causes = details.get("causes")
    return causes[-1]["message"] if causes else str(error)
