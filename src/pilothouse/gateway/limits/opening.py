"""Opening balances: what the durable ledger says of calendar windows that began before this process did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from msgspec import Struct

from pilothouse.gateway.limits.rules import Bound, Rule, bind, compile_rules
from pilothouse.gateway.limits.windows import window
from pilothouse.gateway.settings import LimitRule
from pilothouse.gateway.types import Tenant


class Spend(Struct, frozen=True, kw_only=True):
    """What one tenant used through one route.

    Attributes:
        tenant: Who pays.
        route: The route's name.
        requests: Calls that were let through, refused ones not counted.
        tokens: Input and output.
        cost: Nano-dollars; calls whose cost is not known count with what the ledger takes them for.
    """

    tenant: Tenant
    route: str
    requests: int = 0
    tokens: int = 0
    cost: int = 0


class SpendHistory(Protocol):
    """What the ledger can tell; it is asked once for each window that rules count in, never within a call."""

    def spent(self, since_ns: int) -> Iterable[Spend]:
        """Return what calls that came at or after a moment used, summed for each tenant and route."""
        ...


def opening_balances(
    rules: Iterable[LimitRule],
    history: SpendHistory,
    at_ns: int,
    key_names: Mapping[str, str] | None = None,
) -> dict[tuple[str, int], int]:
    """Return what was used of each count in its present calendar window, for `LimiterState.open`.

    Rolling limits and calls at once have none: they start empty.

    Args:
        rules: The configuration that is about to hold.
        history: The ledger, with all that is still to be written to it.
        at_ns: Now.
        key_names: Id to name of each key, for rules that match a key's name.
    """
    return {
        (bound.key, begin): balance
        for (bound, begin), balance in balances(compile_rules(rules), history, at_ns, key_names or {}).items()
    }


def balances(
    rules: Iterable[Rule], history: SpendHistory, at_ns: int, key_names: Mapping[str, str]
) -> dict[tuple[Bound, int], int]:
    """Return the same by rule and value, of rules made ready."""
    begins: dict[int, list[Rule]] = {}
    for rule in rules:
        if rule.kind == "tally" and rule.period is not None:
            begins.setdefault(window(rule.period, at_ns)[0], []).append(rule)
    found: dict[tuple[Bound, int], int] = {}
    for begin, counted in begins.items():
        for spend in history.spent(begin):
            name = key_names.get(spend.tenant.key, "")
            for rule in counted:
                if rule.holds(spend.tenant, name, spend.route):
                    entry = (bind(rule, rule.value(spend.tenant, spend.route)), begin)
                    found[entry] = found.get(entry, 0) + _amount(rule, spend)
    return found


def _amount(rule: Rule, spend: Spend) -> int:
    if rule.resource == "dollars":
        return spend.cost
    return spend.tokens if rule.resource == "tokens" else spend.requests
