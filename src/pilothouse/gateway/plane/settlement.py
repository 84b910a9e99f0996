"""The end of a call, whatever became of it: what it used and cost, its ledger row, its span, its figures."""

from __future__ import annotations

import time
from typing import Any, Final

from msgspec.structs import replace
from opentelemetry.trace import Tracer

from pilothouse.gateway.ledger.writer import LedgerWriter
from pilothouse.gateway.limits.types import Reservation
from pilothouse.gateway.plane.admission import BYTES_PER_TOKEN, input_size
from pilothouse.gateway.plane.asking.given_up import less_sure, most_of, sure_usage
from pilothouse.gateway.plane.asking.relays import Relay
from pilothouse.gateway.plane.call import Call
from pilothouse.gateway.plane.metrics import Metrics
from pilothouse.gateway.types import LedgerEntry
from pilothouse.models.rates.card import RateCard
from pilothouse.models.types import Usage
from pilothouse.tracing import conventions as names
from pilothouse.tracing.completed import CompletedSpans, remote_parent

CALL: Final = "pilothouse.gateway.call"
KEY: Final = "pilothouse.gateway.key"
ROUTE: Final = "pilothouse.gateway.route"
DEPLOYMENT: Final = "pilothouse.gateway.deployment"
CONFIG: Final = "pilothouse.gateway.config"
ATTEMPTS: Final = "pilothouse.gateway.attempts"
OVERHEAD: Final = "pilothouse.gateway.overhead_ms"
COST: Final = "pilothouse.cost.nano_dollars"
ARM: Final = "pilothouse.experiment.arm"

_MOST_USED: Final = 2**40

_OPERATIONS: Final = {"chat": names.CHAT, "embeddings": names.EMBEDDINGS}


class Settlement:
    """Ends calls.

    Args:
        rates: What calls cost.
        ledger: Where their rows go.
        tracer: Who makes spans.
        metrics: What is counted.
    """

    def __init__(self, rates: RateCard, ledger: LedgerWriter, tracer: Tracer, metrics: Metrics) -> None:
        self.rates = rates
        self._ledger = ledger
        self._spans = CompletedSpans(tracer)
        self._metrics = metrics

    async def end(self, call: Call, relay: Relay | None = None) -> None:
        """Settle, record and count a call; nothing here may fail it."""
        took = time.perf_counter_ns() - call.begun
        overhead = took - call.waited
        # Whatever was given up before an answer came to its end: most calls have nothing of it.
        may_be_unsure = call.status != "ok" or len(call.attempts) > 1
        sure = sure_usage(call, relay, self.rates) if call.status != "ok" else None
        self._take_usage(call, relay, sure)
        self._price(call)
        if sure is not None:
            less_sure(call)
        given_up, may_cost = most_of(call.attempts) if may_be_unsure else (0, None)
        # The row first: nothing is awaited before it, so nothing that ends this call or process early loses it.
        if call.key is not None or call.snapshot.keys is None:
            self._trace(call, took, overhead)
            entry = _entry(call, took, overhead)
            self._ledger.record(_unsure(entry, call, given_up, may_cost) if given_up else entry)
        self._metrics.ended(call, took, overhead)
        if given_up:
            self._metrics.given_up(call, may_cost)
        reservation, limiter = call.reservation, call.snapshot.limiter
        if reservation is not None and limiter is not None:
            cost, tokens = call.cost, _used(call, reservation)
            if given_up:
                cost = None if cost is None or may_cost is None else cost + may_cost
                if sure is not None:
                    guess = _estimate(call)
                    tokens = max(tokens, guess.total_tokens if guess is not None else 0)
            await limiter.settle(reservation, tokens=tokens, cost=cost)

    def _take_usage(self, call: Call, relay: Relay | None, sure: Usage | None) -> None:
        if relay is not None:
            call.response_model = relay.model or call.response_model
            call.output_bytes, call.deltas = relay.text_bytes, relay.deltas
            if sure is None and relay.usage is not None and relay.is_finished and call.usage_source == "none":
                call.usage, call.usage_source = relay.usage, "provider"
        if sure is not None:
            call.usage, call.usage_source = sure, "estimated"
        if call.usage is not None and not _is_sound(call.usage):
            # Counted as it stands, one lie would spend or give back what everybody's limits hold.
            call.incidents.append("usage_nonsense")
            call.usage, call.usage_source = None, "none"
        if call.usage is None and call.deployment is not None and not call.cache.startswith(("exact", "sem")):
            call.usage = _estimate(call)
            call.usage_source = "estimated" if call.usage is not None else "none"

    def _price(self, call: Call) -> None:
        deployment = call.deployment
        if deployment is None or call.usage is None:
            call.cost = 0 if deployment is None else None
            return
        model = deployment.model or call.model
        provider = deployment.provider.name
        rate = self.rates.rate(provider, model, call.at_ns)
        if rate is None and call.response_model and call.response_model != model:
            # A deployment may have a name of its own; the answer says which model it is.
            rate = self.rates.rate(provider, call.response_model, call.at_ns)
        if rate is not None:
            call.cost, call.price = rate.cost(call.usage), rate.id

    def _trace(self, call: Call, took: int, overhead: int) -> None:
        route = call.route.name if call.route else call.facts.model
        operation = _OPERATIONS.get(call.endpoint.operation, call.endpoint.operation)
        told: dict[str, Any] = {
            names.OPERATION: operation,
            names.REQUEST_MODEL: call.facts.model,
            names.REQUEST_STREAM: call.facts.stream,
            CALL: call.id,
            ROUTE: route,
            CONFIG: call.snapshot.version,
            OVERHEAD: overhead / 1e6,
            ATTEMPTS: tuple(f"{item.deployment}:{item.failure or item.status}" for item in call.attempts),
        }
        if call.key is not None:
            told[KEY] = call.key.name
        if call.facts.user:
            told[names.USER_ID] = call.facts.user
        if call.facts.session:
            told[names.CONVERSATION] = call.facts.session
        if call.arm:
            told[ARM] = f"{call.experiment}:{call.arm}"
        if call.deployment is not None:
            told[names.PROVIDER] = call.deployment.provider.name
            told[DEPLOYMENT] = call.deployment.id
        if call.response_model:
            told[names.RESPONSE_MODEL] = call.response_model
        if call.first:
            told[names.TIME_TO_FIRST_CHUNK] = call.first / 1e9
        if call.usage is not None:
            told[names.INPUT_TOKENS] = call.usage.input_tokens
            told[names.OUTPUT_TOKENS] = call.usage.output_tokens
        if call.cost is not None:
            told[COST] = call.cost
        if call.code:
            told[names.ERROR_TYPE] = call.code
        named = call.headers.get("traceparent")
        call.trace_id = self._spans.record(
            f"{operation} {route}",
            told,
            start_ns=call.at_ns,
            end_ns=call.at_ns + took,
            error=call.code,
            parent=remote_parent(named) if named else None,
        )


