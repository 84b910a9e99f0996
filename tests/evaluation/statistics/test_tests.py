from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as their_mcnemar

from pilothouse.evaluation.metrics.classification import features, statistic
from pilothouse.evaluation.statistics.arrays import FloatArray
from pilothouse.evaluation.statistics.resampling import distinct
from pilothouse.evaluation.statistics.tests import EXACT_UP_TO, least_discordant, mcnemar, paired_permutation

RNG = np.random.default_rng(8)


def mean(sums: FloatArray) -> FloatArray:
    return sums[:, 0] / sums[:, 1]


def columns(values: FloatArray) -> FloatArray:
    return np.stack([values, np.ones(len(values))], axis=1)


@pytest.mark.parametrize(("lost", "gained"), [(0, 0), (0, 1), (0, 5), (0, 6), (3, 3), (2, 9), (154, 242), (3000, 3200)])
def test_mcnemar(lost: int, gained: int) -> None:
    theirs = their_mcnemar([[5, lost], [gained, 7]], exact=True).pvalue if lost + gained else 1.0
    assert mcnemar(lost, gained).p_value == pytest.approx(theirs, rel=1e-9)
    n, k = lost + gained, min(lost, gained)
    at = stats.binom.pmf(k, n, 0.5)
    mid = 1 - at / 2 if lost == gained else 2 * stats.binom.cdf(k, n, 0.5) - at
    assert mcnemar(lost, gained, mid_p=True).p_value == pytest.approx(mid, rel=1e-9)


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_is_symmetric_and_bounded(lost: int, gained: int) -> None:
    one, other = mcnemar(lost, gained), mcnemar(gained, lost)
    assert one == other
    assert 0.0 < mcnemar(lost, gained, mid_p=True).p_value <= one.p_value <= 1.0
    assert one.differing == lost + gained


@pytest.mark.parametrize("alpha", [0.05, 0.05 / 3, 0.01, 1e-4])
def test_least_discordant(alpha: float) -> None:
    least = least_discordant(alpha)
    assert mcnemar(0, least).p_value < alpha <= mcnemar(0, least - 1).p_value
    assert least_discordant(0.05) == 6


@pytest.mark.parametrize("n", [2, 6, 12])
def test_permutation_exact(n: int) -> None:
    first, second = np.round(RNG.normal(size=n), 1), np.round(RNG.normal(0.4, size=n), 1)
    ours = paired_permutation(columns(first), columns(second), np.ones(n, dtype=np.int64), mean)
    theirs = stats.permutation_test(
        (first, second), lambda a, b, axis: b.mean(axis=axis) - a.mean(axis=axis), permutation_type="samples",
        vectorized=True, n_resamples=np.inf,
    )  # fmt: skip
    assert ours.method.endswith("exact")
    assert ours.p_value == pytest.approx(theirs.pvalue, abs=1e-12)


def test_permutation_by_chance_is_near_the_exact_p() -> None:
    n = EXACT_UP_TO
    first, second = RNG.normal(size=n), RNG.normal(0.6, size=n)
    exact = paired_permutation(columns(first), columns(second), np.ones(n, dtype=np.int64), mean).p_value
    # Two more pairs that differ by nothing that matters: the test must fall back on chance.
    extra = np.array([1e-9, -1e-9])
    chance = paired_permutation(
        columns(np.r_[first, 0, 0]), columns(np.r_[second, extra]), np.ones(n + 2, dtype=np.int64), mean,
        resamples=20_000,
    )  # fmt: skip
    assert "20000 random" in chance.method
    assert chance.p_value == pytest.approx(exact, abs=5 * np.sqrt(exact * (1 - exact) / 20_000))


def test_permutation_of_a_rate_is_mcnemar() -> None:
    first, second = np.array([1.0] * 9 + [0.0] * 31), np.array([0.0] * 2 + [1.0] * 14 + [0.0] * 24)
    lost, gained = int((first > second).sum()), int((second > first).sum())
    found, counts = distinct(np.concatenate([columns(first), columns(second)], axis=1))
    test = paired_permutation(found[:, :2], found[:, 2:], counts, mean)
    assert test.differing == lost + gained <= EXACT_UP_TO
    assert test.p_value == pytest.approx(mcnemar(lost, gained).p_value, abs=1e-12)


def test_pairs_that_agree_change_nothing_and_none_that_differ_give_1() -> None:
    same = columns(RNG.normal(size=30))
    outcome = paired_permutation(same, same, np.ones(30, dtype=np.int64), mean)
    assert (outcome.p_value, outcome.differing) == (1.0, 0)


def test_p_is_never_0() -> None:
    first, second = columns(np.zeros(200)), columns(np.ones(200) + RNG.uniform(size=200))
    assert paired_permutation(first, second, np.ones(200, dtype=np.int64), mean, resamples=999).p_value == 1 / 1000


def test_macro_f1_swaps_pairs() -> None:
    truth, first, second = (RNG.integers(0, 3, 12) for _ in range(3))
    figure = statistic("macro_f1")
    ours = paired_permutation(
        features(truth, first, 3), features(truth, second, 3), np.ones(12, dtype=np.int64), figure
    )
    places = np.flatnonzero(first != second)

    def gap(a: np.ndarray, b: np.ndarray) -> float:
        sums = [features(truth, side, 3).sum(axis=0)[None, :] for side in (a, b)]
        return abs(float((figure(sums[1]) - figure(sums[0]))[0]))

    observed, reached = gap(first, second), 0
    for assignment in range(1 << len(places)):
        swap = np.zeros(12, dtype=bool)
        swap[places] = [(assignment >> bit) & 1 for bit in range(len(places))]
        reached += gap(np.where(swap, second, first), np.where(swap, first, second)) >= observed - 1e-12
    assert ours.p_value == pytest.approx(reached / (1 << len(places)), abs=1e-12)
