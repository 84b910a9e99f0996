"""What clients saw, what the upstream charges and what the ledger says, laid side by side, call for call.

Money is integer nano-dollars, and nothing is rounded. For each call, and for all together:

- counted by the provider to its end, nothing given up: row and bill are equal;
- something was given up: cost <= bill <= cost + what the row says may be billed;
- an answer that came to its end without a count: the row is an estimate, and is summed up apart.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct

from pilothouse.gateway.limits.rules import Rule, compile_rules
from pilothouse.gateway.settings import LimitRule
from pilothouse.gateway.types import LedgerEntry, Tenant

from ..mock.bill import Line
from .callers import Outcome


class Account(Struct, kw_only=True):
    """Calls and what three accounts say of them.

    Attributes:
        calls: How many.
        cost: What the ledger is sure of.
        may: What it says may be billed beyond.
        bill: What the upstream charges.
        unknown: Calls of which nobody knows how much may be billed.
    """

    calls: int = 0
    cost: int = 0
    may: int = 0
    bill: int = 0
    unknown: int = 0

    @property
    def holds(self) -> bool:
        """Whether the bill lies between what is sure and what may be."""
        return self.cost <= self.bill and (self.unknown > 0 or self.bill <= self.cost + self.may)


class Scope(Struct, kw_only=True):
    """One budget.

    Attributes:
        limit: Of the budget.
        cost: What the ledger is sure of.
        taken: What budgets counted: with what may be billed.
        bill: What the upstream charges, calls without a row included.
    """

    limit: int
    cost: int = 0
    taken: int = 0
    bill: int = 0


class Verdict(Struct, kw_only=True):
    """Figures of one run.

    Attributes:
        calls: Made.
        rows: In the ledger.
        answered: Calls whose answer came whole.
        vanished: Calls whose client went away.
        refused: Calls turned away, by code.
        outcomes: Rows by status and code.
        counted: Calls that must be equal.
        given_up: Calls that must lie between.
        uncounted: Estimates.
        outside: Calls that are not equal, or do not lie between.
        twice: Calls with more than one row.
        lost: Calls without a row that were answered, refused, or charged for.
        lost_bill: What the upstream charges for those.
        scopes: By rule and whose count.
        overshoot: The most by which a budget was exceeded, by its own count or by the bill; 0 for never.
    """

    calls: int
    rows: int
    answered: int
    vanished: int
    refused: dict[str, int]
    outcomes: dict[str, int]
    counted: Account = msgspec.field(default_factory=Account)
    given_up: Account = msgspec.field(default_factory=Account)
    uncounted: Account = msgspec.field(default_factory=Account)
    outside: list[str] = msgspec.field(default_factory=list[str])
    twice: list[str] = msgspec.field(default_factory=list[str])
    lost: list[Outcome] = msgspec.field(default_factory=list[Outcome])
    lost_bill: int = 0
    scopes: dict[str, Scope] = msgspec.field(default_factory=dict[str, Scope])
    overshoot: int = 0

    @property
    def lost_whole(self) -> list[Outcome]:
        """Calls without a row whose client has the whole answer."""
        return [outcome for outcome in self.lost if outcome.complete]


def judge(
    outcomes: Sequence[Outcome],
    rows: Sequence[LedgerEntry],
    lines: Iterable[Line],
    rules: tuple[LimitRule, ...],
    owners: Sequence[tuple[str, str, str]] = (),
) -> Verdict:
    """Lay a run's three accounts side by side.

    Args:
        outcomes: What clients saw.
        rows: The ledger.
        lines: The bill.
        rules: Budgets among them are compared with what was spent.
        owners: Organisation, team and user of each key, for calls that have no row.
    """
    by_call: defaultdict[str, list[LedgerEntry]] = defaultdict(list)
    for row in rows:
        by_call[row.end_user].append(row)
    billed: Counter[str] = Counter()
    for line in lines:
        billed[line.told] += line.cost
    found = Verdict(
        calls=len(outcomes),
        rows=len(rows),
        answered=sum(outcome.complete for outcome in outcomes),
        vanished=sum(outcome.vanished for outcome in outcomes),
        refused=dict(Counter(row.code for row in rows if row.status == "refused")),
        outcomes=dict(Counter(f"{row.status} {row.code}".strip() for row in rows)),
    )
    money = [rule for rule in compile_rules(rules) if rule.resource == "dollars"]
    for outcome in outcomes:
        words = outcome.plan.words
        mine, bill = by_call[words], billed[words]
        if len(mine) > 1:
            found.twice.append(words)
        if mine:
            _compare(found, mine[0], bill)
            _spend(found, money, mine[0].tenant, mine[0].route, mine[0].cost or 0, mine[0].budgeted, bill)
        elif outcome.status or bill:
            found.lost.append(outcome)
            found.lost_bill += bill
            organisation, team, user = owners[outcome.plan.owner] if owners else ("", "", "")
            whose = Tenant(organisation=organisation, team=team, user=user)
            _spend(found, money, whose, outcome.plan.route, 0, 0, bill)
    found.overshoot = max(
        (max(0, scope.taken - scope.limit, scope.bill - scope.limit) for scope in found.scopes.values()), default=0
    )
    return found


def _compare(found: Verdict, row: LedgerEntry, bill: int) -> None:
    cost = row.cost or 0
    one = Account(
        calls=1, cost=cost, may=row.may_cost or 0, bill=bill, unknown=row.given_up > 0 and row.may_cost is None
    )
    is_estimate = row.status == "ok" and row.usage_source == "estimated"
    kind = "uncounted" if is_estimate else "given_up" if row.given_up else "counted"
    whole: Account = getattr(found, kind)
    for name in Account.__struct_fields__:
        setattr(whole, name, getattr(whole, name) + getattr(one, name))
    if kind != "uncounted" and not one.holds:
        tried = ", ".join(f"{each.deployment} {each.failure or each.status}" for each in row.attempts)
        found.outside.append(f"{row.end_user}: {row.status}, {cost} + {one.may} for {bill} ({tried})")


def _spend(found: Verdict, money: Sequence[Rule], tenant: Tenant, route: str, cost: int, taken: int, bill: int) -> None:
    for rule in money:
        if rule.holds(tenant, "", route):
            whose = f"{rule.name} {rule.value(tenant, route)}".strip()
            scope = found.scopes.setdefault(whose, Scope(limit=rule.limit))
            scope.cost, scope.taken, scope.bill = scope.cost + cost, scope.taken + taken, scope.bill + bill
