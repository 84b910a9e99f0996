"""Corrections of p-values for families of tests."""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's step-down p-values: below alpha, at most the share alpha of families has any false difference."""
    adjusted = [1.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(_ascending(p_values)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Return step-up p-values: below alpha, at most the share alpha of the differences found are false, on average.

    For exploring a grid; holds for independent and positively dependent tests (Benjamini and Hochberg 1995).
    """
    count = len(p_values)
    adjusted = [1.0] * count
    lowest = 1.0
    for rank, index in reversed(list(enumerate(_ascending(p_values), start=1))):
        lowest = min(lowest, count / rank * p_values[index])
        adjusted[index] = lowest
    return adjusted


def _ascending(p_values: Sequence[float]) -> list[int]:
    return sorted(range(len(p_values)), key=lambda index: p_values[index])
