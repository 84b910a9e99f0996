"""The smallest differences that a design can find, corrected for the family of its comparisons."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import stdev

from msgspec import Struct

from pilothouse.evaluation.observations import observe
from pilothouse.evaluation.statistics import power
from pilothouse.evaluation.types import Metric, ScoredRow

POWER = 0.8
DISAGREEMENTS = (0.05, 0.1, 0.2, 0.4)
"""Shares of rows on which two variants disagree: the unknown on which the power of a paired test rests."""

GOAL = 0.05


class Detectable(Struct, frozen=True, kw_only=True):
    """What can be found if two variants disagree on a share of the rows.

    Attributes:
        disagreement: The share.
        difference: Smallest true difference of two rates that is found 4 times out of 5; None when even the largest
            that the share allows is not.
        rows_for_goal: Rows with which a difference of `GOAL` would be found; None when the share is smaller than it.
    """

    disagreement: float
    difference: float | None
    rows_for_goal: int | None


class DetectableMean(Struct, frozen=True, kw_only=True):
    """The smallest difference of two means that is found 4 times out of 5, by the paired t-test.

    Attributes:
        metric: The metric; empty for any, in standard deviations of the rows' differences.
        deviation: Standard deviation of the differences; 1 where nothing was measured.
        difference: The smallest difference; None with fewer than two rows.
    """

    metric: str = ""
    deviation: float = 1.0
    difference: float | None


def detectable_rates(units: int, alpha: float) -> tuple[Detectable, ...]:
    """Return what independent units find of rates, for several shares of disagreement."""
    return tuple(_rate(units, share, alpha) for share in DISAGREEMENTS)


def detectable_means(
    units: int, alpha: float, metrics: Iterable[Metric], earlier: Mapping[str, Sequence[ScoredRow]], baseline: str
) -> tuple[DetectableMean, ...]:
    """Return what independent units find of means: in standard deviations, and for metrics that were measured before.

    Args:
        units: Independent rows.
        alpha: Level of one comparison.
        metrics: The metrics of earlier scores.
        earlier: Arm -> rows with scores of earlier runs.
        baseline: The arm that the others are compared with.
    """
    found = [DetectableMean(difference=power.detectable_mean_difference(units, 1.0, alpha, POWER))]
    for metric in metrics:
        deviation = _deviation(metric, earlier, baseline) if metric.kind == "mean" else None
        if deviation:
            difference = power.detectable_mean_difference(units, deviation, alpha, POWER)
            found.append(DetectableMean(metric=metric.name, deviation=deviation, difference=difference))
    return tuple(found)


def _rate(units: int, share: float, alpha: float) -> Detectable:
    found = power.detectable_rate_difference(units, share, alpha, POWER)
    needed = power.required_pairs(GOAL, share, alpha, POWER) if share >= GOAL else None
    possible = found if found is not None and found <= share else None
    return Detectable(disagreement=share, difference=possible, rows_for_goal=needed)


def _deviation(metric: Metric, earlier: Mapping[str, Sequence[ScoredRow]], baseline: str) -> float | None:
    """Return the largest deviation of the differences between an arm and the baseline; None without two arms."""
    if baseline not in earlier:
        return None
    base = _values(metric, earlier[baseline])
    found: list[float] = []
    for name, rows in earlier.items():
        other = _values(metric, rows)
        gaps = [other[id_] - base[id_] for id_ in base if id_ in other]
        if name != baseline and len(gaps) > 1:
            found.append(stdev(gaps))
    return max(found, default=None)


def _values(metric: Metric, rows: Sequence[ScoredRow]) -> dict[str, float]:
    entries = observe(metric, rows).entries
    return {id_: entry.value for id_, entry in entries.items() if math.isfinite(entry.value)}
