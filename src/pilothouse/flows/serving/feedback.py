"""Feedback: recorded as a span on the trace of the request that it is about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, cast

import msgspec
from opentelemetry import baggage
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.trace import Tracer

from pilothouse.flows.serving.exchange import trace_context

SPAN: Final = "promptflow-feedback"
"""Prompt flow's name for it, which people's queries look for."""

ATTRIBUTE: Final = "feedback"
LIMIT: Final = 256 << 10
"""Bytes of one feedback at most."""

_MOST = 64
_baggage = W3CBaggagePropagator()


def record(tracer: Tracer, headers: Mapping[str, str], body: bytes, *, flatten: bool, ids: Mapping[str, str]) -> str:
    """Record one feedback; its header ``traceparent`` is that of the answer it is about.

    Args:
        tracer: Makes the span.
        headers: Of the request.
        body: Anything; JSON in most cases.
        flatten: Whether the keys of a JSON object become attributes of their own.
        ids: Further attributes.

    Returns:
        The trace it was recorded on, 32 hexadecimal digits; empty when it is not recorded.
    """
    text = body.decode(errors="replace")
    attributes: dict[str, Any] = {**ids, **(_flat(body) or {ATTRIBUTE: text} if flatten else {ATTRIBUTE: text})}
    sent = _baggage.extract({"baggage": headers["baggage"]}) if "baggage" in headers else None
    attributes |= {key: str(value) for key, value in list(baggage.get_all(sent).items())[:_MOST]}
    span = tracer.start_span(SPAN, trace_context(headers), attributes=attributes)
    context = span.get_span_context()
    span.end()
    return f"{context.trace_id:032x}" if context.is_valid else ""


def _flat(body: bytes) -> dict[str, Any]:
    try:
        found: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    items = list(cast("dict[str, Any]", found).items())[:_MOST]
    return {key: value if isinstance(value, str | int | float | bool) else json.dumps(value) for key, value in items}
