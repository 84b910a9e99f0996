from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats
from statsmodels.stats.proportion import proportion_confint

from pilothouse.evaluation.statistics.intervals import (
    clopper_pearson,
    clustered_standard_error,
    mean_interval,
    paired_rate_interval,
    quantile_interval,
    rows_for_quantile,
    standard_error,
    tango_score,
    wilson,
)

RNG = np.random.default_rng(5)
COUNTS = [(0, 1), (1, 1), (0, 60), (60, 60), (59, 60), (7, 60), (500, 1000), (1, 10_000)]


@pytest.mark.parametrize(("successes", "n"), COUNTS)
@pytest.mark.parametrize("level", [0.8, 0.95, 0.999])
def test_proportions(successes: int, n: int, level: float) -> None:
    for ours, name in ((wilson, "wilson"), (clopper_pearson, "beta")):
        found = ours(successes, n, level)
        low, high = proportion_confint(successes, n, alpha=1 - level, method=name)
        assert found is not None
        assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9)


def test_no_rows_have_no_interval() -> None:
    empty = np.zeros(0)
    assert wilson(0, 0) is None
    assert clopper_pearson(0, 0) is None
    assert paired_rate_interval(0, 0, 0) is None
    assert mean_interval(empty) is None
    assert mean_interval(np.array([3.0])) is None
    assert mean_interval(empty, clusters=np.zeros(0, dtype=np.int64)) is None
    assert quantile_interval(empty, 0.5) is None


def test_equal_values_do_not_claim_certainty() -> None:
    assert mean_interval(np.full(50, 0.7)) is None
    assert mean_interval(np.array([1.0, 0.0] * 10), clusters=np.repeat(np.arange(10), 2)) is None


@pytest.mark.parametrize("n", [2, 5, 200])
def test_mean(n: int) -> None:
    values = RNG.lognormal(size=n)
    found = mean_interval(values, 0.95)
    assert found is not None
    assert standard_error(values) == pytest.approx(stats.sem(values), abs=1e-9)
    expected = stats.t.interval(0.95, n - 1, values.mean(), stats.sem(values))
    assert (found.low, found.high) == pytest.approx(expected, rel=1e-9)


def test_bounds_cut_the_interval() -> None:
    found = mean_interval(np.array([1.0, 1.0, 1.0, 0.4]), bounds=(0.0, 1.0))
    assert found is not None
    assert found.high == 1.0


@pytest.mark.parametrize("sizes", [(1, 2), (3, 1, 4, 1, 5), tuple(RNG.integers(1, 9, 40))])
def test_clusters(sizes: tuple[int, ...]) -> None:
    clusters = np.repeat(np.arange(len(sizes)), sizes)
    values = RNG.normal(size=len(clusters)) + RNG.normal(size=len(sizes))[clusters]
    fit = sm.OLS(values, np.ones(len(values))).fit(cov_type="cluster", cov_kwds={"groups": clusters}, use_t=True)
    found = mean_interval(values, 0.95, clusters=clusters)
    assert clustered_standard_error(values, clusters) == pytest.approx(fit.bse[0], rel=1e-9)
    assert found is not None
    assert (found.low, found.high) == pytest.approx(tuple(fit.conf_int(0.05)[0]), rel=1e-9)


def test_one_value_a_cluster_is_no_clustering() -> None:
    values = RNG.normal(size=30)
    assert clustered_standard_error(values, np.arange(30)) == pytest.approx(standard_error(values), rel=1e-12)


@pytest.mark.parametrize(("lost", "gained", "n"), [(3, 9, 60), (0, 5, 40), (12, 0, 50), (200, 242, 1000)])
@pytest.mark.parametrize("delta", [-0.4, -0.05, 0.0, 0.1, 0.6])
def test_tango_score_is_that_of_the_constrained_likelihood(lost: int, gained: int, n: int, delta: float) -> None:
    def minus_log_likelihood(q: float) -> float:
        cells = np.array([q, q + delta, 1 - 2 * q - delta])
        counts = np.array([lost, gained, n - lost - gained])
        return -float(np.sum(np.where(counts > 0, counts * np.log(np.maximum(cells, 1e-300)), 0.0)))

    low, high = max(0.0, -delta), (1.0 - delta) / 2
    q = optimize.minimize_scalar(
        minus_log_likelihood, bounds=(low, high), method="bounded", options={"xatol": 1e-13, "maxiter": 2000}
    ).x
    expected = (gained - lost - n * delta) / np.sqrt(n * (2 * q + delta - delta**2))
    assert tango_score(lost, gained, n, delta) == pytest.approx(expected, rel=2e-5)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 400), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_tango(lost: int, gained: int, agreeing: int, level: float) -> None:
    n = lost + gained + agreeing
    found = paired_rate_interval(lost, gained, n, level)
    if found is None:
        assert n == 0
        return
    assert -1.0 <= found.low <= (gained - lost) / n <= found.high <= 1.0
    z = stats.norm.ppf((1 + level) / 2)
    for bound, sign in ((found.low, 1), (found.high, -1)):
        if abs(bound) < 1.0:
            assert tango_score(lost, gained, n, bound) == pytest.approx(sign * z, rel=1e-6)
    mirror = paired_rate_interval(gained, lost, n, level)
    assert mirror is not None
    assert (mirror.low, mirror.high) == pytest.approx((-found.high, -found.low), abs=1e-9)


@pytest.mark.parametrize("q", [0.5, 0.95])
@pytest.mark.parametrize("n", [10, 72, 73, 500])
def test_quantile(q: float, n: int) -> None:
    found = quantile_interval(np.arange(1.0, n + 1), q, 0.95)
    if n < rows_for_quantile(q):
        assert found is None
        return
    assert found is not None
    low, high = int(found.low), int(found.high)  # the values are the ranks

    def coverage(low: int, high: int) -> float:
        return float(stats.binom.pmf(np.arange(low, high), n, q).sum())

    assert coverage(low, high) >= 0.95
    assert stats.binom.cdf(low, n, q) > 0.025  # the next rank up would leave out too much
    assert stats.binom.sf(high - 2, n, q) > 0.025


def test_rows_for_quantile_is_the_least() -> None:
    for q in (0.05, 0.5, 0.9, 0.95, 0.99):
        least = rows_for_quantile(q)
        assert quantile_interval(np.arange(float(least)), q) is not None
        assert quantile_interval(np.arange(float(least - 1)), q) is None


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.01, 0.999))
def test_proportions_hold_their_estimate(counts: tuple[int, int], level: float) -> None:
    successes, n = counts
    for interval in (wilson(successes, n, level), clopper_pearson(successes, n, level)):
        assert interval is not None
        assert 0.0 <= interval.low <= successes / n <= interval.high <= 1.0


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30), st.randoms())
def test_order_does_not_matter(values: list[float], random: object) -> None:
    found = mean_interval(np.array(values))
    random.shuffle(values)  # type: ignore[attr-defined]
    again = mean_interval(np.array(values))
    if found is None or again is None:
        assert np.ptp(values) < 1e-6
    else:
        assert (again.low, again.high) == pytest.approx((found.low, found.high), rel=1e-6, abs=1e-6)
        assert found.low <= np.mean(values) + 1e-9 >= found.low
