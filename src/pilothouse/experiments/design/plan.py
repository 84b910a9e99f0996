"""What an experiment will take and what it can find, said before anything runs."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from pilothouse.evaluation.statistics import power
from pilothouse.experiments.design.preparation import Prepared, PreparedArm
from pilothouse.experiments.runs.types import Run

POWER = 0.8
DISAGREEMENTS = (0.05, 0.1, 0.2, 0.4)
"""Shares of rows on which two variants disagree: the unknown on which the power of a paired test rests."""

GOAL = 0.05


class Detectable(Struct, frozen=True, kw_only=True):
    """What can be found if two variants disagree on a share of the rows.

    Attributes:
        disagreement: The share.
        difference: Smallest true difference of two rates that is found 4 times out of 5; None when even the largest
            that the share allows is not.
        rows_for_goal: Rows with which a difference of `GOAL` would be found; None when the share is smaller than it.
    """

    disagreement: float
    difference: float | None
    rows_for_goal: int | None


class PlannedArm(Struct, frozen=True, kw_only=True):
    """One arm: its name, its choices, rows done before, and model calls a row."""

    name: str
    choices: dict[str, str]
    done: int
    calls_per_row: int


class ExperimentPlan(Struct, frozen=True, kw_only=True):
    """An experiment before it runs.

    Attributes:
        name: The experiment's name.
        baseline: Name of the baseline.
        arms: In the order they run.
        rows: Rows of the data that are used.
        repeats: Times each is run.
        lines: Rows to be answered over all arms, repeats included.
        done: Of them, those that an earlier run answered.
        calls: Model calls at most: rows not done, times the model nodes of their flow.
        alpha: Chance of a false difference over the family.
        comparisons: Size of the family.
        detectable: What can be found.
    """

    name: str
    baseline: str
    arms: tuple[PlannedArm, ...]
    rows: int
    repeats: int
    lines: int
    done: int
    calls: int
    alpha: float
    comparisons: int
    detectable: tuple[Detectable, ...]


def plan_of(prepared: Prepared, earlier: Callable[[PreparedArm], Run | None]) -> ExperimentPlan:
    """Return the plan of a checked experiment; ``earlier`` finds the run that holds rows of an arm already."""
    experiment = prepared.experiment
    lines = prepared.rows * experiment.repeats
    arms: list[PlannedArm] = []
    for arm in prepared.arms:
        run = earlier(arm)
        calls = sum(node.type in {"llm", "custom_llm"} and not node.aggregation for node in arm.flow.nodes)
        done = run.counts.completed if run is not None else 0
        arms.append(PlannedArm(name=arm.variant.name, choices=arm.variant.choices, done=done, calls_per_row=calls))
    comparisons = max(len(arms) - 1, 0)
    # Holm's first step is the strictest: what passes it passes all.
    strict = experiment.alpha / max(comparisons, 1)
    return ExperimentPlan(
        name=experiment.name,
        baseline=experiment.baseline,
        arms=tuple(arms),
        rows=prepared.rows,
        repeats=experiment.repeats,
        lines=lines * len(arms),
        done=sum(arm.done for arm in arms),
        calls=sum((lines - arm.done) * arm.calls_per_row for arm in arms),
        alpha=experiment.alpha,
        comparisons=comparisons,
        # Repeats of a row are not independent: the rows of the data are what is counted.
        detectable=tuple(_detectable(prepared.rows, share, strict) for share in DISAGREEMENTS) if comparisons else (),
    )


def _detectable(rows: int, share: float, alpha: float) -> Detectable:
    found = power.detectable_rate_difference(rows, share, alpha, POWER)
    needed = power.required_pairs(GOAL, share, alpha, POWER) if share >= GOAL else None
    possible = found if found is not None and found <= share else None
    return Detectable(disagreement=share, difference=possible, rows_for_goal=needed)
