"""Power of paired designs: what difference a number of rows can find, and how many rows a difference needs."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from pilothouse.evaluation.statistics.arrays import FloatArray, IntArray
from pilothouse.evaluation.statistics.special import normal_cdf, normal_quantile, t_quantile

_EXACT_DISCORDANT = 500
_NODES = 240
_SPREAD = 9.0
_ENOUGH_DF = 5000


def mcnemar_power(n: int, discordance: float, difference: float, alpha: float = 0.05) -> float:
    """Return the chance that McNemar's exact test finds a difference of two paired rates.

    Exact over both the number of discordant pairs and their split, up to 500 expected ones; beyond that the normal
    approximation with the correction for continuity (Connor 1987, corrected).

    Args:
        n: Pairs.
        discordance: Share of pairs in which the two disagree; at least the size of the difference.
        difference: Difference of the two rates.
        alpha: Level of the two-sided test.
    """
    delta = abs(difference)
    spread = max(discordance, delta)
    if n * spread > _EXACT_DISCORDANT:
        variance = spread - delta * delta
        excess = n * delta - 1.0 + normal_quantile(alpha / 2.0) * math.sqrt(n * spread)
        return normal_cdf(excess / math.sqrt(n * variance)) if variance > 0.0 else float(excess > 0.0)
    counts, chances = _binomial_range(n, spread)
    critical = _critical_counts(int(counts[-1]), alpha)[counts]
    share = 0.5 * (1.0 + delta / spread) if spread else 0.5
    tails = _binomial_tails(counts, critical, share) + _binomial_tails(counts, critical, 1.0 - share)
    return float(chances @ tails)


def detectable_rate_difference(n: int, discordance: float, alpha: float = 0.05, power: float = 0.8) -> float | None:
    """Return the smallest difference of two paired rates that McNemar's exact test finds with chance ``power``.

    Where it exceeds the ``discordance``, the discordance is taken to be the difference itself: all disagreement
    points one way. None when even a difference of 1 would not be found.
    """
    return _least(lambda delta: mcnemar_power(n, discordance, delta, alpha) >= power)


def required_pairs(difference: float, discordance: float, alpha: float = 0.05, power: float = 0.8) -> int | None:
    """Return the least number of pairs with which McNemar's exact test finds a difference with chance ``power``.

    Least but for the saw-teeth of an exact test's power. None for a difference of 0.
    """
    if not difference:
        return None
    return _least_count(lambda n: mcnemar_power(n, discordance, difference, alpha) >= power)


def mean_power(n: int, effect: float, alpha: float = 0.05) -> float:
    """Return the chance that the paired t-test finds a mean difference of ``effect`` standard deviations.

    The two tails of the noncentral t distribution, by quadrature over the chi distribution of the standard error.
    """
    df, shift = n - 1, abs(effect) * math.sqrt(n)
    if df < 1:
        return 0.0
    bar = t_quantile(1.0 - alpha / 2.0, df)
    if df > _ENOUGH_DF:
        return normal_cdf(shift - bar) + normal_cdf(-shift - bar)
    nodes, masses = _chi_quadrature(df)
    tails = [normal_cdf(shift - bar * s) + normal_cdf(-shift - bar * s) for s in nodes]
    return float(masses @ np.array(tails))


def detectable_mean_difference(n: int, deviation: float, alpha: float = 0.05, power: float = 0.8) -> float | None:
    """Return the smallest mean difference the paired t-test finds; ``deviation`` is that of the differences."""
    if n < 2 or not deviation:
        return None
    top = 1.0
    while mean_power(n, top, alpha) < power:
        top *= 2.0
    share = _least(lambda x: mean_power(n, x * top, alpha) >= power)
    return None if share is None else share * top * deviation


def required_rows(difference: float, deviation: float, alpha: float = 0.05, power: float = 0.8) -> int | None:
    """Return the least number of rows with which the paired t-test finds a mean difference; None for a 0."""
    if not difference or not deviation:
        return None
    return _least_count(lambda n: mean_power(n, difference / deviation, alpha) >= power)


def detectable_by_error(standard_error: float, alpha: float = 0.05, power: float = 0.8) -> float:
    """Return (z of 1 - alpha/2 + z of power) standard errors, for figures with no test of their own form."""
    return (normal_quantile(1.0 - alpha / 2.0) + normal_quantile(power)) * standard_error


@lru_cache(maxsize=32)
def _critical_counts(top: int, alpha: float) -> IntArray:
    """Return for D = 0 .. ``top`` the largest k with 2 P(Binomial(D, 1/2) <= k) < alpha; -1 where there is none."""
    found = np.full(top + 1, -1, dtype=np.int64)
    k, tail = -1, 0.0  # tail = P(Binomial(D, 1/2) <= k), carried from D to D + 1
    for d in range(1, top + 1):
        if k >= 0:
            tail -= 0.5 * math.exp(_log_half(d - 1, k))
        step = math.exp(_log_half(d, k + 1)) if k + 1 <= d else 1.0
        if 2.0 * (tail + step) < alpha:
            k, tail = k + 1, tail + step
        found[d] = k
    return found


def _log_half(n: int, k: int) -> float:
    """Return the log of P(Binomial(n, 1/2) = k)."""
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) - n * math.log(2.0)


def _binomial_range(n: int, p: float) -> tuple[IntArray, FloatArray]:
    """Return the counts of Binomial(n, p) that have any chance worth adding, and their chances."""
    reach = _SPREAD * math.sqrt(n * p * (1.0 - p)) + _SPREAD
    counts = np.arange(max(0, math.floor(n * p - reach)), min(n, math.ceil(n * p + reach)) + 1, dtype=np.int64)
    return counts, np.exp(_log_binomial(np.full(len(counts), n), counts, p))


def _binomial_tails(sizes: IntArray, tops: IntArray, p: float) -> FloatArray:
    """Return P(Binomial(size, 1 - p) <= top) for each size and its top."""
    successes = np.arange(int(tops.max(initial=-1)) + 1, dtype=np.int64)
    table = np.exp(_log_binomial(sizes[:, None], successes[None, :], 1.0 - p))
    return np.where(successes[None, :] <= tops[:, None], table, 0.0).sum(axis=1)


def _log_binomial(n: IntArray, k: IntArray, p: float) -> FloatArray:
    """Return the log of P(Binomial(n, p) = k); minus infinity outside 0 .. n."""
    factorials = _log_factorials(1 << int(n.max(initial=0)).bit_length())
    rest = n - k
    inside = rest >= 0
    with np.errstate(divide="ignore", invalid="ignore"):
        log_p, log_q = np.log(p), np.log1p(-p)
        chance = np.where(k == 0, 0.0, k * log_p) + np.where(rest == 0, 0.0, rest * log_q)
    ways = factorials[n] - factorials[np.minimum(k, len(factorials) - 1)] - factorials[np.where(inside, rest, 0)]
    return np.where(inside, ways + chance, -np.inf)


@lru_cache(maxsize=4)
def _log_factorials(top: int) -> FloatArray:
    """Return log k! for k = 0 .. ``top``."""
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1.0, top + 1.0)))])


@lru_cache(maxsize=32)
def _chi_quadrature(df: int) -> tuple[FloatArray, FloatArray]:
    """Return nodes and masses of the distribution of chi / sqrt(df), by Gauss and Legendre."""
    points, masses = np.polynomial.legendre.leggauss(_NODES)
    reach = _SPREAD / math.sqrt(2.0 * df)
    low, high = max(0.0, 1.0 - reach), 1.0 + reach
    nodes = low + (high - low) * (points + 1.0) / 2.0
    log_density = (
        math.log(2.0) + df / 2.0 * math.log(df / 2.0) - math.lgamma(df / 2.0)
        + (df - 1.0) * np.log(nodes) - df * nodes**2 / 2.0
    )  # fmt: skip
    return nodes, masses * (high - low) / 2.0 * np.exp(log_density)


def _least(holds: Callable[[float], bool]) -> float | None:
    """Return the least number up to 1 from which on a condition holds, to 1e-6; None when it fails at 1."""
    if not holds(1.0):
        return None
    low, high = 0.0, 1.0
    while high - low > 1e-6:
        middle = 0.5 * (low + high)
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _least_count(holds: Callable[[int], bool]) -> int:
    high = 2
    while not holds(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
