"""A calibration in words."""

from __future__ import annotations

from pilothouse.evaluation.calibration.types import Calibration, Share
from pilothouse.evaluation.judges.opinion import UNCALIBRATED
from pilothouse.evaluation.types import Interval


def words(found: Calibration | None) -> str:
    """Return what a judge says of itself: ``calibrated: kappa 0.71 [0.60, 0.80], n 120``, or ``uncalibrated``."""
    if found is None or found.n == 0:
        return UNCALIBRATED
    kappa = "none" if found.kappa is None else f"{found.kappa:.2f}{_between(found.kappa_interval)}"
    few = ", too few labels" if found.is_small else ""
    return f"calibrated: kappa {kappa}, n {found.n}{few}"


def share_in_words(found: Share) -> str:
    """Return ``0.83 [0.70, 0.91], 40 of 48``."""
    if found.value is None:
        return "none of 0"
    return f"{found.value:.2f}{_between(found.interval)}, {found.hits} of {found.n}"


def _between(interval: Interval | None) -> str:
    return "" if interval is None else f" [{interval.low:.2f}, {interval.high:.2f}]"
