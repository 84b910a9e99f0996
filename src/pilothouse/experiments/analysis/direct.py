"""Runs compared directly, without an experiment file."""

from __future__ import annotations

from collections.abc import Sequence

from pilothouse.core.errors import Conflict, UserError
from pilothouse.experiments.runs.types import FINISHED, Run
from pilothouse.experiments.types import EvaluatorUse, Experiment, Variant


def experiment_of_runs(
    runs: Sequence[Run], uses: Sequence[EvaluatorUse], *, primary: str | None, seed: int
) -> Experiment:
    """Return the experiment that these runs would be the arms of; the first is the baseline."""
    first = runs[0]
    return Experiment(
        name=" against ".join((first.name, ", ".join(run.name for run in runs[1:]))) if runs[1:] else first.name,
        flow=first.spec.flow,
        data=first.data.source if first.data is not None else "",
        variants=tuple(Variant(name=run.name, choices=run.variants) for run in runs),
        baseline=first.name,
        evaluators=tuple(uses),
        primary=primary,
        seed=seed,
    )


def refuse_unlike(runs: Sequence[Run]) -> None:
    """Refuse runs whose rows cannot be compared one by one.

    Raises:
        UserError: a run is named twice.
        Conflict: a run has not ended, or the runs are over different data or repeats.
    """
    first = runs[0]
    for place, run in enumerate(runs):
        if any(run.id == other.id for other in runs[:place]):
            raise UserError(f"the run '{run.name}' is named twice", expected="different runs")
        if run.status not in FINISHED:
            raise Conflict(f"the run '{run.name}' has not ended yet", fix="wait until it has, then compare")
        ours, theirs = (item.data.digest if item.data is not None else "" for item in (first, run))
        if ours != theirs:
            raise Conflict(
                f"the runs '{first.name}' and '{run.name}' are over different data ({ours[:8]} and {theirs[:8]})",
                expected="runs over the same rows: only then are they compared row by row",
                fix="run one of them again over the other's data",
            )
        if run.repeat != first.repeat:
            raise Conflict(
                f"'{first.name}' ran every row {first.repeat} times, '{run.name}' {run.repeat} times",
                expected="the same number of repeats",
            )
