"""Experiments: run and continued, compared, reported."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, Self

from msgspec import Struct, structs

from pilothouse.access.types import Actor
from pilothouse.core.clock import Clock
from pilothouse.core.errors import Interrupted
from pilothouse.core.services import Services
from pilothouse.core.storage.blobs import BlobStore
from pilothouse.core.storage.sql import Database
from pilothouse.datasets.source import DatasetSource
from pilothouse.evaluation.service import EvaluationService
from pilothouse.experiments.analysis.compilation import ArmResult, Frame, compare_arms, merge, views_of
from pilothouse.experiments.analysis.direct import experiment_of_runs, refuse_unlike
from pilothouse.experiments.analysis.facts import facts_of
from pilothouse.experiments.analysis.faults import Fault, faults_of
from pilothouse.experiments.analysis.measures import work_done
from pilothouse.experiments.analysis.parts import cuts_of
from pilothouse.experiments.analysis.prompts import prompt_diffs
from pilothouse.experiments.analysis.recorded import Recorded, first_times
from pilothouse.experiments.archive import Archive
from pilothouse.experiments.calibration.declared import declared_by, versions_of
from pilothouse.experiments.comparison import Calls, ExperimentComparison
from pilothouse.experiments.design.file import Overrides
from pilothouse.experiments.design.plan import ExperimentPlan, ExperimentPlanner
from pilothouse.experiments.design.preparation import Prepared, Preparer
from pilothouse.experiments.execution import ArmExecutor
from pilothouse.experiments.reports.files import ReportFiles
from pilothouse.experiments.runs.interrupts import Stop, unless_stopped
from pilothouse.experiments.runs.service import FOLDER, RunService
from pilothouse.experiments.runs.types import Progress, Run
from pilothouse.experiments.scoring import Judge, Scorer, Scores
from pilothouse.experiments.settings import ExperimentSettings, ReportFormat
from pilothouse.experiments.store import ExperimentStore
from pilothouse.experiments.types import EvaluatorUse, ExperimentRecord, ExperimentStatus, Variant
from pilothouse.registry.service import RegistryService


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


class Finding(Struct, frozen=True, kw_only=True):
    """What running an experiment gave.

    Attributes:
        record: Its record.
        comparison: What it found.
        files: Its reports.
        calls: Model calls that its rows needed; ``cached`` = those that were not made now.
        rows: Rows over all arms.
        rows_before: Of them, rows that an earlier run had answered.
        failed: Rows without an answer, over all arms.
        faults: Evaluators that failed on rows.
    """

    record: ExperimentRecord
    comparison: ExperimentComparison
    files: ReportFiles
    calls: Calls
    rows: int
    rows_before: int
    failed: int
    faults: tuple[Fault, ...] = ()


class _Work(Struct, frozen=True, kw_only=True):
    """One arm after it was run: its result, the calls made now, the rows answered before."""

    result: ArmResult
    made: int
    before: int


class ExperimentService:
    """Verbs on experiments.

    Args:
        preparer: Reads and checks experiment files.
        executor: Runs arms.
        runs: Reads runs.
        scorer: Judges rows.
        evaluation: Knows what judges are worth.
        archive: Keeps what was found.
        clock: Where the time comes from.
        actor: Who acts.
    """

    def __init__(
        self,
        *,
        preparer: Preparer,
        executor: ArmExecutor,
        runs: RunService,
        scorer: Scorer,
        evaluation: EvaluationService,
        archive: Archive,
        clock: Clock,
        actor: Actor,
    ) -> None:
        self._preparer = preparer
        self._planner = ExperimentPlanner(runs, executor.earlier, scorer, preparer.models, clock)
        self._executor = executor
        self._runs = runs
        self._scorer = scorer
        self._evaluation = evaluation
        self._archive = archive
        self._clock = clock
        self._actor = actor

    @classmethod
    def build(cls, services: Services) -> Self:
        """Return the experiments of a project."""
        runs = services.get(RunService)
        evaluation = services.get(EvaluationService)
        store = ExperimentStore(services.get(Database))
        settings = services.settings.section(ExperimentSettings)
        return cls(
            preparer=services.get(Preparer),
            executor=ArmExecutor(runs, store, services.clock),
            runs=runs,
            scorer=Scorer(services.state / FOLDER, evaluation),
            evaluation=evaluation,
            archive=Archive(
                store=store,
                blobs=services.get(BlobStore),
                registry=services.get(RegistryService),
                settings=settings,
                root=services.root,
            ),
            clock=services.clock,
            actor=services.get(Actor),
        )

    async def run(
        self,
        path: Path | Prepared,
        *,
        overrides: Overrides | None = None,
        fresh: bool = False,
        on_progress: OnProgress | None = None,
        stop: Stop | None = None,
    ) -> Finding:
        """Run an experiment file, or go on with it: what was answered and judged before is not done again.

        Args:
            path: The experiment file, or what was made ready of one.
            overrides: What the command line said on top of it.
            fresh: Take nothing that was done before.
            on_progress: Called now and then.
            stop: Asked by whoever wants it to end; what was recorded is kept.

        Raises:
            UserError: the file, flow, data, a connection or an evaluator cannot be used; no model is called then.
            Interrupted: it was asked to stop.
            StorageError: the disk is full; what was recorded is kept.
        """
        prepared = path if isinstance(path, Prepared) else self._preparer.prepare(path, overrides)
        record = self._archive.begin(prepared, self._actor.name, self._clock.now())
        try:
            work = [
                await self._arm(record, prepared, position, fresh=fresh, tell=on_progress, stop=stop or Stop())
                for position in range(len(prepared.arms))
            ]
            return self._conclude(record, prepared, work)
        except BaseException:
            self._archive.settle(record, "interrupted", self._clock.now())
            raise

    def plan(self, path: Path, overrides: Overrides | None = None, *, fresh: bool = False) -> ExperimentPlan:
        """Return what `run` with the same arguments will take and what it can find; nothing is run.

        Raises:
            UserError: as `run`.
        """
        return self._planner.plan(self._preparer.prepare(path, overrides), fresh=fresh)

    async def compare(
        self,
        refs: Sequence[str],
        uses: Sequence[EvaluatorUse],
        *,
        primary: str | None = None,
        seed: int = 7,
        cluster: str | None = None,
    ) -> ExperimentComparison:
        """Compare runs directly; the first is the baseline. Scores are kept with each run.

        Args:
            refs: At least one run, each a name, an id or the beginning of one.
            uses: The evaluators.
            primary: The metric that decides; the first one when absent.
            seed: Seed of the resampling.
            cluster: The column of the data that rows which are not independent share.

        Raises:
            Conflict: the runs are not over the same data, or one has not ended.
            UserError: a run or an evaluator cannot be used.
        """
        runs = [self._runs.get(ref) for ref in refs]
        refuse_unlike(runs)
        judges = tuple(self._preparer.judge(use.spec, use.column_mapping) for use in uses)
        data = self._preparer.data_of(runs[0]) if cluster or any(judge.wants_data for judge in judges) else None
        experiment = experiment_of_runs(runs, uses, primary=primary, seed=seed)
        arms = [
            await self._scored(arm, self._recorded(run, arm, None), data, judges, cluster)
            for arm, run in zip(experiment.variants, runs, strict=True)
        ]
        frame = Frame(
            ref="", now=self._clock.now(), facts=facts_of(experiment, runs, versions_of(judges), ref="", digest="")
        )
        return compare_arms(experiment, arms, declared_by(judges, self._evaluation), frame)

    def get(self, ref: str) -> ExperimentRecord:
        """Return an experiment: ``name``, ``name:number``, id, its beginning, or ``latest``.

        Raises:
            NotFound: there is none.
        """
        return self._told(self._archive.store.get(ref))

    def list(self, limit: int | None = None) -> list[ExperimentRecord]:
        """Return the experiments, the latest first."""
        return [self._told(record) for record in self._archive.store.list(limit)]

    def comparison(self, ref: str) -> ExperimentComparison:
        """Return what an experiment found when it was last run.

        Raises:
            NotFound: there is no such experiment.
            Conflict: it has not been run to its end yet.
        """
        return self._archive.comparison(self._archive.store.get(ref))

    def report(self, ref: str, formats: Sequence[ReportFormat] = ()) -> ReportFiles:
        """Write the reports of an experiment again, from what was recorded; nothing is run or judged.

        Args:
            ref: The experiment.
            formats: What is wanted beside HTML and CSV.

        Raises:
            NotFound: there is no such experiment, or one of its runs was deleted.
            Conflict: it has not been run to its end yet, or its scores are gone.
        """
        record = self._archive.store.get(ref)
        found = self._archive.comparison(record)
        return self._archive.write(record, found, partial(views_of, found.metrics[0], self.arms(record)), formats)[1]

    def arms(self, record: ExperimentRecord) -> list[ArmResult]:
        """Return what was recorded of every arm, scores included; nothing is run or judged.

        Raises:
            NotFound: one of its runs was deleted.
            Conflict: its scores are gone.
        """
        names = [use.spec.name for use in record.definition.evaluators]
        return [
            _result(
                link.variant,
                self._recorded(run, link.variant, record.name),
                [self._scorer.stored(run, name) for name in names],
            )
            for link in record.runs
            for run in (self._runs.get(link.run),)
        ]

    def recorded(self, path: Path) -> ExperimentRecord:
        """Return the record of an experiment file as it stands, with its gate as it is written now.

        Raises:
            Conflict: the experiment has not been run so.
            UserError: as `run`.
        """
        return self._archive.recorded(self._preparer.prepare(path))

    async def _arm(
        self,
        record: ExperimentRecord,
        prepared: Prepared,
        position: int,
        *,
        fresh: bool,
        tell: OnProgress | None,
        stop: Stop,
    ) -> _Work:
        """Run one arm and let every evaluator judge it."""
        arm = prepared.arms[position]
        glance = ExperimentProgress(
            variant=arm.variant.name,
            position=position,
            variants=len(prepared.arms),
            phase="rows",
            total=prepared.rows * prepared.experiment.repeats,
        )

        def on_rows(seen: Progress) -> None:
            if tell is not None:
                tell(structs.replace(glance, done=seen.counts.done, run=seen))

        run, since = await self._executor.run(record, position, arm, fresh=fresh, on_progress=on_rows, stop=stop)
        if run.status in {"interrupted", "cancelled"} or stop.is_asked:
            raise _stopped(record, run)
        scoring = structs.replace(glance, phase="scoring", total=run.counts.done)
        on_row = None if tell is None else partial(_tell_scored, tell, scoring)
        recorded, cluster = self._recorded(run, arm.variant, record.name), prepared.experiment.cluster
        work = self._scored(arm.variant, recorded, prepared.data, prepared.judges, cluster, on_row)
        # Judges may be models, too: a stop must not wait for thousands of their answers.
        ended, result = await unless_stopped(work, stop, grace=0.0)
        if not ended or result is None:
            raise _stopped(record, run)
        made, before = work_done(result.recorded, since)
        return _Work(result=result, made=made, before=before)

    async def _scored(
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

    def _recorded(self, run: Run, variant: Variant, experiment: str | None) -> Recorded:
        """Return a run's rows; those from the cache with the time they took in earlier runs of the experiment."""
        rows = self._runs.reader(run)
        if not run.cache.hits or experiment is None:
            return Recorded(run=run, rows=rows)
        earlier = self._executor.rows_before(run, variant, experiment)
        return Recorded(run=run, rows=rows, first=first_times(rows(), earlier))

    def _conclude(self, record: ExperimentRecord, prepared: Prepared, work: Sequence[_Work]) -> Finding:
        """Compare the arms, keep what was found, and write the reports."""
        arms = [item.result for item in work]
        runs = [arm.run for arm in arms]
        base = next(arm for arm in prepared.arms if arm.variant.name == prepared.experiment.baseline)
        others = {arm.variant.name: arm.flow for arm in prepared.arms if arm is not base}
        frame = Frame(
            ref=record.ref,
            now=self._clock.now(),
            prompts=prompt_diffs(base.flow, others),
            cuts=cuts_of(prepared.experiment.slices, prepared.data),
            facts=facts_of(prepared.experiment, runs, versions_of(prepared.judges), record.ref, record.digest),
        )
        found = compare_arms(prepared.experiment, arms, declared_by(prepared.judges, self._evaluation), frame)
        self._archive.link(record, runs, prepared.judges)
        record = self._archive.keep(self._archive.settle(record, _status(runs), frame.now), found)
        record, files = self._archive.write(record, found, partial(views_of, found.metrics[0], arms))
        total = sum(arm.calls.total for arm in found.arms)
        return Finding(
            record=structs.replace(record, runs=self._archive.store.get(record.id).runs),
            comparison=found,
            files=files,
            calls=Calls(total=total, cached=total - sum(item.made for item in work)),
            rows=sum(arm.rows for arm in found.arms),
            rows_before=sum(item.before for item in work),
            failed=sum(arm.failed for arm in found.arms),
            faults=tuple(fault for arm in arms for fault in faults_of(arm.variant.name, arm.scored)),
        )

    def _told(self, record: ExperimentRecord) -> ExperimentRecord:
        """Return a record whose process was killed as interrupted."""
        if record.status != "running":
            return record
        names = {run.name for run in self._runs.list(experiment=record.id, status="running")}
        return record if names else structs.replace(record, status="interrupted")


def _result(variant: Variant, recorded: Recorded, scores: Sequence[Scores]) -> ArmResult:
    return ArmResult(
        variant=variant,
        recorded=recorded,
        scored=merge([item.rows for item in scores]),
        aggregates=tuple(figure for item in scores for figure in item.aggregates),
    )


def _tell_scored(tell: OnProgress, glance: ExperimentProgress, done: int) -> None:
    tell(structs.replace(glance, done=done))


def _status(runs: Sequence[Run]) -> ExperimentStatus:
    if all(run.counts.completed == 0 for run in runs):
        return "failed"
    return "completed_with_errors" if any(run.counts.unsuccessful for run in runs) else "completed"


def _stopped(record: ExperimentRecord, run: Run) -> Interrupted:
    done = f"{run.counts.done:,} of {run.counts.total:,}" if run.counts.total is not None else f"{run.counts.done:,}"
    return Interrupted(
        f"stopped in the variant '{run.spec.display_name or run.name}': {done} rows are recorded",
        fix="the same command goes on from there",
    )
