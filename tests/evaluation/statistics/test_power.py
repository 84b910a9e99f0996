from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from pilothouse.evaluation.statistics.power import (
    detectable_by_error,
    detectable_mean_difference,
    detectable_rate_difference,
    mcnemar_power,
    mean_power,
    required_pairs,
    required_rows,
)


def brute_force(n: int, discordance: float, difference: float, alpha: float) -> float:
    """Sum over every outcome of the trinomial with McNemar's exact p below alpha."""
    total = 0.0
    for d in range(n + 1):
        chance = stats.binom.pmf(d, n, discordance)
        for gained in range(d + 1):
            if stats.binomtest(gained, d, 0.5).pvalue < alpha - 1e-12 if d else False:
                total += chance * stats.binom.pmf(gained, d, 0.5 * (1 + difference / discordance))
    return total


@pytest.mark.parametrize(
    ("n", "discordance", "difference"), [(12, 0.5, 0.5), (25, 0.3, 0.2), (40, 0.4, 0.0), (40, 0.15, 0.15)]
)
@pytest.mark.parametrize("alpha", [0.05, 0.05 / 3])
def test_mcnemar_power_is_exact(n: int, discordance: float, difference: float, alpha: float) -> None:
    expected = brute_force(n, discordance, difference, alpha)
    assert mcnemar_power(n, discordance, difference, alpha) == pytest.approx(expected, abs=1e-9)
    assert mcnemar_power(n, discordance, -difference, alpha) == pytest.approx(expected, abs=1e-9)


def test_the_approximation_joins_the_exact_power() -> None:
    for difference in (0.03, 0.06, 0.09):
        exact, beyond = mcnemar_power(2500, 0.1999, difference), mcnemar_power(2503, 0.2, difference)
        assert beyond == pytest.approx(exact, abs=0.01)


@pytest.mark.parametrize("n", [2, 5, 20, 199, 4000])
@pytest.mark.parametrize("effect", [0.0, 0.05, 0.2, 0.8, 3.0])
@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_mean_power(n: int, effect: float, alpha: float) -> None:
    theirs = TTestPower().power(effect, n, alpha)
    # Where the power is 1 but for 1e-11, their noncentral t is NaN.
    theirs = 1.0 if np.isnan(theirs) and effect * np.sqrt(n) > 10 else theirs
    assert mean_power(n, effect, alpha) == pytest.approx(theirs, abs=1e-9)


def test_many_rows_are_normal() -> None:
    assert mean_power(200_000, 0.006) == pytest.approx(TTestPower().power(0.006, 200_000, 0.05), abs=1e-5)


def test_the_classic_sample_size() -> None:
    n = TTestPower().solve_power(0.2, power=0.8, alpha=0.05)
    assert n == pytest.approx(198.15, abs=0.01)
    assert required_rows(0.2, 1.0) == int(np.ceil(n))
    assert required_rows(3.0, 15.0) == int(np.ceil(n))


@pytest.mark.parametrize(("n", "discordance"), [(40, 0.2), (60, 0.0), (60, 0.4), (1000, 0.4), (50_000, 0.3)])
def test_detectable_difference_has_the_power(n: int, discordance: float) -> None:
    delta = detectable_rate_difference(n, discordance)
    assert delta is not None
    assert mcnemar_power(n, max(discordance, delta), delta) == pytest.approx(0.8, abs=1e-3)


def test_required_pairs_have_the_power() -> None:
    n = required_pairs(0.1, 0.3)
    assert n is not None
    assert mcnemar_power(n, 0.3, 0.1) >= 0.8 > mcnemar_power(n - 15, 0.3, 0.1)
    assert 230 < n < 260  # Connor's formula gives 234 without, about 244 with the correction for continuity


def test_detectable_mean_difference() -> None:
    found = detectable_mean_difference(50, 2.0)
    assert found is not None
    assert TTestPower().power(found / 2.0, 50, 0.05) == pytest.approx(0.8, abs=1e-5)
    huge = detectable_mean_difference(2, 1.0)
    assert huge is not None
    assert mean_power(2, huge) == pytest.approx(0.8, abs=1e-4)


def test_what_cannot_be_told() -> None:
    assert detectable_rate_difference(5, 0.4) is None  # five pairs can never give p < 0.05
    assert detectable_mean_difference(1, 1.0) is None
    assert detectable_mean_difference(10, 0.0) is None
    assert required_pairs(0.0, 0.2) is None
    assert required_rows(0.0, 1.0) is None
    assert mean_power(1, 1.0) == 0.0
    assert mcnemar_power(10, 0.0, 0.0) == pytest.approx(0.0)


def test_by_error() -> None:
    z = stats.norm.ppf(0.975) + stats.norm.ppf(0.8)
    assert detectable_by_error(0.5) == pytest.approx(0.5 * z, rel=1e-9)
