"""Evaluators that failed: counted by row, apart from rows that had no answer."""

from __future__ import annotations

from pilothouse.evaluation.types import UPSTREAM, Score, ScoredRow
from pilothouse.experiments.analysis.faults import faults_of
from pilothouse.flows.results import ErrorInfo


def score(evaluator: str, kind: str | None, name: str = "s") -> Score:
    error = None if kind is None else ErrorInfo(type=kind, message=f"no {name}\nand more")
    return Score(name=name, state="ok" if kind is None else "error", value=1.0, evaluator=evaluator, error=error)


def test_a_row_counts_once_for_each_evaluator_that_failed_on_it() -> None:
    rows = [
        ScoredRow(id="a", scores=(score("one", UPSTREAM), score("two", None))),
        ScoredRow(id="b", scores=(score("one", "ValueError"), score("one", "ValueError", "t"), score("two", None))),
        ScoredRow(id="c", scores=(score("one", "KeyError"), score("two", "KeyError"))),
    ]
    one, two = faults_of("few", rows)
    assert (one.evaluator, one.rows, one.row) == ("one", 2, "b")
    assert str(two) == "The evaluator two failed on 1 row of few, first on row c: KeyError: no s"
