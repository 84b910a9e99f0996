"""Do parts differ: against SciPy, and where there is nothing to test."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pilothouse.evaluation.statistics.heterogeneity import between, cochran
from pilothouse.evaluation.statistics.special import chi_square_tail, f_tail


@pytest.mark.parametrize("df", [1, 2, 3, 6, 11, 40])
@pytest.mark.parametrize("x", [0.0, 0.3, 4.2, 55.0])
def test_tails_are_those_of_scipy(df: int, x: float) -> None:
    assert chi_square_tail(x, df) == pytest.approx(stats.chi2.sf(x, df), abs=1e-13)
    assert f_tail(x, df, 17.0) == pytest.approx(stats.f.sf(x, df, 17.0), abs=1e-13)


def test_two_parts_of_a_rate_are_fishers_exact_test() -> None:
    values = np.repeat([1.0, 0.0, 1.0, 0.0], [12, 18, 32, 18])
    parts = np.repeat([0, 1], [30, 50])
    found = between(values, parts, permutations=20_000)
    exact = stats.fisher_exact([[12, 18], [32, 18]]).pvalue
    assert found.p_value == pytest.approx(exact, abs=0.02)
    assert found.contrasts[0].difference == pytest.approx(12 / 30 - 32 / 50)
    assert found.contrasts[0].p_value == pytest.approx(found.p_value)


def test_shuffled_numbers_and_welchs_anova_agree() -> None:
    rng = np.random.default_rng(5)
    values, parts = rng.normal(size=150) + np.repeat([0.0, 0.3, 0.5], 50), np.repeat([0, 1, 2], 50)
    welch = stats.f_oneway(*(values[parts == k] for k in range(3)), equal_var=False).pvalue
    assert between(values, parts, permutations=4_000).p_value == pytest.approx(welch, abs=0.02)


def test_many_rows_use_the_distribution_and_agree_with_permutations_of_few() -> None:
    rng = np.random.default_rng(6)
    values, parts = (rng.random(6_000) < 0.5).astype(float), rng.integers(0, 3, size=6_000)
    found = between(values, parts)
    assert found.test == "Welch's chi-square, 2 df"
    table = [[float((values[parts == k] == v).sum()) for k in range(3)] for v in (0.0, 1.0)]
    assert found.p_value == pytest.approx(stats.chi2_contingency(table).pvalue, abs=0.01)


def test_whole_clusters_are_the_units_where_they_lie_in_one_part() -> None:
    groups = np.repeat(np.arange(6), 50)
    values = np.repeat([1.0, 0.0, 1.0, 0.0, 1.0, 0.0], 50)
    parts = np.repeat([0, 0, 0, 1, 1, 1], 50)
    by_rows, by_clusters = between(values, parts), between(values, parts, groups)
    assert by_rows.p_value is not None
    assert by_rows.p_value < 0.001
    assert by_clusters.p_value is not None
    assert by_clusters.p_value > 0.3


def test_clusters_across_parts_have_robust_errors() -> None:
    rng = np.random.default_rng(7)
    groups, parts = np.repeat(np.arange(40), 6), np.tile([0, 0, 1, 1, 2, 2], 40)
    found = between(rng.normal(size=240) + (parts == 2) * 2.0, parts, groups)
    assert found.test == "Wald's F, cluster-robust, 2 and 37 df"
    assert found.p_value is not None
    assert found.p_value < 1e-6
    assert found.contrasts[2].interval is not None
    assert found.contrasts[2].interval.low > 0.5


def test_equal_values_have_nothing_to_test() -> None:
    found = between(np.ones(20), np.repeat([0, 1], 10))
    assert (found.p_value, found.statistic, found.test) == (None, None, "none: all values are equal")
    lone = between(np.arange(4.0), np.array([0, 1, 0, 1]), np.zeros(4, dtype=np.int64))
    assert (lone.p_value, lone.contrasts[0].p_value) == (None, None)


def test_cochrans_q_is_the_weighted_sum_of_squares() -> None:
    q, p = cochran([0.1, 0.3, 0.2], [0.1, 0.1, 0.1])
    assert q == pytest.approx(2.0)
    assert p == pytest.approx(stats.chi2.sf(2.0, 2))
