from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from pilothouse.evaluation.aggregate import classification_report, estimate, estimates
from pilothouse.evaluation.statistics.intervals import wilson
from pilothouse.evaluation.types import Metric, Procedure, ScoredRow

from .rows import ACCURACY, FAILED, MACRO_F1, MEAN, MEDIAN, P95, RATE, labelled, rights, scored

RNG = np.random.default_rng(12)
TRUTH = [str(i) for i in RNG.integers(0, 4, 120)]
SAID = [true if RNG.random() < 0.7 else str(RNG.integers(0, 4)) for true in TRUTH]


def test_a_rate_counts_failed_rows_as_wrong_and_shows_the_alternative() -> None:
    found = estimate(RATE, rights("1" * 30 + "0" * 10 + "F" * 8 + "EE" + "A"))
    expected = wilson(30, 48)
    assert found.value == 30 / 48
    assert found.interval == expected
    assert (found.n, found.counted, found.excluded) == (48, {"failed": 8}, {"abstained": 1, "error": 2})
    assert found.complete == 30 / 40
    complete = estimate(RATE, rights("1" * 30 + "0" * 10 + "F" * 8), Procedure(failures="exclude"))
    assert (complete.value, complete.n, complete.excluded, complete.complete) == (0.75, 40, {"failed": 8}, None)


@pytest.mark.parametrize("metric", [RATE, MEAN, MEDIAN, ACCURACY, MACRO_F1])
def test_no_rows(metric: Metric) -> None:
    for rows in ([], [ScoredRow(id="1", scores=())], scored(metric.evaluator, ["abstained"])):
        found = estimate(metric, rows)
        assert (found.value, found.interval, found.n) == (None, None, 0)
        assert found.note == "no rows to measure"
        assert sum(found.excluded.values()) == len(rows)


def test_all_rows_failed() -> None:
    found = estimate(RATE, rights("FFF"))
    assert (found.value, found.counted, found.complete) == (0.0, {"failed": 3}, None)
    mean = estimate(MEAN, scored("value", [FAILED] * 3))
    assert (mean.value, mean.excluded) == (None, {"failed": 3})


def test_macro_f1() -> None:
    found = estimate(MACRO_F1, labelled(TRUTH, SAID))
    assert found.value == pytest.approx(f1_score(TRUTH, SAID, average="macro"), abs=1e-9)
    assert found.interval is not None
    assert found.interval.method == "BCa bootstrap, 5000 resamples"
    assert 0.55 < found.interval.low < found.value < found.interval.high < 0.9


def test_a_label_that_is_only_ever_predicted_makes_no_class() -> None:
    said = ["spam it is" if i == 0 else text for i, text in enumerate(SAID)]
    found = estimate(MACRO_F1, labelled(TRUTH, said))
    expected = f1_score(TRUTH, said, labels=sorted(set(TRUTH)), average="macro")
    assert found.value == pytest.approx(expected, abs=1e-9)
    report = classification_report(MACRO_F1, labelled(TRUTH, said))
    assert report.labels == ("0", "1", "2", "3")
    assert sum(row[-1] for row in report.matrix) == 1


def test_labels_are_few_and_equal_in_every_way_that_hurts() -> None:
    one = estimate(MACRO_F1, labelled(["a"] * 30, ["a"] * 30))
    assert (one.value, one.interval) == (1.0, None)
    assert "one class only" in str(one.note)
    assert "no spread" in str(one.note)
    few = estimate(MACRO_F1, labelled(["a", "b"] * 4, ["a", "a"] * 4))
    assert "fewer than 20 rows" in str(few.note)


def test_mean() -> None:
    values = RNG.normal(size=40)
    found = estimate(MEAN, scored("value", values.tolist()))
    assert found.value == pytest.approx(values.mean())
    assert found.interval is not None
    assert found.interval.method == "t"
    equal = estimate(MEAN, scored("value", [0.3] * 10))
    assert (equal.interval, equal.note) == (None, "no spread: all values are equal")
    assert "one row" in str(estimate(MEAN, scored("value", [0.3])).note)


def test_quantiles() -> None:
    values = RNG.lognormal(size=100)
    median, high = estimates((MEDIAN, P95), scored("value", values.tolist()))
    assert median.value == pytest.approx(np.quantile(values, 0.5))
    assert high.value == pytest.approx(np.quantile(values, 0.95))
    assert median.interval is not None
    assert high.interval is not None
    assert median.interval.high < high.interval.low
    few = estimate(P95, scored("value", values[:60].tolist()))
    assert (few.interval, few.note) == (None, "an interval needs 72 rows")
    assert few.value is not None


@pytest.mark.parametrize("metric", [RATE, MEAN, MEDIAN, ACCURACY, MACRO_F1])
def test_clusters_widen_intervals(metric: Metric) -> None:
    documents = [f"d{i // 6}" for i in range(240)]
    chance = RNG.random(40)
    hits = [bool(RNG.random() < chance[i // 6]) for i in range(240)]

    def rows(clusters: list[str] | None) -> list[ScoredRow]:
        if metric.evaluator == "label":
            return labelled(
                ["a", "b"] * 120,
                [t if h else "ba"["ab".index(t)] for t, h in zip("ab" * 120, hits, strict=True)],
                clusters,
            )
        values = hits if metric is RATE else [h + chance[i // 6] for i, h in enumerate(hits)]
        return scored(metric.evaluator, values, clusters)

    alone, together = estimate(metric, rows(None)), estimate(metric, rows(documents))
    assert alone.value == together.value
    assert (alone.clusters, together.clusters) == (None, 40)
    assert alone.interval is not None
    assert together.interval is not None
    assert together.interval.high - together.interval.low > 1.15 * (alone.interval.high - alone.interval.low)


def test_clusters_that_all_agree_count_as_rows() -> None:
    found = estimate(RATE, rights("1" * 20, [f"d{i // 2}" for i in range(20)]))
    expected = wilson(10, 10)
    assert found.interval is not None
    assert expected is not None
    assert found.interval.low == pytest.approx(expected.low)
    assert found.interval.high == 1.0


@given(st.text("10FEA", min_size=1, max_size=40), st.randoms())
def test_rate_properties(text: str, random: object) -> None:
    rows = rights(text)
    found = estimate(RATE, rows)
    random.shuffle(rows)  # type: ignore[attr-defined]
    assert estimate(RATE, rows) == found
    assert found.n + sum(found.excluded.values()) == len(text)
    if found.interval is not None:
        assert found.value is not None
        assert 0.0 <= found.interval.low <= found.value <= found.interval.high <= 1.0


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["a", "b", "c", None])), min_size=1, max_size=25),
    st.randoms(),
)
def test_label_properties(pairs: list[tuple[str, str | None]], random: object) -> None:
    rows = labelled([true for true, _ in pairs], [said for _, said in pairs])
    quick = Procedure(resamples=200)
    found = estimate(MACRO_F1, rows, quick)
    random.shuffle(rows)  # type: ignore[attr-defined]
    assert estimate(MACRO_F1, rows, quick) == found
    assert found.value is not None
    assert not math.isnan(found.value)
    if found.interval is not None:
        assert 0.0 <= found.interval.low <= found.interval.high <= 1.0
