from __future__ import annotations

import pytest

from pilothouse.core.errors import DataError
from pilothouse.evaluation.observations import clusters, observe
from pilothouse.evaluation.types import UPSTREAM, LabelPair, Metric, Score, ScoredRow
from pilothouse.flows.results import ErrorInfo

from .rows import ACCURACY, FAILED, MACRO_F1, MEAN, RATE, labelled, rights, scored


def test_what_enters_a_rate() -> None:
    seen = observe(RATE, rights("110FEA"))
    assert [(entry.value, entry.reason) for entry in seen.entries.values()] == [
        (1.0, None), (1.0, None), (0.0, None), (0.0, "failed"),
    ]  # fmt: skip
    assert seen.counted == {"failed": 1}
    assert seen.excluded == {"abstained": 1, "error": 1}


def test_complete_cases() -> None:
    seen = observe(RATE, rights("110FEA"), "exclude")
    assert len(seen.entries) == 3
    assert seen.counted == {}
    assert seen.excluded == {"abstained": 1, "error": 1, "failed": 1}


def test_a_mean_without_a_worst_value_leaves_failed_rows_out() -> None:
    seen = observe(MEAN, scored("value", [0.5, FAILED]))
    assert (len(seen.entries), seen.excluded) == (1, {"failed": 1})


def test_a_rate_that_should_be_low_counts_failed_rows_as_high() -> None:
    toxic = Metric(name="toxic", evaluator="right", score="right", kind="rate", better="lower", worst=1.0)
    assert [entry.value for entry in observe(toxic, rights("0F")).entries.values()] == [0.0, 1.0]


@pytest.mark.parametrize("metric", [ACCURACY, MACRO_F1])
def test_unparsable_answers_are_wrong_and_counted(metric: Metric) -> None:
    rows = labelled(["a", "b", "b"], ["a", None, "b"])
    seen = observe(metric, rows)
    assert [entry.value for entry in seen.entries.values()] == [1.0, 0.0, 1.0]
    assert seen.counted == {"unparsable": 1}
    assert observe(metric, rows, "exclude").excluded == {"unparsable": 1}


def test_a_failed_row_with_a_true_label_is_wrong_in_its_class() -> None:
    pair = LabelPair(truth="b", prediction=None)
    failed = Score(name="label", evaluator="label", state="error", error=FAILED, labels=pair)
    rows = [*labelled(["a"], ["a"]), ScoredRow(id="x", scores=(failed,))]
    assert observe(MACRO_F1, rows).counted == {"failed": 1}
    assert observe(MACRO_F1, rows).entries["x"].pair.truth == "b"


def test_an_error_of_the_evaluator_stands_for_all_its_scores() -> None:
    error = ErrorInfo(type="ValueError", message="x")
    rows = [
        ScoredRow(id="1", scores=(Score(name="a", evaluator="value", value=1.0),)),
        ScoredRow(id="2", scores=(Score(name="value", evaluator="value", state="error", error=error),)),
        ScoredRow(id="3", scores=(Score(name="b", evaluator="value", value=1.0),)),
        ScoredRow(id="4", scores=(Score(name="a", evaluator="other", value=1.0),)),
        ScoredRow(id="5", scores=(Score(name="a", evaluator="value", value="good"),)),
    ]
    seen = observe(Metric(name="a", evaluator="value", score="a", kind="mean"), rows)
    assert list(seen.entries) == ["1"]
    assert seen.left_out == {"2": "error", "3": "missing", "4": "missing", "5": "category"}


def test_two_rows_of_one_id_are_refused() -> None:
    rows = rights("1")
    with pytest.raises(DataError, match="two rows have the id 'r0000'"):
        observe(RATE, [*rows, *rows])


def test_clusters() -> None:
    rows = rights("1111", ["doc", "doc", "other", "r0003"])
    seen = observe(RATE, rows)
    found = clusters(list(seen.entries.values()), list(seen.entries))
    assert found is not None
    assert found.tolist() == [0, 0, 1, 2]
    alone = observe(RATE, rights("11"))
    assert clusters(list(alone.entries.values()), list(alone.entries)) is None


def test_only_a_failure_of_the_row_is_upstream() -> None:
    assert Score(state="error", error=ErrorInfo(type=UPSTREAM, message="")).failed_upstream
    assert not Score(state="error", error=ErrorInfo(type="KeyError", message="")).failed_upstream
    assert not Score(value=True).failed_upstream
