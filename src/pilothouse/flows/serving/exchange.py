"""One request and its answer: the ids it goes by, and the span around it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from time import perf_counter
from typing import Final

from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.requests import Request

from pilothouse.core.ids import new_id

REQUEST_ID: Final = "x-request-id"
CLIENT_REQUEST_ID: Final = "x-ms-client-request-id"
_CLIENT_HEADERS = (CLIENT_REQUEST_ID, "client-request-id", "x-client-request-id")
_ID = re.compile(r"[\x21-\x7e]{1,256}")
_traceparent = TraceContextTextMapPropagator()


def trace_context(headers: Mapping[str, str]) -> Context:
    """Return the trace that a client says its request belongs to; an empty context where it says none."""
    return _traceparent.extract({key: headers[key] for key in ("traceparent", "tracestate") if key in headers})


class Exchange:
    """The facts of one request.

    As in prompt flow, the id of the request and that of the client stand for each other where one is missing.

    Attributes:
        request_id: Id of the request: the client's, or a new one.
        client_request_id: Id that the client gave it.
        context: What the line's span hangs on.
        trace_id: Its trace; empty when it is not recorded.
    """

    def __init__(self, request: Request, tracer: Tracer, attributes: Mapping[str, str]) -> None:
        headers = request.headers
        own = _valid(headers.get(REQUEST_ID))
        client = next((found for name in _CLIENT_HEADERS if (found := _valid(headers.get(name)))), own)
        self.request_id = own or client or new_id()
        self.client_request_id = client or self.request_id
        self._begun = perf_counter()
        self._span = tracer.start_span(
            f"{request.method} {request.url.path}",
            trace_context(headers),
            kind=SpanKind.SERVER,
            attributes={
                "http.request.method": request.method,
                "url.path": request.url.path,
                "request_id": self.request_id,
                "client_request_id": self.client_request_id,
                **attributes,
            },
        )
        self.context = set_span_in_context(self._span)
        found = self._span.get_span_context()
        self.trace_id = f"{found.trace_id:032x}" if found.is_valid else ""
        self._parent = f"00-{self.trace_id}-{found.span_id:016x}-{int(found.trace_flags):02x}" if self.trace_id else ""

    @property
    def duration(self) -> float:
        """Seconds since the request came."""
        return perf_counter() - self._begun

    def headers(self) -> dict[str, str]:
        """Return the headers that every answer has."""
        ids = {REQUEST_ID: self.request_id, CLIENT_REQUEST_ID: self.client_request_id}
        # A client sends `traceparent` back with its feedback, as it is.
        return {**ids, "x-trace-id": self.trace_id, "traceparent": self._parent} if self.trace_id else ids

    def note(self, error: str) -> None:
        """Say what went wrong."""
        self._span.set_status(Status(StatusCode.ERROR, error))

    def end(self, status: int) -> None:
        """End the span with the status that was sent."""
        self._span.set_attribute("http.response.status_code", status)
        self._span.end()


def _valid(given: str | None) -> str | None:
    return given if given is not None and _ID.fullmatch(given) else None
