"""Two runs of one suite side by side: every measure as rows that pair, each with its template.

A share pairs prompt by prompt, the spread of a group of answers group by group. A difference between two sides
pairs by its own pairs: what is compared is by how much each of them is treated unequally, so that a bias that turned
around is no improvement.
"""

from __future__ import annotations

from collections.abc import Sequence

from pilothouse.evaluation.suites.checks import EVALUATOR
from pilothouse.evaluation.suites.figures import paired_rows, rows_of, spread_rows, values_of
from pilothouse.evaluation.suites.types import Answered, Measure, Suite
from pilothouse.evaluation.types import Metric, Score, ScoredRow


def contrast_rows(suite: Suite, answered: Sequence[Answered]) -> tuple[ScoredRow, ...]:
    """Return the rows of all measures; each has one score, called as its measure."""
    return tuple(
        ScoredRow(
            id=f"{measure.name}: {id_}",
            cluster=cluster,
            scores=(Score(name=measure.name, evaluator=EVALUATOR, value=value),),
        )
        for measure in suite.measures
        for id_, cluster, value in _values(measure, answered)
    )


def contrast_metric(measure: Measure, *sides: Sequence[ScoredRow]) -> Metric:
    """Return what compares a measure between two runs; less of it is better."""
    values = [score.value for rows in sides for row in rows for score in row.scores if score.name == measure.name]
    is_rate = measure.kind == "rate" and all(isinstance(value, bool) for value in values)
    return Metric(
        name=measure.name,
        evaluator=EVALUATOR,
        score=measure.name,
        kind="rate" if is_rate else "mean",
        better="lower",
        bounds=(0.0, 1.0) if is_rate or measure.kind == "spread" else None,
    )


def _values(measure: Measure, answered: Sequence[Answered]) -> list[tuple[str, str | None, bool | float]]:
    if measure.kind == "paired":
        first, second = paired_rows(measure.sides, answered)
        before = {row.id: value for row in first for value in values_of(row, measure.score)}
        gaps = [
            (row, float(value) - float(before[row.id]))
            for row in second
            for value in values_of(row, measure.score)
            if row.id in before
        ]
        return [(row.id, row.cluster, abs(gap) if measure.two_sided else gap) for row, gap in gaps]
    rows = spread_rows(measure, answered) if measure.kind == "spread" else rows_of(measure, answered)
    return [(row.id, row.cluster, value) for row in rows for value in values_of(row, measure.score)]
