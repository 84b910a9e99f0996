"""What clients saw, what the upstream charges and what the ledger says, laid side by side, call for call."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from msgspec import Struct

from pilothouse.gateway.limits.rules import compile_rules
from pilothouse.gateway.settings import LimitRule
from pilothouse.gateway.types import LedgerEntry

from ..mock.bill import STANDARD, Line
from .callers import Outcome

INTACT = frozenset({"", "500", "500-times=1", "usagetwice"})
"""Faults that leave the provider's own count of a call that came to its end."""


class Verdict(Struct, kw_only=True):
    """Figures of one run; money in nano-dollars.

    Attributes:
        calls: Made.
        rows: In the ledger.
        outcomes: How many calls ended how.
        without_row: Calls that were answered, or reached the upstream, and have no row.
        twice: Calls with more than one row.
        completed: Calls that came to their end and were counted by the provider.
        difference: Of those, ledger less bill.
        unequal: Of those, calls whose row is not what the bill says.
        abandoned: Of those, what the upstream charges for earlier attempts that it answered too late: in no row.
        broken: Calls given up or broken off inside a stream.
        misjudged: Of those, calls whose row has fewer tokens than the client got, or more than were sent.
        spent: By rule and whose count: what the ledger says.
        overshoot: The most by which a budget was exceeded; 0 for never.
        refused: Calls by the code of their refusal.
    """

    calls: int
    rows: int
    outcomes: dict[str, int]
    without_row: list[str]
    twice: list[str]
    completed: int
    difference: int
    unequal: list[str]
    abandoned: int = 0
    broken: int
    misjudged: list[str]
    spent: dict[str, int]
    overshoot: int
    refused: dict[str, int]


def judge(
    outcomes: Sequence[Outcome], rows: Sequence[LedgerEntry], lines: Iterable[Line], rules: tuple[LimitRule, ...]
) -> Verdict:
    """Lay a run's three accounts side by side."""
    by_call: defaultdict[str, list[LedgerEntry]] = defaultdict(list)
    for row in rows:
        by_call[row.end_user].append(row)
    billed: defaultdict[str, list[Line]] = defaultdict(list)
    for line in lines:
        billed[line.told].append(line)
    found = Verdict(
        calls=len(outcomes),
        rows=len(rows),
        outcomes=dict(Counter(f"{row.status} {row.code}".strip() for row in rows)),
        without_row=[],
        twice=[],
        completed=0,
        difference=0,
        unequal=[],
        broken=0,
        misjudged=[],
        spent={},
        overshoot=0,
        refused=dict(Counter(row.code for row in rows if row.status == "refused")),
    )
    for outcome in outcomes:
        words = outcome.plan.words
        mine, charged = by_call[words], billed[words]
        if len(mine) > 1:
            found.twice.append(words)
        if not mine:
            if outcome.status or charged:
                found.without_row.append(words)
            continue
        _compare(found, outcome, mine[0], charged)
    _spend(found, rows, rules)
    return found


def _compare(found: Verdict, outcome: Outcome, row: LedgerEntry, charged: list[Line]) -> None:
    words = outcome.plan.words
    if row.status == "ok" and outcome.plan.fault in INTACT:
        if any(attempt.failure == "timeout" for attempt in row.attempts):
            found.abandoned += sum(line.cost for line in charged[:-1])
            charged = charged[-1:]
        cost = sum(line.cost for line in charged if line.status != "fault")
        found.completed += 1
        found.difference += (row.cost or 0) - cost
        if row.cost != cost:
            found.unequal.append(f"{words}: {row.cost} for {cost}")
    elif row.status in ("cancelled", "cut") and row.first_ns:
        found.broken += 1
        sent = max((line.used.output for line in charged), default=0)
        written = row.usage.output_tokens if row.usage is not None else 0
        # The first piece is eight letters long, two tokens by its length; the events that end an answer count as
        # pieces where they have come before the client was missed.
        if not outcome.pieces <= written <= sent + 2:
            found.misjudged.append(f"{words}: got {outcome.pieces}, row {written}, sent {sent}, {row.status}")


def _spend(found: Verdict, rows: Sequence[LedgerEntry], rules: tuple[LimitRule, ...]) -> None:
    for rule in compile_rules(rules):
        if rule.resource != "dollars":
            continue
        for row in rows:
            if row.cost and rule.holds(row.tenant, "", row.route):
                whose = f"{rule.name} {rule.value(row.tenant, row.route)}".strip()
                found.spent[whose] = found.spent.get(whose, 0) + row.cost
                found.overshoot = max(found.overshoot, found.spent[whose] - rule.limit)


def price(read: int, written: int) -> int:
    """Return what the mock charges."""
    return read * STANDARD["input"] + written * STANDARD["output"]
