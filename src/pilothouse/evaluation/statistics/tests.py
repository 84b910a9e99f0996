"""Tests of paired samples; all p-values are two-sided."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pilothouse.evaluation.statistics.arrays import FloatArray, IntArray, Statistic
from pilothouse.evaluation.statistics.special import binomial_cdf

PERMUTATIONS = 9999
EXACT_UP_TO = 14
"""Differing pairs up to which every assignment is tried: 2^14 = 16,384 of them."""

_BLOCK = 1_000_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """A p-value, the words for how it was had, and the number of pairs that differ."""

    p_value: float
    method: str
    differing: int


def mcnemar(lost: int, gained: int, *, mid_p: bool = False) -> Outcome:
    """Test whether two binary results over the same rows differ, by the exact binomial of the discordant pairs.

    With ``mid_p`` half the probability of the observed count is taken off (Fagerland, Lydersen and Laake 2013): less
    conservative, no longer guaranteed. Pairs that agree do not matter; without discordant pairs p = 1.
    """
    n, k = lost + gained, min(lost, gained)
    p_value = min(1.0, 2.0 * binomial_cdf(k, n, 0.5))
    if mid_p:
        at = math.comb(n, k) / (1 << n)
        p_value = 1.0 - at / 2.0 if lost == gained else p_value - at
    return Outcome(p_value, "McNemar mid-p" if mid_p else "McNemar exact", n)


def least_discordant(alpha: float) -> int:
    """Return the least number of discordant pairs with which an exact paired test can give p < ``alpha``.

    With n pairs that all point one way p = 2^(1 - n): 6 for 0.05.
    """
    return math.floor(1.0 - math.log2(alpha)) + 1


def paired_permutation(
    first: FloatArray,
    second: FloatArray,
    counts: IntArray,
    statistic: Statistic,
    *,
    resamples: int = PERMUTATIONS,
    seed: int = 0,
) -> Outcome:
    """Test whether the two sides of pairs are exchangeable, by swapping them.

    Exact up to `EXACT_UP_TO` differing pairs; else by chance, with p = (b + 1) / (m + 1).

    Args:
        first: (U, d) features of the first side of each distinct pair.
        second: (U, d) features of the second side.
        counts: (U,) how often each pair occurs.
        statistic: (m, d) sums to (m,) values of one side; compared is second minus first.
        resamples: Number of random assignments.
        seed: The same seed and data give the same p-value.
    """
    differing = (first != second).any(axis=1)
    changes, counts_ = second[differing] - first[differing], counts[differing]
    one, two = counts @ first, counts @ second
    observed = abs(float((statistic(two[None, :]) - statistic(one[None, :]))[0]))
    # Assignments that tie with the observed one differ from it in the last bits.
    bar = observed - 1e-10 * max(1.0, observed)
    pairs = int(counts_.sum())
    exact = pairs <= EXACT_UP_TO
    reached = tried = 0
    for swapped in _every(counts_) if exact else _random(counts_, resamples, np.random.default_rng(seed)):
        moved = swapped @ changes
        gap = np.abs(statistic(two - moved) - statistic(one + moved))
        # An undefined figure counts as extreme: the test errs on the careful side.
        reached += int((~(gap < bar)).sum())
        tried += len(gap)
    if exact:
        return Outcome(reached / tried, "paired permutation, exact", pairs)
    return Outcome((reached + 1) / (tried + 1), f"paired permutation, {tried} random", pairs)


def _every(counts: IntArray) -> Iterator[FloatArray]:
    """Yield (2^n, U): how many pairs of each kind are swapped, over every assignment of n pairs."""
    n = int(counts.sum())
    bits = (np.arange(1 << n)[:, None] >> np.arange(n)) & 1
    kinds = np.zeros((n, len(counts)))
    kinds[np.arange(n), np.repeat(np.arange(len(counts)), counts)] = 1.0
    yield bits @ kinds


def _random(counts: IntArray, resamples: int, rng: np.random.Generator) -> Iterator[FloatArray]:
    """Yield blocks (m, U): how many pairs of each kind are swapped by fair coins."""
    size = len(counts)
    single = bool((counts == 1).all())
    block = max(1, _BLOCK // size)
    for start in range(0, resamples, block):
        m = min(block, resamples - start)
        if single:
            coins = np.frombuffer(rng.bytes(-(-m * size // 8)), dtype=np.uint8)
            yield np.unpackbits(coins, count=m * size).reshape(m, size).astype(np.float64)
        else:
            yield rng.binomial(counts, 0.5, size=(m, size)).astype(np.float64)
