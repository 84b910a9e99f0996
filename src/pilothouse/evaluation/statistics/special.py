"""Distribution functions that the intervals and tests need, exact to about 1e-12."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist

_NORMAL = NormalDist()
_TINY = 1e-300
_EPSILON = 1e-16
_MAX_TERMS = 100_000


def normal_cdf(z: float) -> float:
    """Return P(Z <= z) of the standard normal distribution; exact in both tails."""
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def normal_quantile(p: float) -> float:
    """Return the z with P(Z <= z) = ``p``, for 0 < p < 1."""
    return _NORMAL.inv_cdf(p)


def two_sided_z(level: float) -> float:
    """Return the z that holds the share ``level`` of the standard normal distribution between -z and z."""
    return -normal_quantile((1.0 - level) / 2.0)


def beta_cdf(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b), for a, b > 0."""
    return _beta_cdf(x, 1.0 - x, a, b)


def _beta_cdf(x: float, y: float, a: float, b: float) -> float:
    # y = 1 - x comes apart, because a caller near x = 1 knows it better than the subtraction does.
    if x <= 0.0:
        return 0.0
    if y <= 0.0:
        return 1.0
    scale = _beta_scale(x, y, a, b)
    # The continued fraction converges fast below the mean; above it the mirrored form does.
    if x < (a + 1.0) / (a + b + 2.0):
        return scale * _beta_fraction(x, a, b) / a
    return 1.0 - scale * _beta_fraction(y, b, a) / b


def _beta_scale(x: float, y: float, a: float, b: float) -> float:
    """Return x^a y^b / B(a, b); by Stirling's remainders, because large log-gammas would cancel."""
    n = a + b
    remainders = _stirling_remainder(n) - _stirling_remainder(a) - _stirling_remainder(b)
    deviance = a * _log_ratio(x * n, a) + b * _log_ratio(y * n, b)
    return math.sqrt(a / n * b / math.tau) * math.exp(remainders + deviance)


def _log_ratio(value: float, reference: float) -> float:
    ratio = value / reference
    return math.log1p((value - reference) / reference) if 0.5 < ratio < 2.0 else math.log(ratio)


def _stirling_remainder(z: float) -> float:
    """Return log Gamma(z) less Stirling's (z - 1/2) log z - z + log(2 pi)/2."""
    if z < 12.0:
        return math.lgamma(z) - (z - 0.5) * math.log(z) + z - 0.5 * math.log(math.tau)
    w = 1.0 / (z * z)
    return (1 / 12 - w * (1 / 360 - w * (1 / 1260 - w * (1 / 1680 - w * (1 / 1188 - w * 691 / 360360))))) / z


def _beta_fraction(x: float, a: float, b: float) -> float:
    """Return the continued fraction of the incomplete beta function (DLMF 8.17.22), by Lentz's method."""
    c = 1.0
    d = 1.0 / _away_from_zero(1.0 - (a + b) * x / (a + 1.0))
    value = d
    for m in range(1, _MAX_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1.0 / _away_from_zero(1.0 + term * d)
            c = _away_from_zero(1.0 + term / c)
            value *= c * d
        if abs(c * d - 1.0) < _EPSILON * 8:
            break
    return value


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def beta_quantile(p: float, a: float, b: float) -> float:
    """Return the x with I_x(a, b) = ``p``."""
    if p <= 0.0:
        return 0.0
    if p >= 1.0:
        return 1.0
    return _bisect(lambda x: beta_cdf(x, a, b) - p, 0.0, 1.0)


def binomial_cdf(k: int, n: int, p: float) -> float:
    """Return P(X <= k) for X ~ Binomial(n, p)."""
    if k < 0:
        return 0.0
    if k >= n:
        return 1.0
    return beta_cdf(1.0 - p, n - k, k + 1.0)


def t_cdf(t: float, df: float) -> float:
    """Return P(T <= t) of Student's distribution with ``df`` degrees of freedom."""
    tail = 0.5 * t_tail(t, df)
    return tail if t < 0.0 else 1.0 - tail


def t_tail(t: float, df: float) -> float:
    """Return P(|T| >= |t|), the two-sided tail of Student's distribution."""
    whole = df + t * t
    return _beta_cdf(df / whole, t * t / whole, df / 2.0, 0.5)


@lru_cache(maxsize=256)
def t_quantile(p: float, df: float) -> float:
    """Return the t with P(T <= t) = ``p``, for 0 < p < 1."""
    if p == 0.5:
        return 0.0
    tail = 2.0 * min(p, 1.0 - p)
    top = 2.0
    while t_tail(top, df) > tail:
        top *= 2.0
    return math.copysign(_bisect(lambda t: tail - t_tail(t, df), 0.0, top), p - 0.5)


def _bisect(rising: Callable[[float], float], low: float, high: float) -> float:
    """Return the root of a rising function between ``low`` and ``high``, to the last bit that bisection gives."""
    while True:
        middle = 0.5 * (low + high)
        if middle in (low, high):
            return middle
        if rising(middle) < 0.0:
            low = middle
        else:
            high = middle


def chi_square_tail(x: float, df: int) -> float:
    """Return P(X >= x) of the chi-square distribution with a whole number of degrees of freedom."""
    if x <= 0.0:
        return 1.0
    half = x / 2.0
    first, begun = (0.5, math.erfc(math.sqrt(half))) if df % 2 else (0.0, 0.0)
    steps = (first + j for j in range(df // 2))
    return min(1.0, begun + sum(math.exp(j * math.log(half) - half - math.lgamma(j + 1.0)) for j in steps))


def f_tail(x: float, df1: float, df2: float) -> float:
    """Return P(X >= x) of Fisher's F distribution."""
    if x <= 0.0:
        return 1.0
    whole = df2 + df1 * x
    return _beta_cdf(df2 / whole, df1 * x / whole, df2 / 2.0, df1 / 2.0)
