"""Confidence sequences: intervals that hold at every look at once, so that one may stop as soon as they tell enough.

An ordinary interval is right 95 times in 100 if it is looked at once. Looked at after every row, it will sooner or
later leave out the truth. A confidence sequence holds over all rows together: P(the truth is ever left out) <= alpha.

**Bounded values** (rates, scores with bounds, their paired differences). For a supposed mean m the wealth of a gambler
who bets that the mean is another one, prod (1 + bet (x - m)), has an expectation of at most 1 if m is true, and by
Ville's inequality exceeds 1/alpha with a chance of at most alpha, ever (Waudby-Smith and Ramdas, "Estimating means of
bounded random variables by betting", 2024). Here the wealth is the mean over a fixed set of bets of either sign and of
sizes that halve; the means m that are not yet bankrupted by it are the sequence. Values need not be identically
distributed: their mean, given those before, must be m. Of two right-or-wrong figures the pairs that agree leave the
wealth at m = 0 as it is, and it is that of a mixture of likelihood ratios of the discordant pairs: a sequential
McNemar test, exact at any size.

**Unbounded values** have no such guarantee. Theirs is the asymptotic sequence of Waudby-Smith et al. ("Time-uniform
central limit theory and asymptotic confidence sequences", 2024): a normal mixture boundary with the estimated spread,
right in the limit of many rows before the first look.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from pilothouse.evaluation.statistics.arrays import FloatArray
from pilothouse.evaluation.types import Direction, Interval

Decision = Literal["better", "worse", "no relevant difference", "open"]
"""What a confidence sequence says of a difference; ``open`` = go on, or inconclusive when there are no more rows."""

BETTING = "betting confidence sequence"
ASYMPTOTIC = "asymptotic confidence sequence"

LEAST_ASYMPTOTIC = 100
"""Values that an asymptotic sequence waits for: before, it says nothing."""

_SIZES = 0.98 * 0.5 ** np.arange(8)
"""Sizes of bets, as shares of the largest that cannot be lost whole; 8 of either sign cost at most log 16 of wealth."""

_GRID = 256
_HALVINGS = 30
_BLOCK = 1 << 16


class BettingSequence:
    """The confidence sequence of the mean of bounded values.

    Args:
        level: Confidence over all looks together.
        bounds: Lowest and highest possible value; (-1, 1) for a difference of two rates.
    """

    method = BETTING

    def __init__(self, level: float = 0.95, bounds: tuple[float, float] = (-1.0, 1.0)) -> None:
        self._level = level
        self._low, self._width = bounds[0], bounds[1] - bounds[0]
        # Equal values are one factor to a power: rates have three, whatever the number of rows.
        self._counts: dict[float, int] = {}
        self.n = 0
        self._sum = 0.0
        self._ends = (0.0, 1.0)

    @property
    def value(self) -> float | None:
        """The mean so far."""
        return self._sum / self.n if self.n else None

    def add(self, values: FloatArray) -> None:
        """Take the next values in.

        Raises:
            ValueError: when one lies outside of the bounds.
        """
        scaled = (np.asarray(values, dtype=np.float64) - self._low) / self._width
        if len(scaled) and not (scaled.min() >= -1e-9 and scaled.max() <= 1.0 + 1e-9):
            raise ValueError(f"a value lies outside of {self._low:g} to {self._low + self._width:g}")
        found, counts = np.unique(np.clip(scaled, 0.0, 1.0), return_counts=True)
        for value, count in zip(found.tolist(), counts.tolist(), strict=True):
            self._counts[value] = self._counts.get(value, 0) + count
        self.n += len(scaled)
        self._sum += float(np.sum(values))

    def log_wealth(self, mean: float) -> float:
        """Return the log of the wealth against ``mean``: the evidence that it is not the mean."""
        return float(self._log_wealth(np.array([(mean - self._low) / self._width]))[0])

    def p_value(self, mean: float = 0.0) -> float:
        """Return the p-value against ``mean`` that holds whenever one stops: 1 / the wealth, at most 1."""
        return math.exp(-max(0.0, self.log_wealth(mean)))

    def interval(self) -> Interval | None:
        """Look: return the means that neither this look nor an earlier one rules out; None before the first value."""
        if not self.n:
            return None
        self._look()
        low, high = (self._low + end * self._width for end in self._ends)
        return Interval(low=low, high=high, level=self._level, method=self.method)

    def _log_wealth(self, means: FloatArray) -> FloatArray:
        """Return the (M,) log wealth against scaled means, each between 0 and 1."""
        values = np.fromiter(self._counts, dtype=np.float64, count=len(self._counts))
        times = np.fromiter(self._counts.values(), dtype=np.float64, count=len(self._counts))
        # At the ends a bet that cannot be lost whole may be of any size: a mean of 0 has no value above it.
        safe = np.clip(means, 1e-9, 1.0 - 1e-9)
        bets = np.concatenate([_SIZES[:, None] / safe, -_SIZES[:, None] / (1.0 - safe)])
        total = np.zeros(bets.shape)
        for start in range(0, len(values), max(1, _BLOCK // bets.size)):
            part = slice(start, start + max(1, _BLOCK // bets.size))
            gains = np.log1p(bets[..., None] * (values[part] - safe[:, None]))
            total += gains @ times[part]
        top = total.max(axis=0)
        return top + np.log(np.exp(total - top).mean(axis=0))

    def _look(self) -> None:
        bar = -math.log1p(-self._level)
        mean = min(1.0, max(0.0, (self._sum / self.n - self._low) / self._width))
        low, high = self._ends
        if not low <= mean <= high:
            # What was ruled out stays so; the sequence has then failed, as it may with a chance of alpha.
            mean = min(high, max(low, mean))
        self._ends = self._end(low, mean, bar), self._end(high, mean, bar)

    def _end(self, edge: float, mean: float, bar: float) -> float:
        """Return where, coming from ``edge`` to ``mean``, the first mean stands that is not ruled out."""
        points = edge + (mean - edge) * np.arange(_GRID + 1) / _GRID
        standing = np.flatnonzero(self._log_wealth(points) < bar)
        if not len(standing):
            return mean
        if standing[0] == 0:
            return edge
        out, in_ = float(points[standing[0] - 1]), float(points[standing[0]])
        for _ in range(_HALVINGS):
            middle = 0.5 * (out + in_)
            if self._log_wealth(np.array([middle]))[0] < bar:
                in_ = middle
            else:
                out = middle
        return out


class AsymptoticSequence:
    """The asymptotic confidence sequence of the mean of values without bounds.

    Its ends are mean -+ s sqrt(2 (n r^2 + 1) / (n^2 r^2) log(sqrt(n r^2 + 1) / alpha)), with s the standard deviation
    so far and r such that it is tightest at ``tightest`` values.

    Args:
        level: Confidence over all looks together, in the limit.
        tightest: Number of values at which it is to be tightest.
        least: Values before which it says nothing.
    """

    method = ASYMPTOTIC

    def __init__(self, level: float = 0.95, tightest: int = 500, least: int = LEAST_ASYMPTOTIC) -> None:
        self._level = level
        alpha = 1.0 - level
        self._rho2 = (-2.0 * math.log(alpha) + math.log1p(-2.0 * math.log(alpha))) / max(1, tightest)
        self._least = max(2, least)
        self.n = 0
        self._mean = self._squares = 0.0

    @property
    def value(self) -> float | None:
        """The mean so far."""
        return self._mean if self.n else None

    def add(self, values: FloatArray) -> None:
        """Take the next values in."""
        m = len(values)
        if not m:
            return
        mean = float(np.mean(values))
        gap, both = mean - self._mean, self.n + m
        self._squares += float(np.sum((values - mean) ** 2)) + gap * gap * self.n * m / both
        self._mean += gap * m / both
        self.n = both

    def interval(self) -> Interval | None:
        """Return the sequence at this look; None with too few values, or where all are equal."""
        if self.n < self._least or self._squares <= 0.0:
            return None
        scale = self.n * self._rho2 + 1.0
        bound = 2.0 * scale / (self.n * self.n * self._rho2) * (0.5 * math.log(scale) - math.log1p(-self._level))
        reach = math.sqrt(self._squares / (self.n - 1) * bound)
        return Interval(low=self._mean - reach, high=self._mean + reach, level=self._level, method=self.method)

    def p_value(self, mean: float = 0.0) -> float | None:
        """Return the smallest alpha whose sequence, of the same shape, leaves out ``mean``; None as `interval`."""
        if self.n < self._least or self._squares <= 0.0:
            return None
        scale = self.n * self._rho2 + 1.0
        gap2 = (self._mean - mean) ** 2 * (self.n - 1) / self._squares
        return min(1.0, math.exp(0.5 * math.log(scale) - gap2 * self.n * self.n * self._rho2 / (2.0 * scale)))


def decide(interval: Interval | None, *, margin: float | None = None, better: Direction = "higher") -> Decision:
    """Return what the sequence of a difference says at a look.

    Args:
        interval: The sequence at this look; None decides nothing.
        margin: The largest difference that is of no relevance: a sequence that lies within it ends the search.
        better: Which direction is an improvement.
    """
    if interval is None:
        return "open"
    if interval.low > 0.0 or interval.high < 0.0:
        return "better" if (interval.low > 0.0) == (better == "higher") else "worse"
    if margin is not None and -margin <= interval.low and interval.high <= margin:
        return "no relevant difference"
    return "open"