def _used(call: Call, reservation: Reservation) -> int:
    """Return the tokens that limits count; what was set aside where nobody knows what was used."""
    if call.usage is not None:
        return call.usage.total_tokens
    return 0 if call.deployment is None else reservation.tokens


def _is_sound(usage: Usage) -> bool:
    """Tell whether counts can be true: none below zero, none beyond all measure, no part greater than its whole."""
    return (
        all(0 <= getattr(usage, name) <= _MOST_USED for name in usage.__struct_fields__)
        and usage.cached_input_tokens <= usage.input_tokens
        and usage.reasoning_tokens <= usage.output_tokens
    )


def _estimate(call: Call) -> Usage | None:
    """Return what was delivered, where the provider did not count: every piece of a stream is a token at least."""
    if call.endpoint.operation in ("raw", "count_tokens"):
        return Usage()
    if call.endpoint.operation not in ("chat", "embeddings"):
        return None
    text, _ = input_size(call.raw)
    return Usage(input_tokens=-(-text // BYTES_PER_TOKEN), output_tokens=_written(call))


def _written(call: Call) -> int:
    return max(call.deltas, -(-call.output_bytes // BYTES_PER_TOKEN))


def _unsure(entry: LedgerEntry, call: Call, given_up: int, may_cost: int | None) -> LedgerEntry:
    """Return a row with what may be billed beyond its cost."""
    charged = entry.charged
    if may_cost is None and call.reservation is not None:
        charged = max(call.reservation.cost, call.cost or 0)
    return replace(entry, given_up=given_up, may_cost=may_cost, charged=charged)


def _entry(call: Call, took: int, overhead: int) -> LedgerEntry:
    deployment = call.deployment
    return LedgerEntry(
        id=call.id,
        at_ns=call.at_ns,
        duration_ns=took,
        first_ns=call.first,
        overhead_ns=overhead,
        tenant=call.tenant,
        end_user=call.facts.user,
        session=call.facts.session,
        metadata=call.facts.metadata,
        route=call.route.name if call.route else "",
        wire=call.endpoint.wire,
        stream=call.facts.stream,
        deployment=deployment.id if deployment else "",
        provider=deployment.provider.name if deployment else "",
        model=(deployment.model or call.model) if deployment else "",
        response_model=call.response_model,
        status=call.status,
        http_status=call.http_status,
        code=call.code,
        usage=call.usage,
        usage_source=call.usage_source,
        cost=call.cost,
        charged=call.reservation.cost if call.cost is None and call.reservation is not None else None,
        price=call.price,
        attempts=tuple(call.attempts),
        config=call.snapshot.version,
        experiment=call.experiment,
        arm=call.arm,
        cache=call.cache,
        shadow=call.shadow,
        trace_id=call.trace_id,
    )
