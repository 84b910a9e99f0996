from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from pilothouse.core.errors import DataError
from pilothouse.evaluation.metrics.classification import NONE, classification_report, encode, features, statistic
from pilothouse.evaluation.types import LabelPair

RNG = np.random.default_rng(10)
LABELS = st.sampled_from(["a", "b", "c", "d"])


def pairs(truth: list[str], prediction: list[str | None]) -> list[LabelPair]:
    return [LabelPair(truth=true, prediction=said) for true, said in zip(truth, prediction, strict=True)]


def assert_like_sklearn(truth: list[str], prediction: list[str | None], labels: tuple[str, ...] = ()) -> None:
    report = classification_report(pairs(truth, prediction), labels)
    said = [text if text in report.labels else NONE for text in prediction]
    each = sk.precision_recall_fscore_support(truth, said, labels=list(report.labels), zero_division=0)
    for i, one in enumerate(report.classes):
        assert (one.precision or 0.0, one.recall or 0.0, one.f1 or 0.0) == pytest.approx(
            [*(x[i] for x in each[:3])], abs=1e-9
        )
        assert one.support == each[3][i]
    assert report.accuracy == pytest.approx(sk.accuracy_score(truth, said), abs=1e-9)
    for average in ("macro", "weighted", "micro"):
        expected = sk.precision_recall_fscore_support(
            truth, said, labels=list(report.labels), average=average, zero_division=0
        )
        for name, value in zip(("precision", "recall", "f1"), expected[:3], strict=True):
            assert report.averages[f"{average}_{name}"] == pytest.approx(value, abs=1e-9)
    matrix = sk.confusion_matrix(truth, said, labels=[*report.labels, NONE])[:-1]
    assert np.array_equal(np.array(report.matrix), matrix)


@settings(max_examples=30)
@given(st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=40))
def test_equal_to_scikit_learn(rows: list[tuple[str, str]]) -> None:
    assert_like_sklearn([true for true, _ in rows], [said for _, said in rows])


@settings(max_examples=30)
@given(st.lists(st.tuples(LABELS, st.sampled_from(["a", "b", "e", None])), min_size=1, max_size=40))
def test_answers_outside_of_the_label_set(rows: list[tuple[str, str | None]]) -> None:
    truth = [true for true, _ in rows]
    assert_like_sklearn(truth, [said for _, said in rows], tuple(sorted(set(truth))))


def test_many_classes() -> None:
    truth = [f"intent {i:02}" for i in RNG.integers(0, 77, 1000)]
    prediction = [true if RNG.random() < 0.8 else f"intent {RNG.integers(0, 77):02}" for true in truth]
    assert_like_sklearn(truth, prediction)


def test_none_has_its_own_column_and_is_wrong() -> None:
    report = classification_report(pairs(["a", "a", "b"], ["a", None, None]))
    assert report.labels == ("a", "b")
    assert report.matrix == ((1, 0, 1), (0, 0, 1))
    assert report.accuracy == pytest.approx(1 / 3)
    assert [(c.precision, c.recall) for c in report.classes] == [(1.0, 0.5), (0.0, 0.0)]


def test_a_class_in_neither_is_undefined_and_left_out() -> None:
    report = classification_report(pairs(["a", "b"], ["a", "a"]), ("a", "b", "c"))
    assert (report.classes[2].precision, report.classes[2].recall, report.classes[2].f1) == (None, None, None)
    expected = sk.f1_score(["a", "b"], ["a", "a"], labels=["a", "b", "c"], average="macro", zero_division=np.nan)
    assert report.averages["macro_f1"] == pytest.approx(expected, abs=1e-9)


def test_empty_is_none_and_never_nan() -> None:
    report = classification_report([])
    assert (report.n, report.accuracy, report.note) == (0, None, "no rows")
    assert set(report.averages.values()) == {None}


def test_one_class_is_said() -> None:
    report = classification_report(pairs(["a"] * 3, ["a"] * 3))
    assert report.averages["macro_f1"] == 1.0
    assert "one class only" in str(report.note)


def test_a_truth_outside_of_the_label_set_is_refused() -> None:
    with pytest.raises(DataError, match="'z' is not in the label set"):
        encode(pairs(["z"], ["a"]), ("a", "b"))


def test_statistics_are_those_of_each_sample_apart() -> None:
    truth, prediction = RNG.integers(0, 3, (5, 30)), RNG.integers(0, 4, (5, 30))
    sums = np.stack([features(t, p, 3).sum(axis=0) for t, p in zip(truth, prediction, strict=True)])
    found = statistic("macro_f1")(sums)
    expected = [
        sk.f1_score(t, p, labels=[0, 1, 2], average="macro", zero_division=0)
        for t, p in zip(truth, prediction, strict=True)
    ]
    assert found == pytest.approx(expected, abs=1e-9)
