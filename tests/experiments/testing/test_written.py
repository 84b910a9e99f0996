"""What a decorated test means, and which ones mean nothing."""

from __future__ import annotations

from typing import Any

import pytest

import pilothouse as ph
from pilothouse.core.errors import ConfigError
from pilothouse.evaluation.evaluators.evaluator import Parameters
from pilothouse.experiments.testing.written import ANSWER, check, mapped, name_of, written

GATE = {"failed_rows": 1}
FULL = {"data": "x.csv", "evaluators": ["exact_match"], "gate": GATE}


def decorated(function: Any, **asked: Any) -> Any:
    return ph.evaluate(**asked)(function).pilothouse_evaluation


def of_rows(row: Any) -> None: ...


def of_result(result: Any) -> None: ...


@pytest.mark.parametrize(
    ("function", "asked", "said"),
    [
        (of_rows, {}, "needs data="),
        (of_rows, {"data": "x.csv"}, "needs evaluators="),
        (of_rows, {"data": "x.csv", "evaluators": ["exact_match"]}, "no gate, so it would pass"),
        (of_rows, {"experiment": "x.yaml"}, "is itself what is tested"),
        (of_result, {"experiment": "x.yaml", "gate": GATE}, "'gate' stands in the experiment file"),
        (of_result, {"data": "x.csv"}, "nothing says what is tested"),
        (of_result, {"dat": "x.csv"}, "did you mean 'data'?"),
    ],
)
def test_what_cannot_be_meant_is_refused(function: Any, asked: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(decorated(function, **asked), "here:1")
    assert said in str(caught.value)
    assert caught.value.where == "here:1"


def test_a_name_is_made_of_the_tests_own() -> None:
    evaluation = decorated(of_rows, **FULL)
    assert name_of(evaluation, "tests/test_qa.py::TestX::test_y[a/b-1]") == "tests-test_qa.TestX-test_y-a-b-1"
    long = [name_of(evaluation, f"{'deep/' * 40}test_qa.py::test[{n}]") for n in range(2)]
    assert len(set(long)) == 2
    assert max(map(len, long)) <= 100
    assert name_of(decorated(of_rows, **FULL, name="mine"), "x") == "mine"


def test_a_row_that_raises_fails_the_test_unless_the_gate_says_otherwise() -> None:
    from pathlib import Path

    said = written(decorated(of_rows, **{**FULL, "gate": {"metrics": {}}}), "n", Path("t.py"), str)
    assert said["gate"]["failed_rows"] == 0
    assert written(decorated(of_rows, **FULL), "n", Path("t.py"), str)["gate"]["failed_rows"] == 1


def test_an_evaluator_without_a_place_of_its_own_is_refused() -> None:
    from pathlib import Path

    with pytest.raises(ConfigError, match="has no place of its own"):
        written(decorated(of_rows, **{**FULL, "evaluators": [lambda prediction: True]}), "n", Path("t.py"), str)


def test_arguments_of_evaluators_are_found_by_name() -> None:
    takes = Parameters(required=("prediction", "truth"), optional=("context",))
    assert mapped(takes, {}, ["truth", "prediction"]) == {"truth": "${data.truth}", "prediction": ANSWER}
    given = {"truth": "${data.label}", "other": 1}
    assert mapped(takes, given, ["context"]) == {
        "context": "${data.context}",
        "prediction": ANSWER,
        "truth": "${data.label}",
    }


def test_a_decorated_method_of_a_test_case_says_what_it_needs() -> None:
    with pytest.raises(TypeError, match="no TestCase"):
        ph.evaluate(**FULL)(of_rows)()  # type: ignore[arg-type]
