"""Everything that was recorded of an experiment, put together into its comparison."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from pilothouse.core.errors import NotFound, nearest_hint
from pilothouse.evaluation.aggregate import classification_report, estimates
from pilothouse.evaluation.calibration.correction import corrected_rate
from pilothouse.evaluation.calibration.types import Calibration
from pilothouse.evaluation.calibration.wording import words
from pilothouse.evaluation.columns import RowsById, ScoredRows
from pilothouse.evaluation.compare import compare_runs
from pilothouse.evaluation.figures import metrics_of
from pilothouse.evaluation.sequential.types import LooksReport
from pilothouse.evaluation.slices.types import Cut
from pilothouse.evaluation.types import Comparison, Direction, Estimate, Metric, Procedure, Score, ScoredRow
from pilothouse.experiments.analysis import numbers
from pilothouse.experiments.analysis.effects import effects_of
from pilothouse.experiments.analysis.faults import faults_of
from pilothouse.experiments.analysis.judgements import Judgements, disagreements
from pilothouse.experiments.analysis.looks import looks_notes, settled, verdict_of_looks
from pilothouse.experiments.analysis.measures import Measures, measure
from pilothouse.experiments.analysis.parts import items_of, slice_notes, slices_of
from pilothouse.experiments.analysis.recorded import Recorded
from pilothouse.experiments.analysis.verdict import best_arm, notes_of, outcome_of, verdict_of
from pilothouse.experiments.analysis.views import ArmRows, row_views
from pilothouse.experiments.comparison import Arm, Confusion, ExperimentComparison, PromptDiff, RowView
from pilothouse.experiments.runs.types import Run
from pilothouse.experiments.types import Experiment, Variant
from pilothouse.models.catalogue import ModelFacts
from pilothouse.models.catalogue import facts as model_facts


class ArmResult(Struct, frozen=True, kw_only=True):
    """What was recorded of one arm.

    Attributes:
        variant: The variant.
        recorded: Its run.
        scored: Its rows with all evaluators' scores, without their evidence.
        aggregates: What evaluators computed over all rows.
    """

    variant: Variant
    recorded: Recorded
    scored: Sequence[ScoredRow]
    aggregates: tuple[Estimate, ...] = ()

    @property
    def run(self) -> Run:
        """The run."""
        return self.recorded.run


class Declared(Struct, frozen=True, kw_only=True):
    """What an evaluator says of its own figures; a judge also, how far it was compared with people."""

    name: str
    metrics: tuple[Metric, ...] = ()
    better: Direction | dict[str, Direction] = "higher"
    is_judge: bool = False
    calibration: Calibration | None = None


class Frame(Struct, frozen=True, kw_only=True):
    """What surrounds a comparison and does not follow from the rows."""

    ref: str
    now: datetime
    prompts: tuple[PromptDiff, ...] = ()
    cuts: tuple[Cut, ...] = ()
    facts: dict[str, str]
    looks: LooksReport | None = None


def merge(scored: Sequence[Iterable[ScoredRow]]) -> ScoredRows:
    """Return the rows of several evaluators over one run as rows that hold all scores."""
    evaluators = [ScoredRows.of(rows) for rows in scored]
    if all(rows.is_alike(evaluators[0]) for rows in evaluators[1:]):
        return ScoredRows.beside(evaluators)
    scores: dict[str, list[Score]] = {}
    clusters: dict[str, str | None] = {}
    for rows in evaluators:
        for row in rows:
            scores.setdefault(row.id, []).extend(row.scores)
            clusters[row.id] = row.cluster
    return ScoredRows.of(ScoredRow(id=id_, scores=tuple(found), cluster=clusters[id_]) for id_, found in scores.items())


def compare_arms(
    experiment: Experiment, arms: Sequence[ArmResult], declared: Sequence[Declared], frame: Frame
) -> ExperimentComparison:
    """Return the comparison of all arms.

    Raises:
        NotFound: when no evaluator gives the primary metric.
        DataError: when the arms are not over the same rows.
    """
    metrics = metrics_for(experiment, arms, declared)
    primary = metrics[0]
    how = Procedure(
        level=1.0 - experiment.alpha, alpha=experiment.alpha, resamples=experiment.resamples, seed=experiment.seed
    )
    scored = {arm.variant.name: arm.scored for arm in arms}
    found = [_arm(arm, metrics, declared, how) for arm in arms]
    comparisons: list[Comparison] = []
    if frame.looks is not None:
        # Who stops by one metric has no guarantee for the others: they are not compared.
        comparisons += settled(compare_runs(primary, scored, experiment.baseline, how), frame.looks)
    elif len(arms) > 1:
        for metric in metrics:
            comparisons += compare_runs(metric, scored, experiment.baseline, how)
    deciding = [item for item in comparisons if item.metric == primary.name]
    repeats = max((arm.run.repeat for arm in arms), default=1)
    parts = slices_of(experiment, primary, scored, frame.cuts, how, repeats)
    judged = {name: Judgements(primary, rows) for name, rows in scored.items()}
    return ExperimentComparison(
        name=experiment.name,
        ref=frame.ref,
        description=experiment.description,
        created_at=frame.now,
        baseline=experiment.baseline,
        primary=primary.name,
        metrics=metrics,
        arms=tuple(found),
        comparisons=tuple(comparisons),
        outcome=outcome_of(found, deciding),
        best=best_arm(found, primary),
        verdict=verdict_of(primary, experiment.baseline, found, deciding)
        if frame.looks is None
        else verdict_of_looks(primary, experiment.baseline, found, deciding, frame.looks),
        notes=(
            *(looks_notes(frame.looks, experiment.baseline) if frame.looks is not None else ()),
            *(str(fault) for arm in arms for fault in faults_of(arm.variant.name, arm.scored)),
            *_judge_notes(metrics, found, declared),
            *notes_of(primary, experiment.baseline, found, comparisons),
            *slice_notes(parts, primary, experiment.baseline),
        ),
        rows=max((arm.rows for arm in found), default=0),
        disagreements=disagreements(judged) if len(arms) > 1 else 0,
        prompts=frame.prompts,
        effects=() if frame.looks else effects_of(experiment.variants, primary, scored, how),
        models=_models(found, frame.now),
        slices=parts,
        items=items_of(experiment, metrics, scored, how, repeats),
        looks=frame.looks,
        facts=frame.facts,
    )


def _models(arms: Sequence[Arm], at: datetime) -> tuple[ModelFacts, ...]:
    return tuple(model_facts(name, at) for name in dict.fromkeys(name for arm in arms for name in arm.models))


def _judge_notes(metrics: Sequence[Metric], arms: Sequence[Arm], declared: Sequence[Declared]) -> Iterator[str]:
    """Yield what every judge is worth, and the rates that are left without its errors."""
    for judge in declared:
        if judge.is_judge:
            yield f"{judge.name} is a judge's opinion; {words(judge.calibration)}."
    for metric in metrics:
        for arm in arms:
            found = arm.corrected.get(metric.name)
            if found is not None:
                shown = f"{numbers.estimate(found, metric)}, n = {found.n:,}" if found.value is not None else "unknown"
                note = f"; {found.note}" if found.note else ""
                yield f"{arm.name}: {metric.name} corrected for the judge's errors is {shown}{note}."


def views_of(primary: Metric, arms: Sequence[ArmResult]) -> Iterator[RowView]:
    """Yield the rows of all arms side by side."""
    repeat = max((arm.run.repeat for arm in arms), default=1)
    return row_views(
        [
            ArmRows(
                rows=arm.recorded.rows(),
                judged=Judgements(primary, arm.scored),
                scores=RowsById(arm.scored),
                first=arm.recorded.first,
            )
            for arm in arms
        ],
        repeat,
    )


def metrics_for(experiment: Experiment, arms: Sequence[ArmResult], declared: Sequence[Declared]) -> tuple[Metric, ...]:
    """Return the metrics of all arms together, the primary first.

    Raises:
        NotFound: when no evaluator gives the primary metric.
    """
    found = metrics_of(
        (row for arm in arms for row in arm.scored),
        {item.name: item.metrics for item in declared},
        {item.name: item.better for item in declared},
    )
    wanted = experiment.primary
    if not found:
        raise NotFound("no evaluator gives a metric", expected="scores that are numbers, booleans or labels")
    chosen = found[0] if wanted is None else next((metric for metric in found if metric.name == wanted), None)
    if chosen is None:
        raise NotFound(
            f"no evaluator gives a metric '{wanted}'", expected=nearest_hint(str(wanted), [item.name for item in found])
        )
    return (chosen, *(metric for metric in found if metric is not chosen))


def _arm(arm: ArmResult, metrics: Sequence[Metric], declared: Sequence[Declared], how: Procedure) -> Arm:
    taken: Measures = measure(arm.recorded)
    counts = arm.run.counts
    return Arm(
        variant=arm.variant,
        run=arm.run.name,
        rows=counts.total if counts.total is not None else counts.done,
        failed=counts.unsuccessful,
        estimates={item.name: item for item in estimates(metrics, arm.scored, how)},
        corrected=_corrected(arm, metrics, declared, how),
        latency=taken.latency,
        usage=taken.usage,
        cached_usage=taken.cached_usage,
        cost=taken.cost,
        unpriced=taken.unpriced,
        calls=taken.calls,
        models=taken.models,
        confusions=_confusions(arm, metrics, how),
        aggregates=_aggregates(arm),
    )


def _corrected(
    arm: ArmResult, metrics: Sequence[Metric], declared: Sequence[Declared], how: Procedure
) -> dict[str, Estimate]:
    calibrations = {item.name: item.calibration for item in declared if item.is_judge}
    found = {
        metric.name: corrected_rate(metric, arm.scored, calibrations.get(metric.evaluator), how.level)
        for metric in metrics
    }
    return {name: item for name, item in found.items() if item is not None}


def _confusions(arm: ArmResult, metrics: Sequence[Metric], how: Procedure) -> tuple[Confusion, ...]:
    """Return one matrix for every evaluator that judges labels."""
    by_evaluator: dict[str, Metric] = {}
    for metric in metrics:
        if metric.kind == "labels":
            by_evaluator.setdefault(metric.evaluator, metric)
    return tuple(
        Confusion(evaluator=name, report=classification_report(metric, arm.scored, how))
        for name, metric in by_evaluator.items()
    )


def _aggregates(arm: ArmResult) -> dict[str, float | None]:
    logged: Mapping[str, float] = arm.run.metrics
    return {**logged, **{item.name: item.value for item in arm.aggregates}}
