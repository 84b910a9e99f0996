"""Bootstrap intervals of any figure that follows from sums over rows, and of quantiles.

A unit is what is drawn: a row, a pair of rows, or a whole cluster. It is described by the features that it adds to
the sums a figure needs: (value, 1) for a mean, counts of a confusion matrix for macro-F1. A resample is a vector of
weights, its sums one matrix product, and the figure is computed anew from them, for all resamples at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pilothouse.evaluation.statistics.arrays import FloatArray, IntArray, Statistic
from pilothouse.evaluation.statistics.resampling import weights
from pilothouse.evaluation.statistics.special import normal_cdf, normal_quantile
from pilothouse.evaluation.types import Interval

Method = Literal["bca", "percentile"]

RESAMPLES = 5000
_MOST_UNDEFINED = 0.05
_QUANTILE_WORK = 20_000_000
_LEAST_RESAMPLES = 500
_LEAST_UNITS = 2


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """What resampling tells.

    Attributes:
        interval: None where the resamples cannot carry one.
        standard_error: Standard deviation over the resamples.
        p_value: Two-sided, against 0: twice the smaller share of resamples on either side, counted with the sample.
        note: Why there is no interval, or what to bear in mind.
    """

    interval: Interval | None
    standard_error: float | None
    p_value: float | None
    note: str | None = None


_TOO_FEW = Bootstrap(None, None, None, "fewer than two units to resample")


def bootstrap(
    units: FloatArray,
    counts: IntArray,
    statistic: Statistic,
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
    method: Method = "bca",
) -> Bootstrap:
    """Resample one sample; for a paired difference the features of both sides stand side by side in a unit.

    Args:
        units: (U, d) features of the distinct units.
        counts: (U,) how often each occurs.
        statistic: (m, d) sums to (m,) values; NaN where undefined.
        level: Confidence.
        resamples: Number of resamples.
        seed: The same seed and data give the same interval.
        method: ``bca`` = bias-corrected and accelerated (Efron 1987), ``percentile`` = plain.
    """
    if counts.sum() < _LEAST_UNITS:
        return _TOO_FEW
    rng = np.random.default_rng(seed)
    values = np.concatenate([statistic(drawn @ units) for drawn in weights(counts, resamples, rng)])
    estimate = float(statistic((counts @ units)[None, :])[0])
    bend = acceleration([(jackknife(units, counts, statistic), counts)]) if method == "bca" else None
    return _summary(values, estimate, bend, level)


def bootstrap_unpaired(
    first: tuple[FloatArray, IntArray],
    second: tuple[FloatArray, IntArray],
    statistic: Statistic,
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
    method: Method = "bca",
) -> Bootstrap:
    """Resample two independent samples, each (units, counts), for the difference second minus first."""
    if min(first[1].sum(), second[1].sum()) < _LEAST_UNITS:
        return _TOO_FEW
    rng = np.random.default_rng(seed)
    sides = (first, second)
    values = [
        np.concatenate([statistic(w @ units) for w in weights(counts, resamples, rng)]) for units, counts in sides
    ]
    whole = [float(statistic((counts @ units)[None, :])[0]) for units, counts in sides]
    bend = None
    if method == "bca":
        left, right = (jackknife(units, counts, statistic) for units, counts in sides)
        bend = acceleration([(whole[1] - left, first[1]), (right - whole[0], second[1])])
    return _summary(values[1] - values[0], whole[1] - whole[0], bend, level)


def bootstrap_quantile(
    columns: tuple[FloatArray, ...],
    q: float,
    groups: IntArray | None = None,
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Bootstrap:
    """Resample a quantile of one column, or the difference of the quantiles of two (second minus first), by rows.

    Percentile intervals: the acceleration of a quantile has no use, because its jackknife is not consistent.

    Args:
        columns: One or two (n,) columns over the same rows.
        q: Between 0 and 1.
        groups: (n,) cluster numbers 0 .. C - 1 that are drawn whole; None = rows are drawn.
        level: Confidence.
        resamples: Number of resamples; fewer over more than 4,000 rows, where each costs more and varies less.
        seed: The same seed and data give the same interval.
    """
    n = len(columns[0])
    if n < _LEAST_UNITS or (groups is not None and not groups.any()):
        return _TOO_FEW
    resamples = min(resamples, max(_LEAST_RESAMPLES, _QUANTILE_WORK // n))
    if groups is None:
        order = np.lexsort(columns)  # so that the order of the rows does not matter
        columns, groups = tuple(column[order] for column in columns), np.arange(n)
    rng = np.random.default_rng(seed)
    orders = [np.argsort(column, kind="stable") for column in columns]
    counts = np.ones(int(groups.max()) + 1, dtype=np.int64)
    blocks: list[FloatArray] = []
    for drawn in weights(counts, resamples, rng, width=n):
        found = [_weighted_quantile(c[o], drawn[:, groups[o]], q) for c, o in zip(columns, orders, strict=True)]
        blocks.append(found[-1] - found[0] if len(found) > 1 else found[0])
    whole = [float(np.quantile(column, q)) for column in columns]
    return _summary(np.concatenate(blocks), whole[-1] - whole[0] if len(whole) > 1 else whole[0], None, level)


def _weighted_quantile(ordered: FloatArray, times: FloatArray, q: float) -> FloatArray:
    """Return the ``q`` quantile, between order statistics as `numpy.quantile`, of values that occur ``times`` each."""
    running = np.cumsum(times, axis=1)
    place = (running[:, -1] - 1.0) * q
    lower = np.floor(place)
    at = np.minimum((running <= lower[:, None]).sum(axis=1), len(ordered) - 1)
    after = np.minimum((running <= lower[:, None] + 1.0).sum(axis=1), len(ordered) - 1)
    return ordered[at] + (place - lower) * (ordered[after] - ordered[at])


def jackknife(units: FloatArray, counts: IntArray, statistic: Statistic) -> FloatArray:
    """Return the (U,) values of the figure with one unit of each kind left out."""
    return statistic(counts @ units - units)


def acceleration(samples: Iterable[tuple[FloatArray, IntArray]]) -> float | None:
    """Return the acceleration of BCa from the jackknife values of each sample and their counts.

    sum over samples of sum u^3 / n^3, over 6 (sum u^2 / n^2)^(3/2), with u = (n - 1)(mean of values - value).
    None where a value is undefined or none differs.
    """
    cubes = squares = 0.0
    for values, counts in samples:
        n = int(counts.sum())
        u = (n - 1) * (np.average(values, weights=counts) - values)
        cubes += float(counts @ u**3) / n**3
        squares += float(counts @ u**2) / n**2
    return cubes / (6.0 * squares**1.5) if squares > 0.0 and math.isfinite(cubes) else None


def bca_shares(values: FloatArray, estimate: float, bend: float, level: float) -> tuple[float, float] | None:
    """Return the shares of the resamples that bound a BCa interval; None if the estimate lies beyond all of them."""
    share = float((values < estimate).mean() + (values <= estimate).mean()) / 2.0
    if not 0.0 < share < 1.0:
        return None
    shift = normal_quantile(share)

    def corrected(p: float) -> float:
        z = shift + normal_quantile(p)
        return normal_cdf(shift + z / (1.0 - bend * z))

    return corrected((1.0 - level) / 2.0), corrected((1.0 + level) / 2.0)


def _summary(values: FloatArray, estimate: float, bend: float | None, level: float) -> Bootstrap:
    """Turn resampled values into an interval; ``bend`` is the acceleration, None for the percentile interval."""
    defined = values[np.isfinite(values)]
    undefined = len(values) - len(defined)
    if not math.isfinite(estimate) or undefined > _MOST_UNDEFINED * len(values):
        return Bootstrap(None, None, None, f"undefined in {undefined} of {len(values)} resamples")
    # Sums in another order differ in the last bits: what is equal but for rounding is equal.
    if np.ptp(defined) <= 1e-12 * max(1.0, abs(estimate)):
        return Bootstrap(None, None, None, "every resample gives the same value: no spread to measure")
    note = f"undefined in {undefined} of {len(values)} resamples" if undefined else None
    shares = None if bend is None else bca_shares(defined, estimate, bend, level)
    name = "percentile bootstrap" if shares is None else "BCa bootstrap"
    low, high = np.quantile(defined, shares or ((1.0 - level) / 2.0, (1.0 + level) / 2.0))
    below, above = int((defined <= 0.0).sum()), int((defined >= 0.0).sum())
    return Bootstrap(
        interval=Interval(low=float(low), high=float(high), level=level, method=f"{name}, {len(defined)} resamples"),
        standard_error=float(defined.std(ddof=1)),
        p_value=min(1.0, 2.0 * (min(below, above) + 1) / (len(defined) + 1)),
        note=note,
    )
