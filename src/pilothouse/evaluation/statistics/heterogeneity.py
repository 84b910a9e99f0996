"""Do means differ between parts of the data more than chance lets them, and which part differs from the others?

=================================  ================================================================================
rows                               test
=================================  ================================================================================
independent, or whole clusters     permutation of the parts' labels over rows or clusters, of Welch's statistic;
in one part                        with more than 5,000 of them its chi-square distribution
clusters across parts              Wald's test with cluster-robust errors, by Fisher's F
no mean (macro-F1, quantiles)      Cochran's Q of the parts' differences and their bootstrap errors: asymptotic
=================================  ================================================================================

Labels that are permuted give an exact test of "the part does not matter"; because the statistic is divided by each
part's own error, it is also right in the limit when the spread differs between parts and the mean does not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pilothouse.evaluation.statistics.arrays import BoolArray, FloatArray, IntArray
from pilothouse.evaluation.statistics.special import chi_square_tail, f_tail, t_quantile, t_tail
from pilothouse.evaluation.types import Interval

MANY = 5_000
_FEW_KINDS = 8
_WORK = 1_000_000
_LEAST_PERMUTATIONS = 999
_BLOCK = 2_000_000
_PSEUDO = 2.0


@dataclass(frozen=True, slots=True)
class PartContrast:
    """One part against all others: the difference of their means, its interval, and the test's p-value."""

    difference: float
    interval: Interval | None
    p_value: float | None


@dataclass(frozen=True, slots=True)
class Between:
    """Whether K parts differ, and each of them against the rest."""

    test: str
    statistic: float | None
    p_value: float | None
    contrasts: tuple[PartContrast, ...] = ()


def between(
    values: FloatArray,
    parts: IntArray,
    groups: IntArray | None = None,
    *,
    level: float = 0.95,
    permutations: int = 9999,
    seed: int = 0,
) -> Between:
    """Test whether the mean of values is the same in all parts.

    Args:
        values: (n,) numbers.
        parts: (n,) numbers 0 .. K - 1, each of which occurs; K of at least 2.
        groups: (n,) cluster numbers 0 .. C - 1; None = rows are independent.
        level: Of the contrasts' intervals.
        permutations: Random permutations at most; fewer over many rows.
        seed: The same seed and data give the same p-values.
    """
    if groups is not None and not _nested(parts, groups):
        return _robust(values, parts, groups, level)
    if groups is None:
        sums, sizes, place = values, np.ones(len(values)), parts
    else:
        sums, sizes = np.bincount(groups, weights=values), np.bincount(groups).astype(np.float64)
        place = np.zeros(len(sums), dtype=np.int64)
        place[groups] = parts
    order = np.argsort(place, kind="stable")
    units = _Units(sums[order] - values.mean() * sizes[order], sizes[order], np.bincount(place))
    return units.tested(level, permutations, seed)


def cochran(effects: Sequence[float], errors: Sequence[float]) -> tuple[float, float]:
    """Return Cochran's Q of K effects with standard errors above 0, and its p-value by chi-square with K - 1."""
    weights = 1.0 / np.square(np.array(errors, dtype=np.float64))
    found = np.array(effects, dtype=np.float64)
    q = float(weights @ np.square(found - weights @ found / weights.sum()))
    return q, chi_square_tail(q, len(found) - 1)


def _nested(parts: IntArray, groups: IntArray) -> bool:
    first = np.full(int(groups.max()) + 1, -1, dtype=np.int64)
    first[groups] = parts
    return bool((first[groups] == parts).all())


