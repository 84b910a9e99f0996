"""The page of differences tells every one that a case explains; the comparison notices what nobody explains."""

from __future__ import annotations

from typing import Any

import pytest

from .case import Differs, PromptFlow, Step, Try, load_all
from .differential import PAGE, Compared, complaints, differences
from .observed import Failure, Line, Observed


def test_the_page_tells_what_the_cases_say() -> None:
    text = PAGE.read_text(encoding="utf-8")
    untold = []
    for case in load_all():
        for number, step in enumerate(case.steps, 1):
            said = case.theirs(step)
            why = said.skip or (said.differs.why if said.differs and step.xfail is None else None)
            if step.cli is None and why and not (f"[{case.id}, step {number}]" in text and why in text):
                untold.append(f"{case.id}, step {number}")
    assert untold == [], "make conformance-diff PROMPTFLOW_PYTHON=..."


def test_every_difference_on_the_page_is_explained() -> None:
    assert "not explained" not in PAGE.read_text(encoding="utf-8")


def seen(outputs: Any = None, **changes: Any) -> Observed:
    return Observed(lines=[Line(outputs=outputs, **changes)])


@pytest.mark.parametrize(
    ("theirs", "ours", "aspects"),
    [
        (seen({"x": 1}), seen({"x": 1}), []),
        (seen({"x": 1}), seen({"x": 2}), ["outputs"]),
        (seen({"x": 1}, bypassed=["a"]), seen({"x": 1}), ["bypassed"]),
        (Observed(error=Failure(message="a")), Observed(error=Failure(message="b")), []),
        (Observed(error=Failure(message="a")), seen({"x": 1}), ["runs"]),
        (seen({}, status="failed", error=Failure()), seen({"x": 1}), ["status of lines", "outputs"]),
        (seen({}, status="failed", error=Failure()), Observed(error=Failure(message="refused at load")), []),
    ],
)
def test_differences(theirs: Observed, ours: Observed, aspects: list[str]) -> None:
    assert [item.aspect for item in differences(ours, theirs, is_run=False)] == aspects


def test_an_unexplained_difference_and_an_idle_explanation_are_noticed() -> None:
    case = load_all()[0]
    plain = Step(test=Try(), promptflow="same")
    explained = Step(test=Try(), promptflow=PromptFlow(differs=Differs(why="because")))

    def compared(step: Step, ours: Observed, theirs: Observed) -> Compared:
        return Compared(case, 1, step, ours, theirs, differences(ours, theirs, is_run=False))

    one, two = seen({"x": 1}), seen({"x": 2})
    assert complaints([compared(plain, one, one), compared(explained, one, two)]) == []
    (unexplained,) = complaints([compared(plain, one, two)])
    assert "nobody says why" in unexplained
    (idle,) = complaints([compared(explained, one, one)])
    assert "does not differ" in idle
