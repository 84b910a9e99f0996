"""How each route fares, read off the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from pilothouse.gateway.ledger.service import LedgerService
from pilothouse.gateway.ledger.types import CallFilter

SAMPLE: Final = 5000
"""Most calls that quantiles are taken from: the newest of the window."""

_PAGE: Final = 1000


class RouteStats(Struct, frozen=True, kw_only=True):
    """One route in a window of time.

    Attributes:
        route: Its name; empty for calls that asked for none that exists.
        calls: How many.
        failures: Of them, failed or broken off inside the answer.
        refused: Of them, turned away before any provider was asked.
        input_tokens: Read, cached ones included.
        output_tokens: Written.
        cost: Nano-dollars of calls of known cost.
        unknown: Calls of unknown cost.
        given_up: Attempts that were given up and may be billed.
        may_cost: The most that is billed for them beyond ``cost``, nano-dollars, as far as it is known.
        may_unknown: Calls of which it is not known.
        sampled: Calls that the quantiles are taken from.
        p50_ns: Median nanoseconds of whole calls that ended well; None where there was none.
        p99_ns: 99th percentile, nearest rank.
        overhead_p50_ns: Median nanoseconds that were spent in the gateway itself.
        overhead_p99_ns: 99th percentile.
    """

    route: str
    calls: int
    failures: int
    refused: int
    input_tokens: int
    output_tokens: int
    cost: int
    unknown: int
    sampled: int
    p50_ns: int | None
    p99_ns: int | None
    overhead_p50_ns: int | None
    overhead_p99_ns: int | None
    given_up: int = 0
    may_cost: int = 0
    may_unknown: int = 0


def route_stats(ledger: LedgerService, wanted: CallFilter) -> list[RouteStats]:
    """Return the routes of the calls that are meant, the busiest first."""
    took: dict[str, list[int]] = {}
    overheads: dict[str, list[int]] = {}
    seen, after = 0, None
    while seen < SAMPLE:
        page = ledger.calls(wanted, limit=_PAGE, after=after)
        for call in page.calls:
            if call.entry.status == "ok":
                took.setdefault(call.entry.route, []).append(call.entry.duration_ns)
                overheads.setdefault(call.entry.route, []).append(call.entry.overhead_ns)
        seen, after = seen + len(page.calls), page.after
        if after is None:
            break
    found: list[RouteStats] = []
    for row in ledger.spend(("route",), wanted):
        route = row.group["route"]
        whole, own = sorted(took.get(route, ())), sorted(overheads.get(route, ()))
        found.append(
            RouteStats(
                route=route,
                calls=row.calls,
                failures=row.failures,
                refused=row.refused,
                input_tokens=row.usage.input_tokens,
                output_tokens=row.usage.output_tokens,
                cost=row.cost,
                unknown=row.unknown,
                sampled=len(whole),
                p50_ns=_quantile(whole, 50),
                p99_ns=_quantile(whole, 99),
                overhead_p50_ns=_quantile(own, 50),
                overhead_p99_ns=_quantile(own, 99),
                given_up=row.given_up,
                may_cost=row.may_cost,
                may_unknown=row.may_unknown,
            )
        )
    return sorted(found, key=lambda stats: (-stats.calls, stats.route))


def _quantile(ordered: Sequence[int], percent: int) -> int | None:
    """Return the nearest rank: the smallest value that ``percent`` of all do not exceed."""
    return ordered[-(-len(ordered) * percent // 100) - 1] if ordered else None
