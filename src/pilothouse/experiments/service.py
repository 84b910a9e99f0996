"""Experiments: run and continued, compared, reported."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Self

from msgspec import Struct, structs

from pilothouse.access.types import Actor
from pilothouse.core.clock import Clock
from pilothouse.core.services import Services
from pilothouse.core.storage.blobs import BlobStore
from pilothouse.core.storage.sql import Database
from pilothouse.evaluation.sequential.types import LooksReport
from pilothouse.evaluation.service import EvaluationService
from pilothouse.experiments.analysis.compilation import ArmResult, Frame, compare_arms, views_of
from pilothouse.experiments.analysis.direct import experiment_of_runs, refuse_unlike
from pilothouse.experiments.analysis.facts import facts_of
from pilothouse.experiments.analysis.faults import Fault, faults_of
from pilothouse.experiments.analysis.parts import cuts_of
from pilothouse.experiments.analysis.prompts import prompt_diffs
from pilothouse.experiments.archive import Archive
from pilothouse.experiments.arms import ArmWork, ArmWorker, OnProgress, Task
from pilothouse.experiments.calibration.declared import declared_by, versions_of
from pilothouse.experiments.comparison import Calls, ExperimentComparison
from pilothouse.experiments.design.file import Overrides
from pilothouse.experiments.design.plan import ExperimentPlan, ExperimentPlanner
from pilothouse.experiments.design.preparation import Prepared, Preparer
from pilothouse.experiments.execution import ArmExecutor
from pilothouse.experiments.looks import run_looks
from pilothouse.experiments.reports.files import ReportFiles
from pilothouse.experiments.runs.engine.sampling import places_of
from pilothouse.experiments.runs.interrupts import Stop
from pilothouse.experiments.runs.service import FOLDER, RunService
from pilothouse.experiments.runs.types import RowSample, Run
from pilothouse.experiments.scoring import Scorer
from pilothouse.experiments.settings import ExperimentSettings, ReportFormat
from pilothouse.experiments.store import ExperimentStore
from pilothouse.experiments.types import EvaluatorUse, Experiment, ExperimentRecord, ExperimentStatus
from pilothouse.registry.service import RegistryService


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
        self._worker = ArmWorker(executor, runs, scorer)
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
            task = Task(record=record, prepared=prepared, fresh=fresh, tell=on_progress, stop=stop or Stop())
            rule = prepared.experiment.sequential
            if rule is not None:
                work, looks = await run_looks(self._worker, task, rule, declared_by(prepared.judges, self._evaluation))
                return self._conclude(record, prepared, work, looks)
            return self._conclude(
                record, prepared, [await self._worker.work(task, position) for position in range(len(prepared.arms))]
            )
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
            await self._worker.scored(arm, self._worker.recorded(run, arm, None), data, judges, cluster)
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
        found = [
            self._worker.stored(self._runs.get(link.run), link.variant, record.name, names) for link in record.runs
        ]
        asked, looks = record.definition, self._archive.looks(record)
        return found if looks is None else [self._seen(asked, arm, looks) for arm in found]

    def recorded(self, path: Path) -> ExperimentRecord:
        """Return the record of an experiment file as it stands, with its gate as it is written now.

        Raises:
            Conflict: the experiment has not been run so.
            UserError: as `run`.
        """
        return self._archive.recorded(self._preparer.prepare(path))

    def _seen(self, asked: Experiment, arm: ArmResult, looks: LooksReport) -> ArmResult:
        """Return an arm as far as a sequential experiment went: its run may have come further in another one."""
        size = looks.size_of(arm.variant.name)
        if looks.cluster is None and arm.run.counts.done == size * arm.run.repeat:
            return arm
        data = self._preparer.data_of(arm.run)
        if data is None:
            return arm
        sample = RowSample(size=size, seed=looks.seed, cluster=looks.cluster)
        return self._worker.restricted(arm, asked.name, places_of(data, sample, asked.limit))

    def _conclude(
        self, record: ExperimentRecord, prepared: Prepared, work: Sequence[ArmWork], looks: LooksReport | None = None
    ) -> Finding:
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
            looks=looks,
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


def _status(runs: Sequence[Run]) -> ExperimentStatus:
    if all(run.counts.completed == 0 for run in runs):
        return "failed"
    return "completed_with_errors" if any(run.counts.unsuccessful for run in runs) else "completed"
