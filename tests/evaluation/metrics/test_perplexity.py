"""Cross-entropy and perplexity of tokens, against NumPy over all tokens at once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import log_loss

from pilothouse.core.errors import DataError
from pilothouse.evaluation.aggregate import estimates
from pilothouse.evaluation.evaluators.builtin.likelihood import Perplexity
from pilothouse.evaluation.metrics.perplexity import token_logprobs
from pilothouse.evaluation.types import ScoredRow

random = np.random.default_rng(5)
ROWS = [random.dirichlet(np.full(7, 0.4), size=int(random.integers(1, 40))) for _ in range(320)]
CHOSEN = [[int(random.choice(7, p=row)) for row in rows] for rows in ROWS]
TOLD = [
    [math.log(max(row[at], 1e-300)) for row, at in zip(rows, places, strict=True)]
    for rows, places in zip(ROWS, CHOSEN, strict=True)
]


def figures(told: list[Any]) -> dict[str, Any]:
    judge = Perplexity()
    rows = [ScoredRow(id=str(n), scores=tuple(judge(item))) for n, item in enumerate(told)]
    return {item.name: item for item in estimates(judge.metrics, rows)}


def test_figures_are_those_of_all_tokens_together() -> None:
    found = figures(TOLD)
    tokens = np.concatenate([np.array(row) for row in TOLD])
    assert found["cross_entropy"].value == pytest.approx(-tokens.mean(), abs=1e-9)
    assert found["bits_per_token"].value == pytest.approx(-tokens.mean() / np.log(2), abs=1e-9)
    assert found["perplexity"].value == pytest.approx(np.exp(-tokens.mean()), abs=1e-9)
    assert found["perplexity"].interval.low < found["perplexity"].value < found["perplexity"].interval.high
    assert found["perplexity"].n == 320
    # Not the mean of the rows: those would weigh short rows as much as long ones.
    rows = np.mean([np.exp(-np.mean(row)) for row in TOLD])
    assert abs(found["perplexity"].value - rows) > 0.01


def test_cross_entropy_is_sklearns_log_loss() -> None:
    chances = np.concatenate(ROWS)
    places = [place for row in CHOSEN for place in row]
    assert figures(TOLD)["cross_entropy"].value == pytest.approx(log_loss(places, chances, labels=range(7)), abs=1e-9)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ([-1, -0.5], [-1.0, -0.5]),
        ({"content": [{"token": "a", "logprob": -0.25}]}, [-0.25]),
        ({"tokens": ["a", "b"], "token_logprobs": [None, -2.0]}, [None, -2.0]),
        ([{"logprob": -9999.0}, {"logprob": 0.00001}], [None, 0.0]),
        ([], []),
    ],
)
def test_forms(told: Any, expected: list[float | None]) -> None:
    assert token_logprobs(told) == expected


@pytest.mark.parametrize(
    "told", [None, "-1", 3, [0.5], ["x"], [True], [math.nan], [{"token": 1, "logprob": "x"}], {"a": 1}]
)
def test_what_is_no_log_probability_is_refused(told: Any) -> None:
    with pytest.raises(DataError):
        token_logprobs(told)


def test_a_row_without_a_probability_abstains_and_says_so() -> None:
    scores = Perplexity()({"token_logprobs": [None]})
    assert {score.state for score in scores} == {"abstained"}
    assert scores[0].evidence == {"tokens": 0, "without_probability": 1}
    huge = {score.name: score for score in Perplexity()([-5000.0])}
    assert math.isfinite(huge["perplexity"].value)  # type: ignore[arg-type]
