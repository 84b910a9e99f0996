"""Brier's score of a stated probability; the calibration error of many rows is in `sums`."""

from __future__ import annotations

from collections.abc import Mapping

from pilothouse.core.errors import DataError


def brier(probability: float, outcome: bool) -> float:
    """Return (probability - outcome)^2, from 0 to 1 (Brier 1950, of two outcomes).

    Raises:
        DataError: when it is no probability.
    """
    if not 0.0 <= probability <= 1.0:
        raise DataError(f"the probability is {probability!r}", expected="a number from 0 to 1")
    return (probability - float(outcome)) ** 2


def brier_of_labels(chances: Mapping[str, float], truth: str) -> float:
    """Return the sum over labels of (probability - whether it is true)^2, from 0 to 2 (Brier 1950).

    Raises:
        DataError: when the true label has no probability, or one is no probability.
    """
    if truth not in chances:
        raise DataError(f"no probability is given for the true label '{truth}'", expected=", ".join(map(str, chances)))
    return sum(brier(chance, label == truth) for label, chance in chances.items())
