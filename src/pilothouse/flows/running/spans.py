"""Spans of lines and nodes. A span that is not recorded costs a check and nothing else."""

from __future__ import annotations

from typing import Any

import msgspec
from opentelemetry.context import Context
from opentelemetry.trace import Span, Status, StatusCode, Tracer, set_span_in_context

from pilothouse.flows.results import ErrorInfo
from pilothouse.models.secret import Secret, redact
from pilothouse.tracing import conventions

NODE_STATUS = "pilothouse.node.status"

_encoder = msgspec.json.Encoder(enc_hook=repr)


class Recorder:
    """Makes the spans of one line.

    Attributes:
        on: Whether the line is recorded; when not, no node makes a span.
        context: What the spans of nodes hang on.
        is_parent: Whether there is such a span at all.
        trace_id: 32 hexadecimal digits; None when the line is not recorded.
    """

    __slots__ = ("_capture", "_secrets", "_span", "_tracer", "context", "is_parent", "on", "trace_id")

    def __init__(
        self,
        tracer: Tracer,
        name: str,
        attributes: dict[str, Any],
        *,
        capture: bool,
        secrets: tuple[Secret, ...] = (),
    ) -> None:
        self._tracer = tracer
        self._secrets = secrets
        self._capture = capture
        self._span = tracer.start_span(name, attributes=attributes)
        self.context: Context = set_span_in_context(self._span)
        self.on = self._span.is_recording()
        # A line that was sampled out is still the parent of what its model calls send on.
        self.is_parent = self._span.get_span_context().is_valid
        self.trace_id = f"{self._span.get_span_context().trace_id:032x}" if self.on else None

    def inputs(self, inputs: Any) -> None:
        """Write the line's inputs."""
        if self.on and self._capture:
            self._span.set_attribute(conventions.ARGUMENTS, self._text(inputs))

    def end(self, outputs: Any, error: ErrorInfo | None) -> None:
        """End the line's span."""
        if self.on:
            if error is not None:
                _fail(self._span, error)
            elif self._capture:
                self._span.set_attribute(conventions.RESULT, self._text(outputs))
        self._span.end()

    def node(self, name: str, attributes: dict[str, str]) -> Span:
        """Begin the span of a node."""
        return self._tracer.start_span(name, self.context, attributes=attributes)

    def begin(self, span: Span, inputs: Any) -> None:
        """Write a node's inputs."""
        if self._capture:
            span.set_attribute(conventions.ARGUMENTS, self._text(inputs))

    def finish(self, span: Span, status: str, output: Any, error: ErrorInfo | None) -> None:
        """End the span of a node."""
        if error is not None:
            _fail(span, error)
        elif self._capture and status != "bypassed":
            span.set_attribute(conventions.RESULT, self._text(output))
        if status != "completed":
            span.set_attribute(NODE_STATUS, status)
        if status == "cached":
            span.set_attribute(conventions.CACHE_HIT, True)
        span.end()

    def _text(self, value: Any) -> str:
        text = encoded(value)
        return redact(text, self._secrets) if self._secrets else text


def span_id(span: Span) -> str:
    """Return the id of a span, 16 hexadecimal digits."""
    return f"{span.get_span_context().span_id:016x}"


def encoded(value: Any) -> str:
    """Return ``value`` as JSON text; what JSON has no form for is written as Python prints it."""
    try:
        return _encoder.encode(value).decode()
    except (TypeError, ValueError, OverflowError, RecursionError):
        return _printed(value)


def _printed(value: Any) -> str:
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001 - the user's __repr__ may raise anything; a trace is not worth a line
        return f"<{type(error).__name__} in __repr__>"


def _fail(span: Span, error: ErrorInfo) -> None:
    span.set_attribute(conventions.ERROR_TYPE, error.type)
    span.set_status(Status(StatusCode.ERROR, error.message))
    event = {"exception.type": error.type, "exception.message": error.message}
    if error.traceback:
        event["exception.stacktrace"] = error.traceback
    span.add_event("exception", event)
