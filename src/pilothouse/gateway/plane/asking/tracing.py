"""Tells upstreams whose call they serve: the headers of W3C Trace Context, with the gateway's own span as parent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pilothouse.gateway.plane.call import Call
from pilothouse.gateway.providers.interface import Outgoing
from pilothouse.tracing.completed import Begun

_LONGEST_STATE: Final = 512


def with_trace(outgoing: Outgoing, call: Call, begin: Callable[[str | None], Begun]) -> Outgoing:
    """Return a request with `traceparent`, and the client's `tracestate` where it came with a trace of its own.

    All attempts of a call name one span: that of the call.
    """
    span = call.span
    if span is None:
        span = call.span = begin(call.headers.get("traceparent"))
    header = span.header
    if not header:
        return outgoing
    told = (("traceparent", header),)
    state = call.headers.get("tracestate") if span.parent is not None else None
    if state and len(state) <= _LONGEST_STATE and state.isascii() and state.isprintable():
        told = (*told, ("tracestate", state))
    return Outgoing(method=outgoing.method, url=outgoing.url, headers=(*outgoing.headers, *told), body=outgoing.body)
