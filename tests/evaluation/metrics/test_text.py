from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from pilothouse.core.errors import DataError
from pilothouse.evaluation.metrics.log_loss import negative_log_likelihood
from pilothouse.evaluation.metrics.text import best_token_f1, exact_match, normalise, token_f1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Eiffel Tower.", "eiffel tower"),
        ("  a  B\tan\nC ", "b c"),
        ("theatre, another", "theatre another"),
        ("it's", "its"),
        ("...", ""),
        ("Ünïcode – dash", "ünïcode – dash"),
    ],
)
def test_normalisation_is_that_of_squad(text: str, expected: str) -> None:
    assert normalise(text) == expected


def test_exact_match() -> None:
    assert exact_match("The answer!", ["answer"])
    assert exact_match("b", ["a", "b"])
    assert not exact_match("answers", ["answer"])
    assert not exact_match("Answer", ["answer"], strict=True)
    assert exact_match("answer", ["answer"], strict=True)
    assert not exact_match("x", [])


def test_token_f1() -> None:
    # Two of three predicted tokens are among the four wanted: P = 2/3, R = 2/4, F1 = 4/7.
    assert token_f1("red green blue", "green red small box") == pytest.approx(4 / 7)
    assert token_f1("yes yes yes", "yes") == pytest.approx(0.5)  # a repeated token counts once a time it is wanted
    assert token_f1("", "the") == 1.0
    assert token_f1("", "word") == 0.0
    assert best_token_f1("b c", ["a", "b"]) == pytest.approx(2 / 3)
    assert best_token_f1("b", []) == 0.0


@given(st.text(), st.text())
def test_token_f1_is_symmetric_and_bounded(one: str, other: str) -> None:
    assert token_f1(one, other) == token_f1(other, one)
    assert 0.0 <= token_f1(one, other) <= 1.0
    assert token_f1(one, one) == 1.0


@given(st.lists(st.lists(st.floats(0.0, 1.0), min_size=3, max_size=3).filter(lambda p: sum(p) > 0.1), min_size=1))
def test_log_loss_is_that_of_scikit_learn(raw: list[list[float]]) -> None:
    labels = ["a", "b", "c"]
    chances = [[value / sum(row) for value in row] for row in raw]
    truth = [labels[i % 3] for i in range(len(raw))]
    ours = [
        negative_log_likelihood(dict(zip(labels, row, strict=True)), true)
        for row, true in zip(chances, truth, strict=True)
    ]
    assert np.mean(ours) == pytest.approx(log_loss(truth, np.array(chances), labels=labels), abs=1e-9)


def test_log_loss_of_a_certain_error_is_finite() -> None:
    assert negative_log_likelihood({"a": 1.0, "b": 0.0}, "b") == pytest.approx(36.04, abs=0.01)
    assert negative_log_likelihood({"a": 1.0, "b": 0.0}, "a") == pytest.approx(0.0, abs=1e-15)
    assert negative_log_likelihood({"a": 0.33, "b": 0.33, "c": 0.33}, "a") == pytest.approx(math.log(3))


@pytest.mark.parametrize("chances", [{"a": 0.5}, {"a": 1.5, "b": -0.5}, {"a": math.nan, "b": 1.0}, {"b": 1.0}, {}])
def test_no_probabilities_are_refused(chances: dict[str, float]) -> None:
    with pytest.raises(DataError):
        negative_log_likelihood(chances, "a")
