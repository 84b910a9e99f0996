"""Evaluators of stated confidence: Brier's score and the calibration error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from pilothouse.core.errors import ConfigError, DataError
from pilothouse.evaluation.evaluators.builtin.arguments import label_text, light
from pilothouse.evaluation.metrics.calibration import brier as brier_of
from pilothouse.evaluation.metrics.calibration import brier_of_labels
from pilothouse.evaluation.types import Metric, Score


@light(Metric(name="brier", kind="mean", better="lower"))
def brier(probabilities: Any, truth: Any) -> float:
    """Return Brier's score: of a dict from label to probability 0 to 2, of one probability and a boolean 0 to 1."""
    if isinstance(probabilities, Mapping):
        chances = {str(k): float(v) for k, v in cast("Mapping[Any, Any]", probabilities).items()}
        return brier_of_labels(chances, label_text(truth) or "")
    return brier_of(_probability(probabilities), _outcome(truth))


class Calibration:
    """Expected calibration error over all rows, 0 to 1, in bins of equal width; biased upward with few rows a bin.

    Args:
        bins: How many.
    """

    inline = True

    def __init__(self, *, bins: int = 10) -> None:
        if bins < 1:
            raise ConfigError(f"a calibration has {bins} bins", expected="at least 1")
        self._bins = bins
        self.metrics = (
            Metric(name="calibration_error", kind="sums", statistic="ece", better="lower", bounds=(0.0, 1.0)),
        )

    def __call__(self, confidence: Any, right: Any) -> Score:
        """Judge one row: how sure the answer was, and whether it was right."""
        stated, is_right = _probability(confidence), _outcome(right)
        sums = [0.0] * self._bins
        sums[min(int(stated * self._bins), self._bins - 1)] = float(is_right) - stated
        return Score(value=abs(float(is_right) - stated), sums=(*sums, 1.0))


def _probability(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= 1.0:
        raise DataError(f"the confidence is {value!r}", expected="a number from 0 to 1")
    return float(value)


def _outcome(value: Any) -> bool:
    if not isinstance(value, bool) and value not in (0, 1):
        raise DataError(f"the outcome is {value!r}", expected="true or false")
    return bool(value)
