"""Upstreams are told whose call they serve: `traceparent` names the gateway's own span, in the client's trace."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from pilothouse.gateway.settings import CallRetries, DeploymentSettings, GatewaySettings, RouteSettings

from ..threaded import bench

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GIVEN = f"00-{TRACE}-{SPAN}-01"


def asked(headers: dict[str, str], *, told: bool = True, model: str = "mock-tokens=2") -> tuple[list[Any], Any, Any]:
    """Return the headers of what the upstream got, the span and the row of one call."""
    route = RouteSettings(
        deployments=(DeploymentSettings(connection="openai", model=model),), retries=CallRetries(attempts=2, base=0.0)
    )
    settings = GatewaySettings(access="open", traceparent=told, routes={"x": route})

    async def run() -> tuple[list[Any], Any, Any]:
        async with bench(settings, {"openai": "open_ai"}) as place:
            body = {"model": "x", "messages": [{"role": "user", "content": "hello"}]}
            async with (
                aiohttp.ClientSession() as session,
                session.post(f"{place.gateway.url}/v1/chat/completions", json=body, headers=headers) as answer,
            ):
                assert answer.status == 200
                await answer.read()
            await place.gateway.settled()
            seen = [{key.decode(): text.decode() for key, text in one.headers.items()} for one in place.mock.requests]
            (span,) = place.spans.get_finished_spans()
            return seen, span, place.gateway.entry("x")

    return asyncio.run(run())


def test_the_gateways_own_span_is_the_parent() -> None:
    (seen,), span, row = asked({})
    version, trace_id, span_id, flags = seen["traceparent"].split("-")
    assert (version, flags) == ("00", "01")
    assert (int(trace_id, 16), int(span_id, 16)) == (span.context.trace_id, span.context.span_id)
    assert row.trace_id == trace_id
    assert span.parent is None
    assert "tracestate" not in seen


def test_it_is_in_the_clients_trace_and_all_attempts_name_it() -> None:
    seen, span, row = asked({"traceparent": GIVEN, "tracestate": "shop=1"}, model="mock-tokens=2-fault=500-times=1")
    assert len(seen) == 2
    assert {one["traceparent"] for one in seen} == {f"00-{TRACE}-{span.context.span_id:016x}-01"}
    assert {one["tracestate"] for one in seen} == {"shop=1"}
    assert (span.parent.span_id, row.trace_id) == (int(SPAN, 16), TRACE)


@pytest.mark.parametrize("state", ["x" * 513, "caf\xe9=1"])
def test_a_state_that_cannot_be_sent_is_left_out(state: str) -> None:
    (seen,), _, _ = asked({"traceparent": GIVEN, "tracestate": state})
    assert seen["traceparent"].startswith(f"00-{TRACE}-")
    assert "tracestate" not in seen


def test_a_header_that_is_none_begins_a_trace_and_its_state_is_not_ours() -> None:
    (seen,), _, _ = asked({"traceparent": "nonsense", "tracestate": "shop=1"})
    assert TRACE not in seen["traceparent"]
    assert "tracestate" not in seen


def test_it_can_be_left_out() -> None:
    (seen,), span, row = asked({"traceparent": GIVEN}, told=False)
    assert "traceparent" not in seen
    assert (span.parent.span_id, row.trace_id) == (int(SPAN, 16), TRACE)
