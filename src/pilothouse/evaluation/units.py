"""From entries to units: what is drawn in resampling, as distinct rows of features and how often each occurs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pilothouse.evaluation.metrics.classification import encode, features, statistic
from pilothouse.evaluation.metrics.sums import STATISTICS
from pilothouse.evaluation.observations import Entry, label_set, values
from pilothouse.evaluation.statistics.arrays import FloatArray, IntArray, Statistic
from pilothouse.evaluation.statistics.resampling import distinct
from pilothouse.evaluation.types import Metric

_ROWS_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class Units:
    """Distinct units of one or two sides over the same rows.

    Attributes:
        sides: For each side (U, d) features.
        counts: (U,) how often each unit occurs.
        statistic: From sums of one side's features to the figure.
    """

    sides: tuple[FloatArray, ...]
    counts: IntArray
    statistic: Statistic

    @property
    def joined(self) -> FloatArray:
        """(U, d) features, or (U, 2d) with both sides beside each other."""
        return np.concatenate(self.sides, axis=1)

    def values(self) -> list[float]:
        """Return the figure of each side."""
        return [float(self.statistic((self.counts @ side)[None, :])[0]) for side in self.sides]

    def difference(self, sums: FloatArray) -> FloatArray:
        """Return the figure of the second side less that of the first, from sums of `joined`."""
        first, second = np.split(sums, 2, axis=1)
        return self.statistic(second) - self.statistic(first)


def units_of(metric: Metric, sides: Sequence[Sequence[Entry]], groups: IntArray | None) -> Units:
    """Return the units of one run, or of two runs over the same rows; with ``groups``, clusters are the units."""
    if metric.kind == "labels":
        return _label_units(metric, sides, groups)
    if metric.kind == "sums":
        columns = [np.array([entry.sums for entry in side], dtype=np.float64) for side in sides]
        figure = STATISTICS[metric.statistic or "ratio"]
    else:
        columns = [np.stack([values(side), np.ones(len(side))], axis=1) for side in sides]
        figure = STATISTICS["ratio"]
    if groups is not None:
        columns = [_sums(column, groups) for column in columns]
    return _distinct_units(columns, figure)


def _label_units(metric: Metric, sides: Sequence[Sequence[Entry]], groups: IntArray | None) -> Units:
    labels = label_set(metric, sides)
    size = len(labels)
    figure = statistic(metric.statistic or "accuracy")
    encoded = [encode([entry.pair for entry in side], labels) for side in sides]
    if groups is None:
        # Rows with the same truth and the same predictions are one unit: few, whatever the number of rows.
        rows = np.stack([encoded[0][0], *(prediction for _, prediction in encoded)], axis=1)
        kinds, counts = np.unique(rows, axis=0, return_counts=True)
        parts = tuple(features(kinds[:, 0], kinds[:, 1 + side], size) for side in range(len(sides)))
        return Units(parts, counts.astype(np.int64), figure)
    summed = [np.zeros((int(groups.max()) + 1, 3 * size)) for _ in sides]
    for start in range(0, len(groups), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        for total, (truth, prediction) in zip(summed, encoded, strict=True):
            np.add.at(total, groups[part], features(truth[part], prediction[part], size))
    return _distinct_units(summed, figure)


def _distinct_units(columns: Sequence[FloatArray], figure: Statistic) -> Units:
    found, counts = distinct(np.concatenate(columns, axis=1))
    return Units(tuple(np.split(found, len(columns), axis=1)), counts, figure)


def _sums(column: FloatArray, groups: IntArray) -> FloatArray:
    found = np.zeros((int(groups.max()) + 1, column.shape[1]))
    np.add.at(found, groups, column)
    return found
