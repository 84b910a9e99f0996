"""History priced anew: the same calls at corrected prices, beside what was recorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pilothouse.gateway.ledger.types import LedgerCall, RerateReport, Revision
from pilothouse.gateway.types import LedgerEntry
from pilothouse.models.rates.card import RateCard
from pilothouse.models.rates.rate import Rate


class Rerating:
    """Prices calls anew and counts what changes; `price` is given all calls piece by piece, in the order of time.

    Args:
        rates: The corrected prices.
        name: The re-rating's id; ids of later ones sort later.
    """

    def __init__(self, rates: RateCard, name: str) -> None:
        self._rates = rates
        self.name = name
        self._counts: Counter[str] = Counter()
        self._difference: Counter[str] = Counter()

    def price(self, calls: Iterable[LedgerCall]) -> list[Revision]:
        """Return what changes of some calls."""
        return [revision for call in calls if (revision := self._one(call)) is not None]

    def report(self, *, written: bool) -> RerateReport:
        """Return what was found so far."""
        counts = self._counts
        return RerateReport(
            rerating=self.name if written else "",
            calls=counts["calls"],
            changed=counts["changed"],
            became_known=counts["became_known"],
            still_unknown=counts["still_unknown"],
            kept=counts["kept"],
            before=counts["before"],
            after=counts["after"],
            difference={name: amount for name, amount in sorted(self._difference.items()) if amount},
        )

    def _one(self, call: LedgerCall) -> Revision | None:
        entry, counts = call.entry, self._counts
        if not entry.deployment or entry.status == "refused":
            return None  # nobody was asked, nothing was used
        counts["calls"] += 1
        counts["before"] += call.cost or 0
        rate = self._rate(entry)
        cost = rate.cost(entry.usage) if rate is not None and entry.usage is not None else None
        if rate is None or cost is None:
            counts["still_unknown" if call.cost is None else "kept"] += 1
            counts["after"] += call.cost or 0
            return None
        counts["after"] += cost
        if cost == call.cost:
            return None
        counts["became_known" if call.cost is None else "changed"] += 1
        self._difference[f"{entry.provider}/{entry.model}"] += cost - (call.cost or 0)
        return Revision(
            revises=entry.id,
            at_ns=entry.at_ns,
            rerating=self.name,
            before=call.cost,
            cost=cost,
            price=rate.id,
        )

    def _rate(self, entry: LedgerEntry) -> Rate | None:
        """Return the price by the name the answer gave, then by the deployment's, as calls are priced."""
        if entry.cache in {"exact", "semantic"}:
            return None  # an answer of our own: the price of a model says nothing of it
        for model in dict.fromkeys((entry.response_model, entry.model)):
            rate = self._rates.rate(entry.provider, model, entry.at_ns) if model else None
            if rate is not None:
                return rate
        return None
