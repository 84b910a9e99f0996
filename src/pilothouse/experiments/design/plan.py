"""What an experiment will take and what it can find, said before anything runs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol, runtime_checkable

from msgspec import Struct, field

from pilothouse.core.clock import Clock
from pilothouse.core.errors import Conflict
from pilothouse.evaluation.figures import metrics_of
from pilothouse.evaluation.sequential.types import Unit
from pilothouse.evaluation.types import ScoredRow
from pilothouse.experiments.analysis.compilation import merge
from pilothouse.experiments.design.effects import Detectable, DetectableMean, detectable_means, detectable_rates
from pilothouse.experiments.design.estimates import MOST_ROWS, Cost, Estimator, History, Time
from pilothouse.experiments.design.preparation import Prepared, PreparedArm
from pilothouse.experiments.design.sharing import calls_left, model_nodes
from pilothouse.experiments.runs.engine.sampling import count_units, places_of
from pilothouse.experiments.runs.service import RunService
from pilothouse.experiments.runs.types import RowSample, Run
from pilothouse.experiments.scoring import Scorer
from pilothouse.models.service import ModelService

MOST_LISTED = 1000
"""Latest runs of the project among which those of the flow are looked for."""


@runtime_checkable
class AsksModels(Protocol):
    """An evaluator that says how many models it asks about a row."""

    calls_per_row: int


class PlannedArm(Struct, frozen=True, kw_only=True):
    """One arm: its name, choices and settings, lines done before, and model calls a line; None where code decides."""

    name: str
    choices: dict[str, str]
    settings: dict[str, Any] = field(default_factory=dict)
    done: int
    calls_per_row: int | None


class PlannedJudge(Struct, frozen=True, kw_only=True):
    """One evaluator: model calls a line, and how many are left at most; None where its code decides."""

    name: str
    calls_per_row: int | None
    calls: int | None


class PlannedLooks(Struct, frozen=True, kw_only=True):
    """When an experiment looks at its rows while it runs.

    Attributes:
        looks: Looks at most.
        unit: What it counts: ``row`` or ``cluster``.
        first: Units at the first look.
        every: Units between two looks.
        most: Units at the last look.
        lines: Rows to be answered at least, repeats included: every arm is decided at the first look.
        calls: Model calls at least; None where code decides.
    """

    looks: int
    unit: Unit
    first: int
    every: int
    most: int
    lines: int
    calls: int | None


class ExperimentPlan(Struct, frozen=True, kw_only=True):
    """An experiment before it runs.

    Attributes:
        name: The experiment's name.
        baseline: Name of the baseline.
        arms: In the order they run.
        judges: The evaluators.
        datasets: Names of the datasets, where there are several.
        rows: Rows of the data that are used.
        repeats: Times each is run.
        lines: Rows to be answered over all arms, repeats included.
        done: Of them, those that an earlier run answered.
        calls: Model calls at most: rows not done, times the model nodes of their flow.
        shared: Of them, those that an arm has in common with an earlier one: the node cache answers them.
        judge_calls: Model calls of evaluators at most, as far as they say.
        cost: US dollars.
        time: Seconds.
        alpha: Chance of a false difference over the family.
        comparisons: Size of the family.
        units: Independent rows behind what can be found: clusters where rows share something, else rows.
        cluster: The column that they share.
        detectable: What can be found of rates.
        detectable_means: What can be found of means.
        looks: When it looks while it runs; None where all rows are compared once. All else is then at most.
    """

    name: str
    baseline: str
    arms: tuple[PlannedArm, ...]
    judges: tuple[PlannedJudge, ...] = ()
    datasets: tuple[str, ...] = ()
    rows: int
    repeats: int
    lines: int
    done: int
    calls: int
    shared: int = 0
    judge_calls: int = 0
    cost: Cost = Cost()
    time: Time = Time()
    alpha: float
    comparisons: int
    units: int
    cluster: str | None = None
    detectable: tuple[Detectable, ...] = ()
    detectable_means: tuple[DetectableMean, ...] = ()
    looks: PlannedLooks | None = None


class ExperimentPlanner:
    """Makes plans.

    Args:
        runs: What earlier runs measured.
        earlier: Finds the run that holds rows of an arm already.
        scorer: Finds scores that were made before.
        models: Knows prices.
        clock: Whose prices count.
    """

    def __init__(
        self,
        runs: RunService,
        earlier: Callable[[PreparedArm], Run | None],
        scorer: Scorer,
        models: ModelService,
        clock: Clock,
    ) -> None:
        self._runs = runs
        self._earlier = earlier
        self._scorer = scorer
        self._models = models
        self._clock = clock

    def plan(self, prepared: Prepared, *, fresh: bool = False) -> ExperimentPlan:
        """Return the plan of a checked experiment; nothing is run and no model is called.

        Args:
            prepared: The experiment.
            fresh: Whether nothing is taken that was done before, and arms share nothing.
        """
        experiment = prepared.experiment
        lines = prepared.rows * experiment.repeats
        before = [self._earlier(arm) for arm in prepared.arms]
        done = [run.counts.completed if run is not None and not fresh else 0 for run in before]
        arms = tuple(_arm(arm, answered) for arm, answered in zip(prepared.arms, done, strict=True))
        judges = tuple(self._judges(prepared, [] if fresh else before, lines))
        left = [lines - arm.done for arm in arms]
        calls = sum(count * (arm.calls_per_row or 0) for arm, count in zip(arms, left, strict=True))
        distinct = calls_left(prepared.arms, done, lines, share=not fresh)
        is_known = all(arm.calls_per_row is not None for arm in arms)
        estimator = self._estimator(prepared)
        comparisons = max(len(arms) - 1, 0)
        # Holm's first step is the strictest: what passes it passes all.
        strict = experiment.alpha / max(comparisons, 1)
        looks = _looks(prepared, arms)
        units = _units(prepared) if looks is None else looks.most
        scores = self._scores(prepared, before) if comparisons else {}
        rows = (row for scored in scores.values() for row in scored)
        metrics = metrics_of(
            rows,
            {judge.evaluator.name: judge.evaluator.metrics for judge in prepared.judges},
            {judge.evaluator.name: judge.evaluator.better for judge in prepared.judges},
        )
        return ExperimentPlan(
            name=experiment.name,
            baseline=experiment.baseline,
            arms=arms,
            judges=judges,
            datasets=experiment.datasets,
            rows=prepared.rows,
            repeats=experiment.repeats,
            lines=lines * len(arms),
            done=sum(done),
            calls=calls,
            shared=max(calls - sum(item.lines for item in distinct), 0),
            judge_calls=sum(judge.calls or 0 for judge in judges),
            cost=estimator.cost(distinct) if is_known else Cost(unknown=("the calls of the flow's own code",)),
            time=estimator.time(prepared.arms, left),
            alpha=experiment.alpha,
            comparisons=comparisons,
            units=units,
            cluster=experiment.cluster,
            detectable=detectable_rates(units, strict) if comparisons else (),
            detectable_means=detectable_means(units, strict, metrics, scores, experiment.baseline)
            if comparisons
            else (),
            looks=looks,
        )

    def _judges(self, prepared: Prepared, before: Sequence[Run | None], lines: int) -> list[PlannedJudge]:
        found: list[PlannedJudge] = []
        for judge in prepared.judges:
            name, evaluator = judge.evaluator.name, judge.evaluator
            each = evaluator.calls_per_row if isinstance(evaluator, AsksModels) else None
            judged = 0
            for run in before:
                scores = self._stored(run, name)
                versions = {score.evaluator_version for row in scores for score in row.scores}
                judged += len(scores) if versions == {evaluator.version} else 0
            left = max(lines * len(prepared.arms) - judged, 0)
            found.append(PlannedJudge(name=name, calls_per_row=each, calls=None if each is None else each * left))
        return found

    def _scores(self, prepared: Prepared, before: Sequence[Run | None]) -> dict[str, Sequence[ScoredRow]]:
        """Return what all evaluators said of the arms that were run before."""
        found: dict[str, Sequence[ScoredRow]] = {}
        for arm, run in zip(prepared.arms, before, strict=True):
            if run is not None:
                names = [judge.evaluator.name for judge in prepared.judges]
                found[arm.variant.name] = merge([self._stored(run, name) for name in names])
        return found

    def _stored(self, run: Run | None, evaluator: str) -> Sequence[ScoredRow]:
        if run is not None:
            with suppress(Conflict):
                return self._scorer.stored(run, evaluator).rows
        return ()

    def _estimator(self, prepared: Prepared) -> Estimator:
        flow = prepared.arms[0].flow.name
        rows = list(itertools.islice(prepared.data, min(prepared.rows, MOST_ROWS)))
        return Estimator(
            self._models, History(flow, self._runs.list(limit=MOST_LISTED), self._runs.rows), rows, self._clock.now()
        )


def _arm(arm: PreparedArm, done: int) -> PlannedArm:
    nodes = model_nodes(arm.flow)
    return PlannedArm(
        name=arm.variant.name,
        choices=arm.variant.choices,
        settings=arm.variant.settings,
        done=done,
        calls_per_row=None if nodes is None else len(nodes),
    )


def _looks(prepared: Prepared, arms: Sequence[PlannedArm]) -> PlannedLooks | None:
    experiment, rule = prepared.experiment, prepared.experiment.sequential
    if rule is None:
        return None
    sizes = rule.sizes(count_units(prepared.data, experiment.cluster, experiment.limit))
    first = RowSample(size=sizes[0], seed=experiment.seed, cluster=experiment.cluster)
    lines = len(places_of(prepared.data, first, experiment.limit)) * experiment.repeats
    is_known = all(arm.calls_per_row is not None for arm in arms)
    return PlannedLooks(
        looks=len(sizes),
        unit="row" if experiment.cluster is None else "cluster",
        first=sizes[0],
        every=rule.look_every,
        most=sizes[-1],
        lines=lines * len(arms),
        calls=sum(max(lines - arm.done, 0) * (arm.calls_per_row or 0) for arm in arms) if is_known else None,
    )


def _units(prepared: Prepared) -> int:
    """Return the number of independent rows: repeats of a row are not, and rows of one cluster may not be."""
    column = prepared.experiment.cluster
    if column is None:
        return prepared.rows
    shared: set[str] = set()
    alone = 0
    for row in itertools.islice(prepared.data, prepared.rows):
        value = row.data.get(column)
        if value is None or value == "":
            alone += 1
        else:
            shared.add(str(value))
    return len(shared) + alone
