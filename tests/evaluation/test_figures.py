from __future__ import annotations

from pilothouse.evaluation.aggregate import estimate
from pilothouse.evaluation.figures import LABEL_STATISTICS, metrics_of
from pilothouse.evaluation.types import Metric, Score, ScoredRow

from .rows import BROKEN, FAILED, labelled, rights, scored


def test_labels_give_accuracy_and_kin() -> None:
    found = metrics_of(labelled(["a"], [None]))
    assert [metric.name for metric in found] == ["accuracy", *LABEL_STATISTICS]
    assert {metric.evaluator for metric in found} == {"label"}
    assert [metric.kind for metric in found] == ["rate", *["labels"] * 4]


def test_booleans_give_a_rate_and_numbers_a_mean() -> None:
    (rate,) = metrics_of(rights("10F"), better={"right": "lower"})
    assert (rate.name, rate.kind, rate.better, rate.worst) == ("right", "rate", "lower", 1.0)
    (mean,) = metrics_of(scored("value", [0.5, True, FAILED]))
    assert (mean.name, mean.kind, mean.worst) == ("value", "mean", None)


def test_categories_give_the_share_of_each() -> None:
    rows = scored("value", ["good", "bad", "good", "good"])
    found = {metric.name: estimate(metric, rows).value for metric in metrics_of(rows)}
    assert found == {"value=bad": 0.25, "value=good": 0.75}


def test_prose_gives_no_figure() -> None:
    assert metrics_of(scored("value", [f"an answer of its own, number {i}" for i in range(11)])) == ()


def test_several_scores_of_one_evaluator() -> None:
    scores = (Score(name="fluent", evaluator="judge", value=True), Score(name="length", evaluator="judge", value=12.0))
    found = metrics_of([ScoredRow(id="1", scores=scores)], better={"judge": {"length": "lower"}})
    assert [(metric.name, metric.score, metric.kind, metric.better) for metric in found] == [
        ("fluent", "fluent", "rate", "higher"),
        ("length", "length", "mean", "lower"),
    ]


def test_an_evaluator_that_never_succeeded_still_has_a_figure() -> None:
    (metric,) = metrics_of(scored("value", [BROKEN, BROKEN]))
    assert (metric.name, metric.kind) == ("value", "mean")


def test_errors_add_no_figure_beside_measured_ones() -> None:
    rows = [
        ScoredRow(id="1", scores=(Score(name="judge", evaluator="judge", state="error", error=BROKEN),)),
        ScoredRow(id="2", scores=(Score(name="fluent", evaluator="judge", value=True),)),
    ]
    assert [metric.name for metric in metrics_of(rows)] == ["fluent"]


def test_declared_metrics_stand_in_place() -> None:
    declared = (Metric(name="p90", kind="quantile", quantile=0.9, better="lower"),)
    (found,) = metrics_of(scored("value", [1.0]), {"value": declared})
    assert (found.name, found.evaluator, found.score, found.quantile) == ("p90", "value", "value", 0.9)


def test_names_that_clash_are_prefixed() -> None:
    rows = [
        ScoredRow(id="1", scores=tuple(Score(name="score", evaluator=name, value=1.0) for name in ("one", "two"))),
    ]
    assert [metric.name for metric in metrics_of(rows)] == ["one.score", "two.score"]
