from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import f1_score

from pilothouse.evaluation.metrics.classification import features, statistic
from pilothouse.evaluation.statistics.arrays import FloatArray
from pilothouse.evaluation.statistics.bootstrap import (
    acceleration,
    bca_shares,
    bootstrap,
    bootstrap_quantile,
    bootstrap_unpaired,
    jackknife,
)
from pilothouse.evaluation.statistics.resampling import distinct, weights

RNG = np.random.default_rng(6)


def mean(sums: FloatArray) -> FloatArray:
    return sums[:, 0] / sums[:, 1]


def units(values: FloatArray) -> tuple[FloatArray, np.ndarray]:
    return distinct(np.stack([values, np.ones(len(values))], axis=1))


@pytest.mark.parametrize("n", [12, 150])
def test_bca_of_one_sample(n: int) -> None:
    values = np.round(RNG.lognormal(size=n), 1)  # ties, so that distinct units are fewer than rows
    theirs = stats.bootstrap((values,), np.mean, n_resamples=999, method="BCa", rng=np.random.default_rng(1))
    made, counts = units(values)
    bend = acceleration([(jackknife(made, counts, mean), counts)])
    assert bend is not None
    shares = bca_shares(theirs.bootstrap_distribution, float(values.mean()), bend, 0.95)
    assert shares is not None
    found = np.quantile(theirs.bootstrap_distribution, shares)
    assert tuple(found) == pytest.approx(tuple(theirs.confidence_interval), abs=1e-9)


def test_bca_of_two_samples() -> None:
    first, second = RNG.lognormal(size=40), RNG.lognormal(size=70) + 0.3
    theirs = stats.bootstrap(
        (first, second), lambda a, b, axis: b.mean(axis=axis) - a.mean(axis=axis), n_resamples=999, method="BCa",
        rng=np.random.default_rng(1),
    )  # fmt: skip
    sides = [units(first), units(second)]
    (left, m), (right, n) = ((jackknife(made, counts, mean), counts) for made, counts in sides)
    bend = acceleration([(second.mean() - left, m), (right - first.mean(), n)])
    assert bend is not None
    shares = bca_shares(theirs.bootstrap_distribution, float(second.mean() - first.mean()), bend, 0.95)
    assert shares is not None
    found = np.quantile(theirs.bootstrap_distribution, shares)
    assert tuple(found) == pytest.approx(tuple(theirs.confidence_interval), abs=1e-9)


def test_unpaired_agrees_with_scipy_but_for_chance() -> None:
    first, second = RNG.normal(size=80), RNG.normal(0.5, 2, size=120)
    ours = bootstrap_unpaired(units(first), units(second), mean, resamples=20_000)
    theirs = stats.bootstrap(
        (first, second), lambda a, b, axis: b.mean(axis=axis) - a.mean(axis=axis), n_resamples=20_000,
        rng=np.random.default_rng(2),
    )  # fmt: skip
    assert ours.interval is not None
    assert (ours.interval.low, ours.interval.high) == pytest.approx(tuple(theirs.confidence_interval), abs=0.03)
    assert ours.standard_error == pytest.approx(theirs.standard_error, rel=0.03)


@pytest.mark.parametrize("few", [True, False])
def test_weights_are_those_of_drawing_with_replacement(few: bool) -> None:
    counts = np.array([30, 20, 50]) if few else np.array([3, 2, 5])
    n = counts.sum()
    drawn = np.concatenate(list(weights(counts, 20_000, np.random.default_rng(3))))
    assert drawn.shape == (20_000, 3)
    assert (drawn.sum(axis=1) == n).all()
    share = counts / n
    # Standard errors of a mean and of a variance over 20,000 draws, five of them.
    spread = np.sqrt(n * share * (1 - share))
    assert np.abs(drawn.mean(axis=0) - counts).max() < 5 * spread.max() / np.sqrt(20_000)
    assert drawn.var(axis=0) == pytest.approx(n * share * (1 - share), rel=5 * np.sqrt(2 / 20_000) * 1.2)


def test_macro_f1_is_computed_anew_in_each_resample() -> None:
    labels = np.array(["a", "b", "c"])
    truth, prediction = RNG.integers(0, 3, 90), RNG.integers(0, 3, 90)
    rows = features(truth, prediction, 3)
    drawn = np.concatenate(list(weights(np.ones(90, dtype=np.int64), 40, np.random.default_rng(1))))
    found = statistic("macro_f1")(drawn @ rows)
    for times, value in zip(drawn.astype(int), found, strict=True):
        expected = f1_score(labels[np.repeat(truth, times)], labels[np.repeat(prediction, times)], average="macro")
        assert value == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("q", [0.0, 0.05, 0.5, 0.95, 1.0])
