"""Limits: does a figure lie where it shall, beyond what chance would do to it?"""

from __future__ import annotations

import math

from msgspec import structs

from pilothouse.evaluation.aggregate import estimate
from pilothouse.evaluation.observations import observe
from pilothouse.evaluation.statistics.intervals import clopper_pearson
from pilothouse.evaluation.types import Estimate, Metric, Procedure
from pilothouse.experiments.analysis import numbers
from pilothouse.experiments.gates.types import MOST_ROWS, Outcome, RuleResult, Snapshot
from pilothouse.experiments.rules import Limit

ALIKE = 20
"""Rows that must all have one value before a figure without any spread is taken as it stands."""


def limit_result(name: str, limit: Limit, metric: Metric, arm: Snapshot, how: Procedure, min_rows: int) -> RuleResult:
    """Return what a limit says: the whole interval inside passes, the whole interval outside fails.

    A share of independent rows has the exact interval of Clopper and Pearson here: Wilson's, better on average, cries
    wolf too often near 0 and 1. With ``on: value`` the figure alone decides. Too few rows are inconclusive either way.
    """
    found = _exact(metric, estimate(metric, arm.rows, how), how.level)
    outcome, reason = _judged(limit, found, metric, min_rows)
    rows = _wrong(metric, arm) if outcome != "pass" else []
    return RuleResult(
        name=name,
        outcome=outcome,
        reason=reason + _left_out(found),
        figure=numbers.estimate(found, metric),
        estimate=found,
        metric=metric,
        rows=tuple(rows[:MOST_ROWS]),
        row_count=len(rows),
    )


def range_text(limit: Limit, metric: Metric) -> str:
    """Return ``at least 0.8``."""
    ends = (("at least", limit.at_least), ("at most", limit.at_most))
    return " and ".join(f"{word} {_shown(end, metric)}" for word, end in ends if end is not None)


def few(found: int, wanted: int) -> str:
    """Return why a figure over few rows says nothing."""
    return f"only {numbers.rows(found)}, and the gate asks for {wanted:,}"


def p_text(p_value: float) -> str:
    """Return ``p = 0.03`` or ``p < 0.001``."""
    text = numbers.p_value(p_value)
    return f"p < {text[1:]}" if text.startswith("<") else f"p = {text}"


def _exact(metric: Metric, found: Estimate, level: float) -> Estimate:
    if metric.kind != "rate" or found.value is None or found.clusters is not None:
        return found
    return structs.replace(found, interval=clopper_pearson(round(found.value * found.n), found.n, level))


def _judged(limit: Limit, found: Estimate, metric: Metric, min_rows: int) -> tuple[Outcome, str]:
    asked = range_text(limit, metric)
    if found.value is None:
        return "inconclusive", found.note or "no rows to measure"
    independent = found.clusters or found.n
    if independent < min_rows:
        return "inconclusive", few(independent, min_rows)
    if limit.on == "value":
        return ("pass", f"it is {asked}") if _inside(limit, found.value, found.value) else ("fail", f"not {asked}")
    interval = found.interval
    if interval is None:
        if found.note is None or "no spread" not in found.note or independent < ALIKE:
            return "inconclusive", found.note or "there is no interval"
        same = f"all {numbers.rows(found.n)} have this value"
        inside = _inside(limit, found.value, found.value)
        return ("pass", f"{same}, {asked}") if inside else ("fail", f"{same}, not {asked}")
    said = f"the whole {numbers.percent(interval.level)} interval"
    if _inside(limit, interval.low, interval.high):
        return "pass", f"{said} is {asked}"
    if _outside(limit, interval.low, interval.high):
        return "fail", f"{said} lies outside: not {asked}"
    return "inconclusive", f"the {numbers.percent(interval.level)} interval of {numbers.rows(found.n)} holds the limit"


def _inside(limit: Limit, low: float, high: float) -> bool:
    return low >= _low(limit) and high <= _high(limit)


def _outside(limit: Limit, low: float, high: float) -> bool:
    return high < _low(limit) or low > _high(limit)


def _low(limit: Limit) -> float:
    return -math.inf if limit.at_least is None else limit.at_least


def _high(limit: Limit) -> float:
    return math.inf if limit.at_most is None else limit.at_most


def _shown(value: float, metric: Metric) -> str:
    return f"{value:g} {metric.unit}" if metric.unit else f"{value:g}"


def _wrong(metric: Metric, arm: Snapshot) -> list[str]:
    """Return the ids of the rows that a right-or-wrong metric counts as wrong."""
    if metric.kind not in {"rate", "labels"}:
        return []
    bad = 1.0 if metric.better == "lower" else 0.0
    return [id_ for id_, entry in observe(metric, arm.rows).entries.items() if entry.value == bad]


def _left_out(found: Estimate) -> str:
    parts = [f"{count:,} {why}" for why, count in found.excluded.items()]
    return f" (left out: {', '.join(parts)})" if parts else ""
