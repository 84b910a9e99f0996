"""Attempts that were sent and given up: their vendors may bill for them, and nobody can know how much."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from pilothouse.gateway.dialects.interface import Relay
from pilothouse.gateway.plane.admission import applied_to, bound, first_bound
from pilothouse.gateway.plane.call import Call
from pilothouse.gateway.routing.types import Deployment
from pilothouse.gateway.types import Attempt, Failure
from pilothouse.models.rates.card import RateCard
from pilothouse.models.types import Usage

_UNSURE: Final[frozenset[Failure]] = frozenset({"timeout", "stream_idle", "cut", "malformed", "cancelled"})
_FREE: Final = frozenset({"raw", "count_tokens"})


def may_be_billed(call: Call, failure: Failure, status: int) -> bool:
    """Tell whether an attempt that failed may be on its vendor's bill: not where it said no, or was never reached."""
    return (failure in _UNSURE or 200 <= status < 300) and status < 300 and call.endpoint.operation not in _FREE


def broken(call: Call, deployment: Deployment, failure: Failure, pieces: int, rates: RateCard) -> None:
    """Take note of an attempt whose answer had begun and did not come to its end.

    Args:
        call: The call.
        deployment: Who gave it.
        failure: Why it ended.
        pieces: Of the whole call's answer so far.
        rates: What calls cost.
    """
    if call.endpoint.operation in _FREE:
        return
    for place in reversed(range(len(call.attempts))):
        attempt = call.attempts[place]
        if attempt.failure is None and attempt.deployment == deployment.id:
            call.attempts[place] = replace(
                attempt,
                failure=failure,
                given_up=True,
                may_cost=bound(call, deployment, rates),
                delivered=max(0, pieces - sum(each.delivered for each in call.attempts)),
            )
            return


async def has_room(call: Call, deployment: Deployment, rates: RateCard, *, beside: Deployment | None = None) -> bool:
    """Set aside what one more attempt may cost on top of those that were given up; False where the limits refuse.

    Args:
        call: The call.
        deployment: Who is to be asked.
        rates: What calls cost.
        beside: Who is being asked now and may be given up, too.
    """
    limiter, reservation = call.snapshot.limiter, call.reservation
    given_up = [attempt.may_cost for attempt in call.attempts if attempt.given_up]
    if limiter is None or reservation is None or not (given_up or beside):
        return True
    applied = applied_to(call)
    if applied is None or not applied.money:
        return True
    taken = sum(cost for cost in given_up if cost is not None)
    if None in given_up:
        # Nobody knows how much; budgets keep all that was set aside until now.
        taken = max(taken, reservation.cost)
    if beside is not None:
        taken += first_bound(call, beside, rates)
    lacking = taken + first_bound(call, deployment, rates) - reservation.cost
    return lacking <= 0 or await limiter.extend(reservation, tokens=0, cost=lacking)


def sure_usage(call: Call, relay: Relay | None, rates: RateCard) -> Usage | None:
    """Take note of an answer that did not come to its end.

    Returns:
        What is sure of it: what its provider said at its begin, and a token for each piece. None where the provider
        counted it, or nobody was given up who might have answered.
    """
    deployment, told = call.deployment, Usage()
    if deployment is None or call.usage_source == "provider":
        return None
    if relay is not None and relay.usage is not None and call.usage_source == "none":
        if relay.is_finished:
            return None
        told = relay.usage
    broken(call, deployment, "cancelled", relay.pieces if relay is not None else 0, rates)
    place = _last(call, deployment)
    if place is None:
        return None
    return replace(told, output_tokens=max(told.output_tokens, call.attempts[place].delivered))


def less_sure(call: Call) -> None:
    """Take what is sure of the answer that was given up out of what may be billed for it."""
    place = None if call.deployment is None else _last(call, call.deployment)
    if place is None or call.cost is None:
        return
    if call.usage == Usage():
        call.cost = 0
    attempt = call.attempts[place]
    if attempt.may_cost is not None:
        call.attempts[place] = replace(attempt, may_cost=max(0, attempt.may_cost - call.cost))


def most_of(attempts: list[Attempt]) -> tuple[int, int | None]:
    """Return how many attempts were given up, and the most that may be billed for them; None for not known."""
    costs = [attempt.may_cost for attempt in attempts if attempt.given_up]
    known = [cost for cost in costs if cost is not None]
    return len(costs), sum(known) if costs and len(known) == len(costs) else None


def _last(call: Call, deployment: Deployment) -> int | None:
    attempts = call.attempts
    places = (place for place in reversed(range(len(attempts))) if attempts[place].deployment == deployment.id)
    return next((place for place in places if attempts[place].given_up), None)
