"""What rows took: time, calls, tokens, money. One pass over an arm's rows, with flat memory but for the durations."""

from __future__ import annotations

from array import array
from decimal import Decimal

import numpy as np
from msgspec import Struct

from pilothouse.experiments.analysis.recorded import Recorded, duration_of, uses_cache
from pilothouse.experiments.comparison import Calls, Latency
from pilothouse.flows.results import NodeResult
from pilothouse.models.types import Usage

CURVE_POINTS = 200


class Measures(Struct, frozen=True, kw_only=True):
    """What the rows of one run took.

    Attributes:
        latency: Durations of completed rows.
        usage: Tokens of all calls, cached ones included.
        cached_usage: The part that was not spent again.
        cost: US dollars of all calls with a known price, cached ones included; None when none has one.
        unpriced: Calls without a known price.
        calls: Model calls, and those answered from the cache.
        models: Models called, as ``provider/model``, in the order met.
    """

    latency: Latency
    usage: Usage
    cached_usage: Usage
    cost: Decimal | None
    unpriced: int
    calls: Calls
    models: tuple[str, ...]


def measure(recorded: Recorded) -> Measures:
    """Return what the rows of a run took."""
    durations = array("d")
    cached_rows = unknown = total = cached = unpriced = 0
    models: dict[str, None] = {}
    for row in recorded.rows():
        calls = [node for node in row.nodes if is_call(node)]
        from_cache = sum(node.status == "cached" for node in calls)
        total += len(calls)
        cached += from_cache
        unpriced += row.unpriced + (from_cache if row.cached_cost is None else 0)
        models.update({f"{node.provider}/{node.model}" if node.provider else str(node.model): None for node in calls})
        if row.status == "completed":
            taken = duration_of(row, recorded.first)
            if taken is None:
                unknown += 1
            else:
                durations.append(taken)
                cached_rows += uses_cache(row)
    sums = recorded.run.totals
    known = [cost for cost in (sums.cost, sums.cached_cost) if cost is not None]
    return Measures(
        latency=_latency(durations, cached_rows, unknown),
        usage=sums.usage + sums.cached_usage,
        cached_usage=sums.cached_usage,
        cost=sum(known, Decimal(0)) if known else None,
        unpriced=unpriced,
        calls=Calls(total=total, cached=cached),
        models=tuple(models),
    )


def is_call(node: NodeResult) -> bool:
    """Return whether a node called a model, or was answered from the cache in its place."""
    return node.model is not None or node.usage is not None or node.cached_usage is not None


def work_done(recorded: Recorded, since: int) -> tuple[int, int]:
    """Return how many model calls the attempts of a run from ``since`` on made, and how many rows had answers before.

    The rows are read only where that does not follow from the record.
    """
    if since > len(recorded.run.attempts):
        return 0, recorded.run.counts.completed
    made = before = 0
    for row in recorded.rows():
        if row.attempt >= since:
            made += sum(is_call(node) and node.status != "cached" for node in row.nodes)
        else:
            before += row.status == "completed"
    return made, before


def _latency(durations: array[float], cached: int, unknown: int) -> Latency:
    if not durations:
        return Latency(unknown=unknown)
    values = np.sort(np.frombuffer(durations, dtype=np.float64))
    shares = np.linspace(0.0, 1.0, min(len(values), CURVE_POINTS))
    p50, p95 = (float(np.quantile(values, share)) for share in (0.5, 0.95))
    curve = tuple(round(float(value), 6) for value in np.quantile(values, shares, method="inverted_cdf"))
    return Latency(p50=p50, p95=p95, n=len(values), cached=cached, unknown=unknown, curve=curve)
