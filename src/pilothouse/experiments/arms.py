"""One arm of an experiment at work: its rows run, then judged; all of them, or a sample that grows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Literal

from msgspec import Struct, structs

from pilothouse.core.errors import Conflict, Interrupted
from pilothouse.datasets.source import DatasetSource
from pilothouse.evaluation.columns import ScoredRows
from pilothouse.experiments.analysis.compilation import ArmResult, merge
from pilothouse.experiments.analysis.measures import work_done
from pilothouse.experiments.analysis.recorded import Recorded, first_times
from pilothouse.experiments.analysis.views import evaluation_id
from pilothouse.experiments.design.preparation import Prepared
from pilothouse.experiments.execution import ArmExecutor
from pilothouse.experiments.runs.engine.progress import Tally
from pilothouse.experiments.runs.engine.sampling import places_of
from pilothouse.experiments.runs.interrupts import Stop, unless_stopped
from pilothouse.experiments.runs.service import RunService
from pilothouse.experiments.runs.types import Place, Progress, RowSample, Run, RunRow
from pilothouse.experiments.scoring import Judge, Scorer, Scores
from pilothouse.experiments.types import ExperimentRecord, Variant


class ExperimentProgress(Struct, frozen=True, kw_only=True):
    """A glance at an experiment in motion.

    Attributes:
        variant: The arm at work.
        position: Its 0-based place.
        variants: How many arms there are.
        phase: What is going on.
        total: Rows of the arm; None while unknown.
        done: Rows answered, or judged.
        run: The run in motion, in the phase ``rows``.
    """

    variant: str
    position: int
    variants: int
    phase: Literal["rows", "scoring"]
    total: int | None = None
    done: int = 0
    run: Progress | None = None


OnProgress = Callable[[ExperimentProgress], None]


class ArmWork(Struct, frozen=True, kw_only=True):
    """One arm after it was run.

    Attributes:
        result: What was recorded of it.
        run: Its run, with all rows that it has.
        since: Number of its first attempt that was made now.
        made: Model calls made now.
        before: Rows answered before.
    """

    result: ArmResult
    run: Run
    since: int
    made: int
    before: int


class Task(Struct, frozen=True, kw_only=True):
    """An experiment that is being run: what, whether anew, who is told, and who may stop it."""

    record: ExperimentRecord
    prepared: Prepared
    fresh: bool
    tell: OnProgress | None
    stop: Stop


class ArmWorker:
    """Runs and judges single arms.

    Args:
        executor: Runs arms.
        runs: Reads runs.
        scorer: Judges rows.
    """

    def __init__(self, executor: ArmExecutor, runs: RunService, scorer: Scorer) -> None:
        self._executor = executor
        self._runs = runs
        self._scorer = scorer

    async def work(
        self, task: Task, position: int, sample: RowSample | None = None, before: ArmWork | None = None
    ) -> ArmWork:
        """Run one arm and let every evaluator judge it.

        Args:
            task: The experiment.
            position: The arm's place in it.
            sample: Only these rows.
            before: The same arm over a smaller sample.

        Raises:
            Interrupted: somebody asked to stop; what was recorded is kept.
        """
        arm, experiment, data = task.prepared.arms[position], task.prepared.experiment, task.prepared.data
        places = None if sample is None else places_of(data, sample, experiment.limit)
        glance = ExperimentProgress(
            variant=arm.variant.name,
            position=position,
            variants=len(task.prepared.arms),
            phase="rows",
            total=(task.prepared.rows if places is None else len(places)) * experiment.repeats,
        )
        on_rows = None if task.tell is None else partial(_tell_rows, task.tell, glance)
        if sample is not None and before is not None:
            since = before.since
            place = Place(compute=experiment.compute, workers=experiment.workers)
            run = await self._executor.extend(arm, before.run, sample, place=place, on_progress=on_rows, stop=task.stop)
        else:
            run, since = await self._executor.run(
                task.record, position, arm, sample=sample, fresh=task.fresh, on_progress=on_rows, stop=task.stop
            )
        recorded = self.recorded(run, arm.variant, task.record.name, places)
        if recorded.run.status in {"interrupted", "cancelled"} or task.stop.is_asked:
            raise _stopped(run)
        scoring = structs.replace(glance, phase="scoring", total=recorded.run.counts.done)
        on_row = None if task.tell is None else partial(_tell_scored, task.tell, scoring)
        judging = self.scored(arm.variant, recorded, data, task.prepared.judges, experiment.cluster, on_row)
        # Judges may be models, too: a stop must not wait for thousands of their answers.
        ended, result = await unless_stopped(judging, task.stop, grace=0.0)
        if not ended or result is None:
            raise _stopped(run)
        made, answered = work_done(result.recorded, since)
        return ArmWork(result=result, run=run, since=since, made=made, before=answered)

    async def scored(
        self,
        variant: Variant,
        recorded: Recorded,
        data: DatasetSource | None,
        judges: Sequence[Judge],
        cluster: str | None,
        on_row: Callable[[int], None] | None = None,
    ) -> ArmResult:
        """Return a run with the scores of all evaluators."""
        return _result(
            variant,
            recorded,
            [await self._scorer.score(recorded, data, judge, on_row, cluster=cluster) for judge in judges],
        )

    def stored(self, run: Run, variant: Variant, experiment: str, names: Sequence[str]) -> ArmResult:
        """Return a run with the scores that were last given to it; nothing is run or judged.

        Raises:
            Conflict: its scores are gone.
        """
        scores = [self._scorer.stored(run, name) for name in names]
        return _result(variant, self.recorded(run, variant, experiment), scores)

    def restricted(self, whole: ArmResult, experiment: str, places: Mapping[int, int]) -> ArmResult:
        """Return the part of an arm that an experiment looked at, where another one took its run further.

        Raises:
            Conflict: the scores of a row are gone.
        """
        recorded = self.recorded(whole.run, whole.variant, experiment, places)
        ids = {evaluation_id(row, whole.run.repeat) for row in recorded.rows()}
        scored = ScoredRows.of(row for row in whole.scored if row.id in ids)
        if len(scored) != len(ids):
            raise Conflict(f"scores for the run '{whole.run.name}' are gone", fix="run the experiment again")
        return structs.replace(whole, recorded=recorded, scored=scored)

    def recorded(
        self, run: Run, variant: Variant, experiment: str | None, places: Mapping[int, int] | None = None
    ) -> Recorded:
        """Return a run's rows; those from the cache with the time they took in earlier runs of the experiment.

        Args:
            run: The run, ended.
            variant: Its variant.
            experiment: Name of the experiment; None for a run by itself.
            places: Only these rows: number -> place in the random order.
        """
        every = self._runs.reader(run)
        rows = every

        if places is not None:

            def chosen() -> Iterator[RunRow]:
                return (row for row in every() if row.number in places)

            rows, run = chosen, _of_rows(run, chosen(), len(places) * run.repeat)
        if not run.cache.hits or experiment is None:
            return Recorded(run=run, rows=rows, places=places)
        earlier = self._executor.rows_before(run, variant, experiment)
        return Recorded(run=run, rows=rows, first=first_times(rows(), earlier), places=places)


def _of_rows(run: Run, rows: Iterator[RunRow], total: int) -> Run:
    """Return a run as it would be had it been over these rows alone."""
    tally = Tally()
    tally.add(rows)
    if tally.done == total == run.counts.done == run.counts.total:
        return run
    counts = tally.counts(total)
    status = "interrupted" if counts.done < total else "completed_with_errors" if counts.unsuccessful else "completed"
    # What aggregation nodes said, they said of all rows.
    return structs.replace(run, status=status, counts=counts, totals=tally.totals(), metrics={})


def _result(variant: Variant, recorded: Recorded, scores: Sequence[Scores]) -> ArmResult:
    return ArmResult(
        variant=variant,
        recorded=recorded,
        scored=merge([item.rows for item in scores]),
        aggregates=tuple(figure for item in scores for figure in item.aggregates),
    )


def _tell_rows(tell: OnProgress, glance: ExperimentProgress, seen: Progress) -> None:
    tell(structs.replace(glance, done=seen.counts.done, run=seen))


def _tell_scored(tell: OnProgress, glance: ExperimentProgress, done: int) -> None:
    tell(structs.replace(glance, done=done))


def _stopped(run: Run) -> Interrupted:
    done = f"{run.counts.done:,} of {run.counts.total:,}" if run.counts.total is not None else f"{run.counts.done:,}"
    return Interrupted(
        f"stopped in the variant '{run.spec.display_name or run.name}': {done} rows are recorded",
        fix="the same command goes on from there",
    )
