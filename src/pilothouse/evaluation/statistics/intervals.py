"""Confidence intervals that need no resampling.

None means that the data cannot carry an interval; the caller says why.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from pilothouse.evaluation.statistics.arrays import FloatArray, IntArray
from pilothouse.evaluation.statistics.special import beta_quantile, binomial_cdf, t_quantile, two_sided_z
from pilothouse.evaluation.types import Interval

_HALVINGS = 60
_ROUNDING = 1e-13


def wilson(successes: float, n: int, level: float = 0.95) -> Interval | None:
    """Return Wilson's score interval of a proportion (Wilson 1927); None for ``n`` = 0."""
    if n == 0:
        return None
    z = two_sided_z(level)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # Rounding must not push the bound of 0 of n or n of n past the value itself.
    low = 0.0 if successes <= 0 else max(0.0, centre - reach)
    high = 1.0 if successes >= n else min(1.0, centre + reach)
    return Interval(low=low, high=high, level=level, method="wilson")


def clopper_pearson(successes: int, n: int, level: float = 0.95) -> Interval | None:
    """Return the exact interval of a proportion, which never covers less than ``level``; None for ``n`` = 0."""
    if n == 0:
        return None
    tail = (1.0 - level) / 2.0
    low = 0.0 if successes == 0 else beta_quantile(tail, successes, n - successes + 1)
    high = 1.0 if successes == n else beta_quantile(1.0 - tail, successes + 1, n - successes)
    return Interval(low=low, high=high, level=level, method="clopper-pearson")


def deviation(values: FloatArray) -> float:
    """Return the standard deviation of a sample; 0.0 where values differ by rounding alone, and below two of them."""
    return _unless_rounding(float(np.std(values, ddof=1)), values) if len(values) > 1 else 0.0


def _unless_rounding(spread: float, values: FloatArray) -> float:
    return spread if spread > _ROUNDING * float(np.abs(values).max()) else 0.0


def standard_error(values: FloatArray) -> float | None:
    """Return sqrt(sum (x - mean)^2 / (n (n - 1))), the standard error of a mean; None below two values."""
    return deviation(values) / math.sqrt(len(values)) if len(values) > 1 else None


def clustered_standard_error(values: FloatArray, clusters: IntArray) -> float | None:
    """Return the standard error of a mean of values that are independent between clusters alone.

    sqrt(C / (C - 1) * sum over clusters of (sum of (x - mean))^2) / n, with C clusters; with one value a cluster it
    is `standard_error`. None below two clusters.

    Args:
        values: (n,) numbers.
        clusters: (n,) cluster numbers 0 .. C - 1, each of which occurs.
    """
    sums = np.bincount(clusters, weights=values - values.mean()) if len(values) else np.zeros(0)
    count = len(sums)
    if count < 2:
        return None
    return _unless_rounding(math.sqrt(count / (count - 1) * float(sums @ sums)) / len(values), values)


def mean_interval(
    values: FloatArray,
    level: float = 0.95,
    *,
    clusters: IntArray | None = None,
    bounds: tuple[float, float] | None = None,
) -> Interval | None:
    """Return Student's interval of a mean, cut at the ``bounds`` of the values.

    With ``clusters`` it rests on `clustered_standard_error` and C - 1 degrees of freedom. None below two
    independent values, and where all values are equal: a spread of nothing would claim certainty.
    """
    if clusters is None:
        error, df, method = standard_error(values), len(values) - 1, "t"
    else:
        error, df, method = clustered_standard_error(values, clusters), int(clusters.max(initial=-1)), "clustered t"
    if not error:
        return None
    mean = float(values.mean())
    reach = t_quantile(0.5 + level / 2.0, df) * error
    lowest, highest = bounds or (-math.inf, math.inf)
    return Interval(low=max(lowest, mean - reach), high=min(highest, mean + reach), level=level, method=method)


def paired_rate_interval(lost: int, gained: int, n: int, level: float = 0.95) -> Interval | None:
    """Return Tango's score interval of (gained - lost) / n, a difference of two rates over the same rows.

    Tango, Statistics in Medicine 17 (1998) 891-908. It agrees with McNemar's test (at 0 its statistic is
    McNemar's), and has a width even where no pair disagrees. None for ``n`` = 0.

    Args:
        lost: Rows right in the first alone.
        gained: Rows right in the second alone.
        n: All rows.
        level: Confidence.
    """
    if n == 0:
        return None
    z = two_sided_z(level)
    difference = (gained - lost) / n
    low = _crossing(lambda delta: tango_score(lost, gained, n, delta) <= z, -1.0, difference)
    high = _crossing(lambda delta: tango_score(lost, gained, n, delta) < -z, difference, 1.0)
    return Interval(low=low, high=high, level=level, method="tango")


def tango_score(lost: int, gained: int, n: int, delta: float) -> float:
    """Return the score statistic of the hypothesis that the difference of two paired rates is ``delta``."""
    excess = gained - lost - n * delta
    # The likelihood's maximum under the hypothesis: the positive root of 2n q^2 + b q - lost delta (1 - delta).
    b = -(gained + lost) + (2 * n - gained + lost) * delta
    root = math.sqrt(max(0.0, b * b + 8 * n * lost * delta * (1 - delta)))
    variance = n * ((root - b) / (2 * n) + delta * (1 - delta))
    if variance <= 0.0:
        return 0.0 if abs(excess) < 1e-12 * n else math.copysign(math.inf, excess)
    return excess / math.sqrt(variance)


def _crossing(passed: Callable[[float], bool], low: float, high: float) -> float:
    """Return where ``passed`` turns from False to True, or the end it keeps to."""
    if passed(low):
        return low
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        if passed(middle):
            high = middle
        else:
            low = middle
    return high


def quantile_interval(values: FloatArray, q: float, level: float = 0.95) -> Interval | None:
    """Return the interval between two order statistics that holds the ``q`` quantile of the population.

    It assumes nothing of the distribution and covers at least ``level``. None with too few values: see
    `rows_for_quantile`.
    """
    n = len(values)
    tail = (1.0 - level) / 2.0
    below = _first(lambda k: binomial_cdf(k, n, q) > tail, n)
    above = _first(lambda k: 1.0 - binomial_cdf(k, n, q) <= tail, n) + 1
    if below < 1 or above > n:
        return None
    ordered = np.sort(values)
    low, high = float(ordered[below - 1]), float(ordered[above - 1])
    return Interval(low=low, high=high, level=level, method="order statistics")


def rows_for_quantile(q: float, level: float = 0.95) -> int:
    """Return the least number of rows from which the ``q`` quantile has an interval."""
    tail = (1.0 - level) / 2.0
    return math.ceil(math.log(tail) / math.log(max(q, 1.0 - q)))


def _first(holds: Callable[[int], bool], top: int) -> int:
    """Return the least k from 0 to ``top`` for which a condition holds that goes on holding."""
    low, high = 0, top
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low
