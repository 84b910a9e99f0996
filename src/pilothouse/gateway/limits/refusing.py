"""How a limit says no: which rule, how much of it is used, when it will let the call pass."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from pilothouse.gateway.limits.rules import Bound, Plan, Resource
from pilothouse.gateway.refusals import Refusal
from pilothouse.gateway.types import NANO

_CODES: Final[dict[Resource, str]] = {
    "requests": "rate_limit_exceeded",
    "tokens": "rate_limit_exceeded",
    "dollars": "budget_exceeded",
    "concurrency": "concurrency_exceeded",
}


class Lack(Struct, frozen=True, kw_only=True):
    """A rule that does not let a call pass.

    Attributes:
        bound: The rule for this caller.
        amount: What the call asked for.
        used: What was used before, in the rule's unit.
        held: What is set aside for calls in flight.
        wait: Seconds until the rule would let it pass; None for never.
    """

    bound: Bound
    amount: int
    used: int
    held: int
    wait: float | None


def refusal(lacks: list[Lack]) -> Refusal:
    """Return the refusal of the rule that holds out longest: when it lets the call pass, the others do too."""
    lack = max(lacks, key=lambda lack: float("inf") if lack.wait is None else lack.wait)
    rule = lack.bound.rule
    facts = (
        f"The limit {rule.name!r} is {told(rule.resource, rule.limit)}; used {told(rule.resource, lack.used)}, "
        f"set aside for calls in flight {told(rule.resource, lack.held)}"
    )
    if rule.resource != "concurrency":
        facts += f", this call may need {told(rule.resource, lack.amount)}"
    return Refusal(_CODES[rule.resource], f"{facts}. {_mend(lack)}", retry_after=lack.wait, rule=rule.name)


def check_price(plan: Plan, route: str) -> None:
    """Refuse a call without a known price where a budget holds for it: the budget could not judge it.

    Raises:
        Refusal: ``unknown_price``.
    """
    for bound in plan.bounds:
        if bound.rule.resource == "dollars" and bound.rule.enforce:
            raise Refusal(
                "unknown_price",
                f"The price of {route!r} is not known, so the budget {bound.rule.name!r} cannot hold. Give the model a "
                "price, or let calls without a price pass with `unpriced: pass` in the section `gateway`.",
            )


def told(resource: Resource, amount: int) -> str:
    """Return an amount as people read it."""
    if resource == "dollars":
        return f"${amount / NANO:,.6f}".rstrip("0").rstrip(".")
    return f"{amount:,} {'calls at once' if resource == 'concurrency' else resource}"


def _mend(lack: Lack) -> str:
    if lack.wait is not None:
        return f"Try again in {lack.wait:,.3f} s."
    if lack.amount > lack.bound.rule.limit:
        return "One call may never need so much: ask for fewer output tokens."
    return "It does not renew itself: it must be raised."