@pytest.mark.parametrize("groups", [None, np.array([0, 1, 2, 3, 4] * 4)])
def test_quantile_is_that_of_the_resampled_rows(q: float, groups: np.ndarray | None) -> None:
    values = np.round(RNG.lognormal(size=20), 1)
    found = bootstrap_quantile((values,), q, groups, resamples=400, seed=9)
    ordered = np.sort(values) if groups is None else values
    owner = np.arange(20) if groups is None else groups
    drawn = np.concatenate(list(weights(np.ones(owner.max() + 1, dtype=np.int64), 400, np.random.default_rng(9))))
    expected = [np.quantile(np.repeat(ordered, times[owner].astype(int)), q) for times in drawn]
    assert found.standard_error == pytest.approx(np.std(expected, ddof=1), rel=1e-9)
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx(tuple(np.quantile(expected, (0.025, 0.975))))


def test_clusters_are_drawn_whole() -> None:
    cluster = RNG.normal(size=40)
    values = np.repeat(cluster, 5)  # five copies of each: 200 rows that know no more than 40
    sums = np.stack([cluster * 5, np.full(40, 5.0)], axis=1)
    whole = bootstrap(*distinct(sums), mean, resamples=4000)
    naive = bootstrap(*units(values), mean, resamples=4000)
    assert whole.standard_error == pytest.approx(cluster.std() / np.sqrt(40), rel=0.06)
    assert naive.standard_error is not None
    assert naive.standard_error < 0.55 * cluster.std() / np.sqrt(40)


def test_seed_decides() -> None:
    made = units(RNG.normal(size=50))
    assert bootstrap(*made, mean, seed=1) == bootstrap(*made, mean, seed=1)
    assert bootstrap(*made, mean, seed=1) != bootstrap(*made, mean, seed=2)


def test_no_spread_is_said() -> None:
    found = bootstrap(*units(np.full(30, 0.1)), mean)
    assert found.interval is None
    assert found.standard_error is None
    assert "same value" in str(found.note)
    few = "fewer than two units to resample"
    assert bootstrap(*units(np.ones(1)), mean).note == few
    assert bootstrap_quantile((np.arange(5.0),), 0.5, np.zeros(5, dtype=np.int64)).note == few
    assert bootstrap(np.zeros((0, 2)), np.zeros(0, dtype=np.int64), mean).note == few
    assert bootstrap_quantile((np.zeros(0),), 0.5).note == few
    assert bootstrap_unpaired(units(np.zeros(0)), units(np.ones(3)), mean).note == few


def test_undefined_resamples_are_counted() -> None:
    def ratio(sums: FloatArray) -> FloatArray:
        return np.where(sums[:, 0] > 0, sums[:, 1] / np.maximum(sums[:, 0], 1), np.nan)

    rare = np.stack([np.eye(1, 40)[0], RNG.normal(size=40)], axis=1)  # one row of 40 defines it
    found = bootstrap(*distinct(rare), ratio, resamples=1000)
    assert found.interval is None
    assert "undefined in" in str(found.note)
    often = np.stack([np.r_[np.ones(5), np.zeros(35)], RNG.normal(size=40)], axis=1)
    some = bootstrap(*distinct(often), ratio, resamples=2000)
    assert some.interval is not None
    assert "undefined in" in str(some.note)


def test_an_estimate_beyond_all_resamples_falls_back() -> None:
    assert bca_shares(np.array([1.0, 2.0, 3.0]), 9.0, 0.0, 0.95) is None
    # The number of different rows in a sample: each resample has fewer than the sample itself.
    found = bootstrap(np.eye(20), np.ones(20, dtype=np.int64), lambda sums: (sums > 0).sum(axis=1).astype(float))
    assert found.interval is not None
    assert found.interval.method.startswith("percentile")


def test_memory_is_flat() -> None:
    values = RNG.normal(size=3000)
    made = units(values)
    tracemalloc.start()
    bootstrap(*made, mean, resamples=3000)  # 9 million weights: 72 MB if they were held at once
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64e6


@settings(max_examples=30)
@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=5, max_size=60), st.randoms())
def test_order_does_not_matter(values: list[float], random: object) -> None:
    first = bootstrap(*units(np.array(values)), mean, resamples=300)
    quantile = bootstrap_quantile((np.array(values),), 0.5, resamples=300)
    random.shuffle(values)  # type: ignore[attr-defined]
    assert bootstrap(*units(np.array(values)), mean, resamples=300) == first
    assert bootstrap_quantile((np.array(values),), 0.5, resamples=300) == quantile
    if first.interval is not None:
        assert 0.0 <= first.interval.low <= first.interval.high <= 1.0
