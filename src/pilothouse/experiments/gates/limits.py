"""Limits: does a figure lie where it shall, beyond what chance would do to it?"""

from __future__ import annotations

import math

import numpy as np
from msgspec import structs

from pilothouse.evaluation.aggregate import estimate
from pilothouse.evaluation.observations import observe, values
from pilothouse.evaluation.statistics.bootstrap import bootstrap
from pilothouse.evaluation.statistics.intervals import clopper_pearson, mean_interval
from pilothouse.evaluation.types import Estimate, Interval, Metric, Procedure
from pilothouse.evaluation.units import units_of
from pilothouse.experiments.analysis import numbers
from pilothouse.experiments.gates.types import MOST_ROWS, Outcome, RuleResult, Snapshot
from pilothouse.experiments.rules import Limit

ALIKE = 20
"""Rows that must all have one value before a figure without any spread is taken as it stands."""


def limit_result(name: str, limit: Limit, metric: Metric, arm: Snapshot, how: Procedure, min_rows: int) -> RuleResult:
    """Return what a limit says: the whole interval inside passes, the whole interval outside fails.

    A share of independent rows has the exact interval of Clopper and Pearson here: Wilson's, better on average, cries
    wolf too often near 0 and 1; a mean of skewed values has a wider one. With ``on: value`` the figure alone decides.
    Too few rows are inconclusive either way.
    """
    found = _careful(metric, estimate(metric, arm.rows, how), arm, how)
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


def _careful(metric: Metric, found: Estimate, arm: Snapshot, how: Procedure) -> Estimate:
    """Return a figure with an interval that keeps alpha on each side, not only over both together."""
    if found.value is None or found.clusters is not None:
        return found
    if metric.kind == "rate":
        return structs.replace(found, interval=clopper_pearson(round(found.value * found.n), found.n, how.level))
    if metric.kind == "mean" and found.interval is not None:
        return _unskewed(metric, found, arm, how)
    return found


def _unskewed(metric: Metric, found: Estimate, arm: Snapshot, how: Procedure) -> Estimate:
    """Return a mean with a wider interval where values are too skewed for Student's, by Cochran's n > 25 skewness^2.

    It is then the wider end of Student's and BCa's, at a fifth of alpha.
    """
    entries = list(observe(metric, arm.rows, how.failures).entries.values())
    gaps = values(entries) - float(values(entries).mean())
    second, third = (float(np.mean(np.power(gaps, order))) for order in (2, 3))
    skewness = third / second**1.5
    if len(entries) > 25.0 * skewness**2:
        return found
    level = 1.0 - how.alpha / 5.0
    units = units_of(metric, [entries], None)
    drawn = bootstrap(
        units.joined, units.counts, units.statistic, level=level, resamples=how.resamples, seed=how.seed
    ).interval
    student = mean_interval(values(entries), level, bounds=metric.bounds)
    if drawn is None or student is None:
        return found
    low, high = min(student.low, drawn.low), max(student.high, drawn.high)
    wide = Interval(low=low, high=high, level=level, method="wider of Student and BCa, skewed values")
    return structs.replace(found, interval=wide)


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
    needed = _rows_needed(limit, found)
    hint = f"; about {needed:,} rows would tell" if needed else ""
    said = f"the {numbers.percent(interval.level)} interval of {numbers.rows(found.n)} holds the limit"
    return "inconclusive", said + hint


def _rows_needed(limit: Limit, found: Estimate) -> int | None:
    """Return about how many rows would bring the interval off the limits, were the figure to stay as it is."""
    interval, value = found.interval, found.value
    if interval is None or value is None:
        return None
    held = [end for end in (limit.at_least, limit.at_most) if end is not None and interval.low <= end <= interval.high]
    if any(end == value for end in held):
        return None
    shares = [(value - interval.low if end < value else interval.high - value) / abs(value - end) for end in held]
    return math.ceil(found.n * max(shares) ** 2) if shares else None


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
