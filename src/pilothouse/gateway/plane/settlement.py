"""The end of a call, whatever became of it: what it used and cost, its ledger row, its span, its figures."""

from __future__ import annotations

import time
from typing import Final

from pilothouse.gateway.dialects.interface import Relay
from pilothouse.gateway.limits.types import Reservation
from pilothouse.gateway.plane.admission import BYTES_PER_TOKEN, input_size
from pilothouse.gateway.plane.asking.given_up import less_sure, most_of, sure_usage
from pilothouse.gateway.plane.call import Call
from pilothouse.gateway.plane.records import Ended, Records
from pilothouse.models.rates.card import RateCard
from pilothouse.models.types import Usage

_MOST_USED: Final = 2**40


class Settlement:
    """Ends calls.

    Args:
        rates: What calls cost.
        records: Where is told what became of them.

    Attributes:
        rates: What calls cost.
    """

    def __init__(self, rates: RateCard, records: Records) -> None:
        self.rates = rates
        self._records = records

    async def end(self, call: Call, relay: Relay | None = None) -> None:
        """Settle, record and count a call; nothing here may fail it."""
        took = time.perf_counter_ns() - call.begun
        # Whatever was given up before an answer came to its end: most calls have nothing of it.
        may_be_unsure = call.status != "ok" or len(call.attempts) > 1
        sure = sure_usage(call, relay, self.rates) if call.status != "ok" else None
        self._take_usage(call, relay, sure)
        self._price(call)
        if sure is not None:
            less_sure(call)
        given_up, may_cost = most_of(call.attempts) if may_be_unsure else (0, None)
        # The row first: nothing is awaited before it, so nothing that ends this call early loses it.
        self._records.put(Ended(call, took, took - call.waited, given_up, may_cost))
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
