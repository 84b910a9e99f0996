"""Resampling of rows, or of whole clusters, by weights: no row is copied, whatever the number of resamples."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pilothouse.evaluation.statistics.arrays import FloatArray, IntArray

_BLOCK = 2_000_000
"""Numbers held at once (16 MB): memory stays flat however many resamples are drawn."""


def distinct(units: FloatArray) -> tuple[FloatArray, IntArray]:
    """Return the distinct rows of ``units`` in order, and how often each occurs.

    Equal rows are interchangeable, and few distinct ones are cheap; the order makes results independent of the
    order of the rows.
    """
    found, counts = np.unique(units, axis=0, return_counts=True)
    return found, counts.astype(np.int64)


def weights(counts: IntArray, resamples: int, rng: np.random.Generator, width: int = 0) -> Iterator[FloatArray]:
    """Yield blocks (m, U) of how often each of U distinct units is drawn, for ``resamples`` resamples in all.

    Args:
        counts: (U,) how often each unit occurs in the sample; a resample draws as many units as the sample has.
        resamples: Number of resamples.
        rng: Source of chance.
        width: Numbers that the caller makes of each resample, where they are more than the units.
    """
    size, total = len(counts), int(counts.sum())
    few = 4 * size <= total
    members = None if few or size == total else np.repeat(np.arange(size), counts)
    block = max(1, _BLOCK // max(size if few else total, width))
    for start in range(0, resamples, block):
        m = min(block, resamples - start)
        if few:
            yield rng.multinomial(total, counts / total, size=m).astype(np.float64)
            continue
        drawn = rng.integers(0, total, size=(m, total))
        unit = drawn if members is None else members[drawn]
        offset = np.arange(m)[:, None] * size
        yield np.bincount((unit + offset).ravel(), minlength=m * size).reshape(m, size).astype(np.float64)
