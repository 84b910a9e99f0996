"""The uncertainty of Krippendorff's alpha, by resampling the things that were rated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pilothouse.evaluation.statistics.agreement import Level
from pilothouse.evaluation.statistics.arrays import FloatArray, Statistic
from pilothouse.evaluation.statistics.bootstrap import RESAMPLES, Bootstrap, bootstrap
from pilothouse.evaluation.statistics.resampling import distinct


def alpha_interval(
    units: Sequence[Sequence[float | None]], level: Level = "nominal", *, seed: int = 7, resamples: int = RESAMPLES
) -> Bootstrap:
    """Return a BCa interval of Krippendorff's alpha over the rated things, and why there is none.

    Alpha follows from the table of coincidences, to which every thing adds a part of its own; so a resample is a sum of
    such parts. The distance of ordered ratings depends on how often each occurs and is made anew in each resample.

    Args:
        units: For each rated thing the ratings that it got, None where a rater gave none; things with fewer than two
            ratings do not count.
        level: What ratings mean.
        seed: Of the bootstrap.
        resamples: Of the bootstrap.
    """
    rated = [found for unit in units if len(found := [r for r in unit if r is not None]) > 1]
    values = sorted({rating for unit in rated for rating in unit})
    if len(values) < 2:
        return Bootstrap(None, None, None, "all ratings are equal" if rated else "nothing was rated twice")
    place = {value: index for index, value in enumerate(values)}
    table = np.zeros((len(rated), len(values)))
    for row, unit in enumerate(rated):
        for rating in unit:
            table[row, place[rating]] += 1.0
    pairs = table[:, :, None] * table[:, None, :] - table[:, :, None] * np.eye(len(values))
    parts = pairs / (table.sum(axis=1) - 1.0)[:, None, None]
    features, counts = distinct(parts.reshape(len(rated), -1))
    return bootstrap(features, counts, _alphas(values, level), seed=seed, resamples=resamples)


def _alphas(values: Sequence[float], level: Level) -> Statistic:
    """Return alpha as a function of many flat tables of coincidences at once."""
    size = len(values)

    def statistic(sums: FloatArray) -> FloatArray:
        tables = sums.reshape(-1, size, size)
        counts = tables.sum(axis=2)
        totals = counts.sum(axis=1)
        if level == "nominal":
            distances = np.broadcast_to(1.0 - np.eye(size), tables.shape)
        else:
            points = np.cumsum(counts, axis=1) - counts / 2.0
            if level == "interval":
                points = np.broadcast_to(np.asarray(values, dtype=np.float64), counts.shape)
            distances = (points[:, :, None] - points[:, None, :]) ** 2
        observed = (tables * distances).sum(axis=(1, 2))
        expected = np.einsum("mi,mj,mij->m", counts, counts, distances) / (totals - 1.0)
        return np.asarray(1.0 - observed / np.where(expected > 0.0, expected, np.nan), dtype=np.float64)

    return statistic
