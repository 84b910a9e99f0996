"""Setting aside what a call may use, before anybody is asked: an upper bound in money, an estimate in tokens."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from pilothouse.gateway.limits.types import Applied, Ask, Limiter
from pilothouse.gateway.plane.call import Call
from pilothouse.gateway.refusals import Refusal
from pilothouse.gateway.routing.types import Deployment, Route
from pilothouse.models.rates.card import RateCard
from pilothouse.models.types import Usage

BYTES_PER_TOKEN: Final = 4
"""Of a text, for estimates; a bound counts every byte as a token, for no tokenizer makes more."""

IMAGE_TOKENS: Final = 50_000
"""More than any known vendor counts for one picture or attachment; part of a bound, never of a bill."""

CHUNK: Final = 1024
"""Tokens set aside at a time inside a stream whose length nobody named."""

_LONG: Final = 16_384
_BULK: Final = re.compile(rb"[A-Za-z0-9+/_-]{4096,}={0,2}")
_BY_PIECE: Final = frozenset({"images", "speech", "transcriptions"})
_SLOWEST: Final = 1000
"""Bytes of a second of sound at the least rate that anybody sends."""

_GENERATES: Final = frozenset({"chat", "images", "speech"})


def deployments_of(route: Route, routes: Mapping[str, Route]) -> list[Deployment]:
    """Return everybody who may come to serve a call of a route, its fallback routes included."""
    found: list[Deployment] = []
    pending, seen = [route], {route.name}
    while pending:
        current = pending.pop()
        found.extend(current.deployments)
        for name in current.settings.fallback:
            if name in routes and routes[name].name not in seen:
                seen.add(routes[name].name)
                pending.append(routes[name])
    return found


def applied_to(call: Call) -> Applied | None:
    """Return which limits hold for a call; None for none."""
    limiter, route = call.snapshot.limiter, call.route
    if limiter is None or route is None:
        return None
    return limiter.applied(call.tenant, call.key.name if call.key else "", route.name)


async def admit(call: Call, applied: Applied, limiter: Limiter, rates: RateCard) -> None:
    """Set aside what the call may use; the answer's length gets a bound where it has none.

    Raises:
        Refusal: when the limits do not allow the call.
    """
    route = call.route
    assert route is not None
    tokens, cost = 0, None
    if applied.tokens or applied.money:
        most = _bound_output(call, route)
        text, bulk = input_size(call.raw)
        tokens = -(-text // BYTES_PER_TOKEN) + bulk * IMAGE_TOKENS // 50 + most
        if applied.money:
            cost = _dearest(call, route, rates, text + bulk * IMAGE_TOKENS, most)
    call.reservation = await limiter.reserve(
        Ask(
            call_id=call.id,
            tenant=call.tenant,
            key_name=call.key.name if call.key else "",
            route=route.name,
            tokens=tokens,
            cost=cost,
            at_ns=call.at_ns,
        )
    )


def input_size(raw: bytes) -> tuple[int, int]:
    """Return the bytes of a body without what is encoded in it, and the number of such pictures and files."""
    if len(raw) < _LONG:
        return len(raw), 0
    runs = [len(found[0]) for found in _BULK.finditer(raw)]
    return len(raw) - sum(runs), len(runs)


def _bound_output(call: Call, route: Route) -> int:
    """Return the most tokens that the answer may have; 0 for what writes no tokens."""
    if call.endpoint.operation not in _GENERATES:
        return 0
    named, most = call.facts.max_output_tokens, route.settings.max_output_tokens
    if most is not None and (named is None or named > most):
        call.max_output = most
        return most * call.facts.n
    if named is not None:
        return named * call.facts.n
    if not call.facts.stream:
        raise Refusal(
            "invalid_request",
            "this call is under a limit of tokens or money, so it must say how long its answer may be",
            param="max_tokens",
        )
    return CHUNK


def bound(call: Call, deployment: Deployment, rates: RateCard) -> int | None:
    """Return the most that one attempt costs, nano-dollars; None where its price or its length is not known."""
    written = _most_written(call)
    if written is None:
        return None
    text, bulk = input_size(call.raw)
    return _bound(call, deployment, rates, text + bulk * IMAGE_TOKENS, written)


def _most_written(call: Call) -> int | None:
    if call.endpoint.operation not in _GENERATES:
        return 0
    most = call.max_output if call.max_output is not None else call.facts.max_output_tokens
    return None if most is None else most * call.facts.n


def first_bound(call: Call, deployment: Deployment, rates: RateCard) -> int:
    """Return what an attempt sets aside before it is made: of an answer without end, that of its first piece."""
    text, bulk = input_size(call.raw)
    most = _most_written(call)
    return _bound(call, deployment, rates, text + bulk * IMAGE_TOKENS, CHUNK if most is None else most) or 0


def _bound(call: Call, deployment: Deployment, rates: RateCard, read: int, written: int) -> int | None:
    rate = rates.rate(deployment.provider.name, deployment.model or call.model, call.at_ns)
    if rate is None:
        return None
    by_piece = rate.cost(_pieces(call)) if call.endpoint.operation in _BY_PIECE else None
    return max(rate.bound(read, written), by_piece or 0)


def _dearest(call: Call, route: Route, rates: RateCard, read: int, written: int) -> int | None:
    bounds: list[int] = []
    for deployment in deployments_of(route, call.snapshot.routes):
        most = _bound(call, deployment, rates, read, written)
        if most is None:
            return None
        bounds.append(most)
    return max(bounds, default=None)


def _pieces(call: Call) -> Usage:
    """Return the most that a call uses of what is not billed by the token."""
    size = len(call.raw)
    if call.endpoint.operation == "images":
        return Usage(images=call.facts.n)
    return (
        Usage(characters=size) if call.endpoint.operation == "speech" else Usage(milliseconds=size * 1000 // _SLOWEST)
    )