class _Units:
    """Units in the order of their parts: sums (less the grand mean), sizes, and how many units each part has."""

    def __init__(self, sums: FloatArray, sizes: FloatArray, counts: IntArray) -> None:
        # What the statistic needs of a part: these five, added up over its units.
        self._features = np.stack([sums, sizes, sums * sums, sums * sizes, sizes * sizes], axis=1)
        self._counts = counts.astype(np.float64)
        self._starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
        self._n = len(sums)
        spread = float(np.var(sums / sizes, ddof=1)) if self._n > 1 else 0.0
        self._spread = spread * float((sizes**2).mean())

    def tested(self, level: float, permutations: int, seed: int) -> Between:
        whole = np.add.reduceat(self._features, self._starts, axis=0)[None]
        q, t, gaps, errors = self._statistics(whole)
        size = len(self._counts)
        if self._spread <= 0.0:
            return Between("none: all values are equal", None, None, (PartContrast(0.0, None, None),) * size)
        df = [self._df(whole[0], k) for k in range(size)]
        reach = [t_quantile(0.5 + level / 2.0, d) * float(e) for d, e in zip(df, errors[0], strict=True)]
        ends = [
            Interval(low=float(gap) - r, high=float(gap) + r, level=level, method="Welch")
            for gap, r in zip(gaps[0], reach, strict=True)
        ]
        if self._n > MANY:
            test, p = f"Welch's chi-square, {size - 1} df", chi_square_tail(float(q[0]), size - 1)
            single = [t_tail(float(value), d) for value, d in zip(t[0], df, strict=True)]
        else:
            tried = min(permutations, max(_LEAST_PERMUTATIONS, _WORK // self._n))
            over, single_over = self._reached(q[0], t[0], tried, seed)
            test, p = f"permutation of Welch's statistic, {tried} random", (over + 1) / (tried + 1)
            single = [(count + 1) / (tried + 1) for count in single_over.tolist()]
        found = zip(gaps[0].tolist(), ends, single, strict=True)
        return Between(test, float(q[0]), p, tuple(PartContrast(*item) for item in found))

    def _statistics(self, sums: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Return from (m, K, 5) sums: (m,) Welch's statistic; (m, K) t, difference and error of each contrast."""
        means, variances = self._moments(sums, self._counts)
        weights = 1.0 / variances
        centre = (weights * means).sum(axis=1) / weights.sum(axis=1)
        q = (weights * (means - centre[:, None]) ** 2).sum(axis=1)
        others, other_variances = self._moments(sums.sum(axis=1, keepdims=True) - sums, self._n - self._counts)
        errors = np.sqrt(variances + other_variances)
        return q, (means - others) / errors, means - others, errors

    def _moments(self, sums: FloatArray, counts: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return means and their variances, drawn to the common spread by two pseudo-units: none is ever 0."""
        total, size, squares, products, sizes = np.moveaxis(sums, 2, 0)
        mean = total / size
        within = np.maximum(0.0, squares - 2.0 * mean * products + mean * mean * sizes)
        spread = (within + _PSEUDO * self._spread) / (np.maximum(counts - 1.0, 0.0) + _PSEUDO)
        return mean, np.maximum(counts * spread, 1e-300) / size**2

    def _df(self, sums: FloatArray, part: int) -> float:
        """Return Welch's and Satterthwaite's degrees of freedom of a part against the others."""
        own = self._moments(sums[None], self._counts)[1][0, part]
        rest = self._moments(sums.sum(axis=0)[None, None] - sums[None], self._n - self._counts)[1][0, part]
        n, m = self._counts[part] + _PSEUDO - 1.0, self._n - self._counts[part] + _PSEUDO - 1.0
        return float((own + rest) ** 2 / (own**2 / n + rest**2 / m))

    def _reached(self, q: float, t: FloatArray, tried: int, seed: int) -> tuple[int, IntArray]:
        rng = np.random.default_rng(seed)
        over, single = 0, np.zeros(len(t), dtype=np.int64)
        bars = np.abs(t) - 1e-10 * np.maximum(1.0, np.abs(t))
        kinds, counts = np.unique(self._features, axis=0, return_counts=True)
        few = len(kinds) <= _FEW_KINDS
        block = tried if few else max(1, _BLOCK // (5 * self._n))
        for start in range(0, tried, block):
            m = min(block, tried - start)
            drawn = self._by_kind(kinds, counts, m, rng) if few else self._shuffled(m, rng)
            found, contrasts, _, _ = self._statistics(drawn)
            over += int((found >= q - 1e-10 * max(1.0, q)).sum())
            single += (np.abs(contrasts) >= bars).sum(axis=0)
        return over, single

    def _shuffled(self, m: int, rng: np.random.Generator) -> FloatArray:
        orders = rng.permuted(np.tile(np.arange(self._n), (m, 1)), axis=1)
        return np.add.reduceat(self._features[orders], self._starts, axis=1)

    def _by_kind(self, kinds: FloatArray, counts: IntArray, m: int, rng: np.random.Generator) -> FloatArray:
        """Return the sums of m shuffles, drawn as tables of parts by kinds: units of one kind are all alike."""
        free = np.tile(counts, (m, 1))
        table = np.zeros((m, len(self._counts), len(kinds)))
        for part, size in enumerate(self._counts.astype(np.int64)[:-1].tolist()):
            left = np.full(m, size)
            for kind in range(len(kinds) - 1):
                beyond = free[:, kind + 1 :].sum(axis=1)
                taken = rng.hypergeometric(free[:, kind], beyond, left)
                table[:, part, kind] = taken
                left = left - taken
            table[:, part, -1] = left
            free = free - table[:, part].astype(np.int64)
        table[:, -1] = free
        return table @ kinds


def _robust(values: FloatArray, parts: IntArray, groups: IntArray, level: float) -> Between:
    """Test with errors that let rows of one cluster depend on one another, whatever parts they are in."""
    size, clusters = int(parts.max()) + 1, int(groups.max()) + 1
    contrasts = tuple(_robust_contrast(values, parts == part, groups, level) for part in range(size))
    df = clusters - size
    if df < 1:
        return Between("none: too few clusters", None, None, contrasts)
    counts = np.bincount(parts)
    means = np.bincount(parts, weights=values) / counts
    influence = np.zeros((clusters, size))
    np.add.at(influence, (groups, parts), (values - means[parts]) / counts[parts])
    steps = np.diff(np.eye(size), axis=0)
    covariance = steps @ (influence.T @ influence) @ steps.T * clusters / (clusters - 1)
    gaps = steps @ means
    if np.linalg.matrix_rank(covariance) < size - 1:
        return Between("none: no spread between clusters", None, None, contrasts)
    wald = float(gaps @ np.linalg.solve(covariance, gaps)) / (size - 1) * df / (clusters - 1)
    return Between(f"Wald's F, cluster-robust, {size - 1} and {df} df", wald, f_tail(wald, size - 1, df), contrasts)


def _robust_contrast(values: FloatArray, inside: BoolArray, groups: IntArray, level: float) -> PartContrast:
    clusters = int(groups.max()) + 1
    means = [float(values[side].mean()) for side in (inside, ~inside)]
    sizes = float(inside.sum()), float((~inside).sum())
    own: FloatArray = np.where(inside, (values - means[0]) / sizes[0], -(values - means[1]) / sizes[1])
    sums = np.bincount(groups, weights=own)
    gap, error = means[0] - means[1], math.sqrt(clusters / (clusters - 1) * float(sums @ sums)) if clusters > 1 else 0.0
    df = len(np.unique(groups[inside])) - 1
    if error <= 1e-12 or df < 1:
        return PartContrast(gap, None, None)
    reach = t_quantile(0.5 + level / 2.0, df) * error
    interval = Interval(low=gap - reach, high=gap + reach, level=level, method="cluster-robust t")
    return PartContrast(gap, interval, t_tail(gap / error, df))
