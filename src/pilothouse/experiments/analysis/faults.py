"""Evaluators that failed on rows: a comparison must not be read without knowing it."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from pilothouse.evaluation.types import ScoredRow
from pilothouse.experiments.analysis import numbers
from pilothouse.flows.results import ErrorInfo


class Fault(Struct, frozen=True, kw_only=True):
    """What one evaluator could not judge in one arm.

    Attributes:
        evaluator: Its name.
        variant: The arm.
        rows: Rows that it failed on; rows that had no answer to judge are not among them.
        row: Id of the first of them.
        error: Why it failed there.
    """

    evaluator: str
    variant: str
    rows: int
    row: str
    error: ErrorInfo

    def __str__(self) -> str:
        """Return the fault as a sentence."""
        reason = next(iter(self.error.message.splitlines()), "")
        return (
            f"The evaluator {self.evaluator} failed on {numbers.rows(self.rows)} of {self.variant}, "
            f"first on row {self.row}: {self.error.type}: {reason}"
        )


def faults_of(variant: str, scored: Iterable[ScoredRow]) -> list[Fault]:
    """Return the faults of each evaluator that failed in one arm, in the order met."""
    met: dict[str, list[tuple[str, ErrorInfo]]] = {}
    for row in scored:
        errors = {
            score.evaluator: score.error
            for score in row.scores
            if score.state == "error" and score.error is not None and not score.failed_upstream
        }
        for evaluator, error in errors.items():
            met.setdefault(evaluator, []).append((row.id, error))
    return [
        Fault(evaluator=evaluator, variant=variant, rows=len(found), row=found[0][0], error=found[0][1])
        for evaluator, found in met.items()
    ]
