from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.evaluation.evaluators.returned import plain, scores_of
from pilothouse.evaluation.types import LabelPair, Score


@pytest.mark.parametrize(
    ("returned", "value"),
    [
        (True, True),
        (False, False),
        (3, 3.0),
        (0.25, 0.25),
        (Decimal("0.5"), 0.5),
        (Fraction(1, 4), 0.25),
        (np.float64(0.5), 0.5),
        (np.int64(2), 2.0),
        (np.bool_(True), True),
        (np.array(1.5), 1.5),
        (LabelPair(truth="a", prediction="b"), False),
    ],
)
def test_measures(returned: Any, value: object) -> None:
    (score,) = scores_of(returned, "mine")
    assert (score.name, score.state, score.value) == ("mine", "ok", value)
    assert type(score.value) is type(value)


@pytest.mark.parametrize(
    "returned", [math.nan, math.inf, -math.inf, np.float64("nan"), Decimal("NaN"), np.float32("inf")]
)
def test_what_is_not_finite_is_an_error(returned: Any) -> None:
    (score,) = scores_of(returned, "mine")
    assert (score.state, score.value) == ("error", None)
    assert score.error is not None
    assert score.error.type == "NotFinite"


def test_none_is_an_abstention() -> None:
    (score,) = scores_of(None, "mine")
    assert (score.state, score.value) == ("abstained", None)


@pytest.mark.parametrize(
    "returned",
    ["yes", "0.7", "", [1, 2], [], object(), {}, {"why": "text"}, {1: True}, b"1", np.array([1.0]), 1 + 2j, {1.0}],
)
def test_what_is_no_measure_is_an_error_with_evidence(returned: Any) -> None:
    (score,) = scores_of(returned, "mine")
    assert (score.state, score.value) == ("error", None)
    assert score.error is not None
    assert score.error.type == "EvaluatorReturn"
    assert score.evidence["returned"] == repr(returned)[:200]


def test_a_dict_gives_a_score_for_each_measure_and_the_rest_is_evidence() -> None:
    first, second, third = scores_of(
        {"fluent": True, "length": 12, "tone": None, "why": "short", "cites": ["a"]}, "mine"
    )
    assert [(s.name, s.state, s.value) for s in (first, second, third)] == [
        ("fluent", "ok", True), ("length", "ok", 12.0), ("tone", "abstained", None),
    ]  # fmt: skip
    assert first.evidence == second.evidence == {"why": "short", "cites": ["a"]}


def test_a_bad_number_in_a_dict_spoils_only_itself() -> None:
    good, bad = scores_of({"good": 1, "bad": math.nan}, "mine")
    assert (good.state, bad.state) == ("ok", "error")


def test_a_flow_s_texts_are_categories() -> None:
    (grade,) = scores_of({"grade": "Correct"}, "mine", texts_are_categories=True)
    assert (grade.name, grade.state, grade.value) == ("grade", "ok", "Correct")
    (score,) = scores_of({"score": 4, "grade": "Correct"}, "mine", texts_are_categories=True)
    assert (score.value, score.evidence) == (4.0, {"grade": "Correct"})


def test_a_score_is_taken_if_it_is_one() -> None:
    good = Score(value=0.5, evidence={"span": (1, 2)})
    assert scores_of(good, "mine") == (Score(name="mine", value=0.5, evidence={"span": [1, 2]}),)
    assert scores_of(Score(value="polite"), "mine")[0].value == "polite"
    labels = LabelPair(truth="a", prediction="a")
    assert scores_of(Score(labels=labels), "mine")[0].value is True
    unsaid = scores_of(Score(state="error"), "mine")[0]
    assert unsaid.error is not None
    assert scores_of([Score(name="a", value=1.0), Score(name="b", state="abstained")], "mine")[1].name == "b"


@pytest.mark.parametrize(
    "score",
    [Score(), Score(value=math.nan), Score(value=""), Score(state="abstained", value=1.0), Score(value=[1])],  # type: ignore[arg-type]
)
def test_a_score_that_contradicts_itself_is_an_error(score: Score) -> None:
    (found,) = scores_of(score, "mine")
    assert (found.state, found.value) == ("error", None)


def test_two_scores_of_one_name_are_refused() -> None:
    (found,) = scores_of([Score(name="a", value=1.0), Score(name="a", value=0.0)], "mine")
    assert found.state == "error"
    assert found.error is not None
    assert "two scores named 'a'" in found.error.message


class Odd:
    def __repr__(self) -> str:
        return "<odd>"


def test_evidence_is_always_json() -> None:
    loop: list[Any] = []
    loop.append(loop)
    found = plain({"x": math.nan, "y": (Odd(), {1: {2}}), "z": b"\xff", "s": Score(value=1.0)})
    assert found["x"] == "nan"
    assert found["y"][0] == "<odd>"
    msgspec.json.encode(found)
    assert isinstance(plain(loop), str)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(object()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3),
)


@given(ANYTHING, st.booleans())
def test_nothing_becomes_a_number_that_was_not_one(returned: Any, flow: bool) -> None:
    scores = scores_of(returned, "mine", texts_are_categories=flow)
    assert scores
    for score in scores:
        assert (score.value is not None) == (score.state == "ok")
        assert (score.error is not None) == (score.state == "error")
        if isinstance(score.value, float):
            assert math.isfinite(score.value)
        msgspec.json.encode(score)
