from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pilothouse.core.errors import ConfigError
from pilothouse.evaluation.evaluators.builtin import basics as builtin
from pilothouse.evaluation.evaluators.calls import CallableEvaluator
from pilothouse.evaluation.types import LabelPair, Score


def judge(target: Any, **arguments: Any) -> Score:
    (score,) = asyncio.run(CallableEvaluator("mine", target, "v1").judge(arguments, 0)).scores
    return score


@pytest.mark.parametrize(
    ("prediction", "truth", "value"),
    [
        ("The Cat.", "cat", True),
        ("dog", "cat", False),
        ("b", ["a", "b"], True),
        (None, "cat", False),
        ("", "cat", False),
        (3, 3, True),
        (True, "true", True),
        ({"label": "cat"}, "cat", False),
    ],
)
def test_exact_match(prediction: Any, truth: Any, value: bool) -> None:
    assert judge(builtin.ExactMatch(), prediction=prediction, truth=truth).value is value


def test_strict_exact_match() -> None:
    assert judge(builtin.ExactMatch(strict=True), prediction="Cat", truth="cat").value is False


@pytest.mark.parametrize("truth", [None, "", " ", [], ["a", None], {"a": 1}, 0.5])
def test_a_missing_reference_is_an_error_of_the_row(truth: Any) -> None:
    assert judge(builtin.ExactMatch(), prediction="a", truth=truth).state == "error"
    assert judge(builtin.token_f1, prediction="a", truth=truth).state == "error"


def test_classification() -> None:
    score = judge(builtin.Classification(), prediction=" spam ", truth="spam")
    assert (score.state, score.value) == ("ok", True)
    assert score.labels == LabelPair(truth="spam", prediction="spam")
    assert judge(builtin.Classification(), prediction="Spam", truth="spam").value is False
    assert judge(builtin.Classification(ignore_case=True), prediction="SPAM", truth="Spam").value is True


@pytest.mark.parametrize("prediction", [None, "", "  ", "I think it is spam", {"label": "spam"}, 0.5, ["spam"]])
def test_an_answer_that_is_no_label_is_unparsable(prediction: Any) -> None:
    score = judge(builtin.Classification(labels=["ham", "spam"]), prediction=prediction, truth="spam")
    assert (score.state, score.value) == ("unparsable", None)
    assert score.labels == LabelPair(truth="spam", prediction=None)
    assert score.evidence == {"answer": prediction}


@pytest.mark.parametrize("truth", [None, "", "eggs"])
def test_a_truth_that_is_no_label_is_an_error(truth: Any) -> None:
    score = judge(builtin.Classification(labels=["ham", "spam"]), prediction="spam", truth=truth)
    assert (score.state, score.labels) == ("error", None)


def test_a_failed_row_keeps_its_true_label() -> None:
    evaluator = CallableEvaluator("mine", builtin.Classification(), "v1")
    assert evaluator.unanswered({"truth": "spam"}).labels == LabelPair(truth="spam", prediction=None)
    assert evaluator.unanswered({}).labels is None


@pytest.mark.parametrize("labels", ["spam", [""], [None], [1.5]])
def test_bad_label_sets_are_refused(labels: Any) -> None:
    with pytest.raises(ConfigError, match="labels"):
        builtin.Classification(labels=labels)


def test_label_metrics_carry_the_label_set() -> None:
    metrics = builtin.Classification(labels=["Ham", "Spam"], ignore_case=True).metrics
    assert {metric.labels for metric in metrics} == {("ham", "spam")}


def test_token_f1() -> None:
    assert judge(builtin.token_f1, prediction="a red cat", truth="red dog").value == pytest.approx(0.5)
    assert judge(builtin.token_f1, prediction=None, truth="red dog").value == 0.0


def test_log_loss() -> None:
    assert judge(builtin.log_loss, probabilities={"a": 0.25, "b": 0.75}, truth="a").value == pytest.approx(
        1.3863, abs=1e-4
    )
    for chances, truth in ((None, "a"), ({"a": 1.0}, None), ({"a": "x", "b": 0.5}, "a"), ({"b": 1.0}, "a")):
        assert judge(builtin.log_loss, probabilities=chances, truth=truth).state == "error"


def test_what_was_not_measured_is_no_number() -> None:
    assert judge(builtin.latency, duration=None).state == "abstained"
    assert judge(builtin.latency, duration=1.5).value == 1.5
    assert judge(builtin.tokens, input_tokens=3, output_tokens=None).state == "abstained"
    assert judge(builtin.tokens, input_tokens=3, output_tokens=4).value == 7.0


def test_every_built_in_is_light() -> None:
    for target in (
        builtin.ExactMatch(),
        builtin.Classification(),
        builtin.token_f1,
        builtin.log_loss,
        builtin.latency,
        builtin.tokens,
    ):
        assert target.inline  # type: ignore[union-attr]
        assert target.metrics  # type: ignore[union-attr]
