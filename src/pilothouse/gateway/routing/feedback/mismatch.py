"""Whether arms got the shares they were meant to get: a split that is off makes every comparison of arms void."""

from __future__ import annotations

from collections.abc import Mapping
from math import erfc, exp, lgamma, log, sqrt
from typing import Final

from msgspec import Struct

from pilothouse.core.errors import DataError

LEVEL: Final = 0.001
"""Below this p-value a split counts as off; so low because the check is made again and again."""


class SplitCheck(Struct, frozen=True, kw_only=True):
    """Observed against wanted counts.

    Attributes:
        observed: Arm to units or calls.
        expected: Arm to how many it should have.
        statistic: Pearson's chi-square.
        p_value: Probability of a statistic at least as large where the split is right.
        mismatch: Whether it is below ``LEVEL``.
    """

    observed: dict[str, int]
    expected: dict[str, float]
    statistic: float
    p_value: float
    mismatch: bool


def check_split(observed: Mapping[str, int], weights: Mapping[str, float]) -> SplitCheck:
    """Compare counts per arm with the weights they were assigned by.

    Count units, not calls, where the split holds for units: calls of one unit are not independent. The weights must
    have been the same all the time.

    Args:
        observed: Arm to how many were seen.
        weights: Arm to its weight.

    Raises:
        DataError: for fewer than two arms with a weight, a count below 0, or a count in an arm without a weight.
    """
    total = sum(observed.values())
    arms = sorted(arm for arm, weight in weights.items() if weight > 0)
    strange = sorted(arm for arm, count in observed.items() if count < 0 or (count and arm not in arms))
    if strange or len(arms) < 2:
        raise DataError(
            f"the arms {', '.join(strange)} cannot have these counts" if strange else "there is nothing to compare",
            expected="two arms or more, each with a weight above 0 and a count of 0 or more",
        )
    share = sum(weights[arm] for arm in arms)
    expected = {arm: total * weights[arm] / share for arm in arms}
    statistic = sum((observed.get(arm, 0) - expected[arm]) ** 2 / expected[arm] for arm in arms) if total else 0.0
    p_value = chi_square_tail(statistic, len(arms) - 1)
    return SplitCheck(
        observed={arm: observed.get(arm, 0) for arm in arms},
        expected=expected,
        statistic=statistic,
        p_value=p_value,
        mismatch=p_value < LEVEL,
    )


def chi_square_tail(statistic: float, degrees: int) -> float:
    """Return the probability that chi-square with so many degrees of freedom is at least ``statistic``.

    From the recurrence Q(k + 2) = Q(k) + (x/2)^(k/2) e^(-x/2) / Gamma(k/2 + 1), begun at k = 1 or 2.
    """
    if statistic <= 0:
        return 1.0
    half = statistic / 2
    if degrees % 2:
        tail, begun = erfc(sqrt(half)), 1
    else:
        tail, begun = exp(-half), 2
    for k in range(begun, degrees, 2):
        tail += exp(k / 2 * log(half) - half - lgamma(k / 2 + 1))
    return min(1.0, tail)
