"""Log loss of one row; its mean over rows is the cross-entropy, equal to scikit-learn's."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping

from pilothouse.core.errors import DataError

_SMALLEST = sys.float_info.epsilon
_SUM_TOLERANCE = 0.05


def negative_log_likelihood(chances: Mapping[str, float], truth: str) -> float:
    """Return -log of the probability that was given to the true label.

    A probability of 0 counts as the machine's epsilon, as in scikit-learn: a certain error costs 36, not infinity.
    Probabilities are divided by their sum, which may differ from 1 by rounding.

    Raises:
        DataError: for a true label without a probability, and for numbers that are no probabilities.
    """
    values = list(chances.values())
    if truth not in chances:
        raise DataError(f"no probability is given for the true label '{truth}'", expected=", ".join(map(str, chances)))
    if not all(0.0 <= value <= 1.0 for value in values) or abs(sum(values) - 1.0) > _SUM_TOLERANCE:
        raise DataError(f"these are no probabilities: {dict(chances)}", expected="numbers from 0 to 1 that sum to 1")
    return -math.log(min(max(chances[truth] / sum(values), _SMALLEST), 1.0 - _SMALLEST))
