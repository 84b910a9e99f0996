"""What evaluators say of themselves: their figures, their versions, and what people made of a judge's verdicts."""

from __future__ import annotations

from collections.abc import Sequence

from pilothouse.evaluation.judges.opinion import ModelJudge
from pilothouse.evaluation.service import EvaluationService
from pilothouse.experiments.analysis.compilation import Declared
from pilothouse.experiments.scoring import Judge


def declared_by(judges: Sequence[Judge], evaluation: EvaluationService) -> list[Declared]:
    """Return what evaluators say of their own figures."""
    return [
        Declared(
            name=judge.evaluator.name,
            metrics=judge.evaluator.metrics,
            better=judge.evaluator.better,
            is_judge=isinstance(judge.evaluator, ModelJudge),
            calibration=evaluation.calibration(judge.evaluator),
        )
        for judge in judges
    ]


def versions_of(judges: Sequence[Judge]) -> list[tuple[str, str]]:
    """Return names and versions of evaluators."""
    return [(judge.evaluator.name, judge.evaluator.version) for judge in judges]
