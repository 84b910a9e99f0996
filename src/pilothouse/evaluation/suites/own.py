"""Scores of an evaluator of the user's own over the answers of a suite."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from pilothouse.evaluation.aggregate import estimate
from pilothouse.evaluation.compare import compare, correct
from pilothouse.evaluation.figures import metrics_of
from pilothouse.evaluation.suites.figures import paired_rows
from pilothouse.evaluation.suites.types import Answered, Figure, Suite
from pilothouse.evaluation.types import Comparison, Metric, Procedure, ScoredRow


def own_figures(
    suite: Suite, answered: Sequence[Answered], evaluator: str, procedure: Procedure | None = None
) -> tuple[Figure, ...]:
    """Return the figures of an own evaluator; of a suite with axes the differences between their sides.

    A share or a mean has no limit, and no outcome: nobody said what is right. A difference fails when it is
    significant, corrected by Holm over all that are tested here.

    Args:
        suite: The suite.
        answered: Its rows with the evaluator's scores.
        evaluator: The evaluator's name.
        procedure: How intervals are made.
    """
    how = procedure or Procedure()
    rows = [ScoredRow(id=item.id, scores=item.scores, cluster=item.prompt.cluster) for item in answered]
    metrics = [structs.replace(m, worst=None) for m in metrics_of(rows) if m.evaluator == evaluator]
    if not suite.axes:
        found = [estimate(metric, rows, how) for metric in metrics]
        return tuple(
            Figure(name=f"{evaluator}: {item.name}", estimate=item, failures=0, limit=None, note=item.note)
            for item in found
        )
    drafts = [_compared(metric, sides, answered, how) for metric in metrics for sides in suite.axes]
    tested = iter(correct([item for item in drafts if item.p_value is not None], "holm"))
    return tuple(_difference(evaluator, next(tested) if item.p_value is not None else item) for item in drafts)


def _compared(metric: Metric, sides: tuple[str, str], answered: Sequence[Answered], how: Procedure) -> Comparison:
    first, second = paired_rows(sides, answered)
    return compare(metric, first, second, how, names=sides)


def _difference(evaluator: str, found: Comparison) -> Figure:
    axis = found.baseline.partition(".")[0]
    return Figure(
        name=f"{evaluator}: {found.metric}, {axis}",
        estimate=found.difference,
        failures=0,
        limit=None,
        p_value=found.p_adjusted,
        outcome=None if found.verdict == "inconclusive" else "fail",
        note="no significant difference" if found.verdict == "inconclusive" else None,
    )
