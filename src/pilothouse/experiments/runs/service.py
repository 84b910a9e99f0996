"""Runs: made, resumed, read, exported."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from itertools import islice
from pathlib import Path
from typing import Self

import msgspec

from pilothouse.access.types import Actor
from pilothouse.core.errors import Conflict, Interrupted, NotFound
from pilothouse.core.services import Services
from pilothouse.core.storage.files import AppendLog
from pilothouse.core.storage.sql import Database
from pilothouse.datasets.service import DatasetService
from pilothouse.experiments.runs.cache import NodeCacheStore, RunNodeCache
from pilothouse.experiments.runs.engine.execution import Execution, OnProgress, Tools, recount
from pilothouse.experiments.runs.engine.lines import refuse_if_none_maps
from pilothouse.experiments.runs.engine.plan import Plan, Planner
from pilothouse.experiments.runs.engine.progress import Tally
from pilothouse.experiments.runs.engine.spans import RunTracer
from pilothouse.experiments.runs.exports.formats import ExportFormat, export_run
from pilothouse.experiments.runs.interrupts import Stop, unless_stopped
from pilothouse.experiments.runs.journal import Journal, renumber
from pilothouse.experiments.runs.lineage import Lineage
from pilothouse.experiments.runs.records import changes, continued, new_run, refuse_changes, told
from pilothouse.experiments.runs.settings import RunSettings
from pilothouse.experiments.runs.store import RunStore
from pilothouse.experiments.runs.types import RowOrder, RowStatus, Run, RunRow, RunSpec, RunStatus
from pilothouse.flows.runner import FlowRunner
from pilothouse.flows.running.threads import ToolThreads
from pilothouse.flows.settings import FlowSettings
from pilothouse.models.service import ModelService
from pilothouse.registry.service import RegistryService
from pilothouse.tracing.service import TracingService

OpenCache = Callable[[], RunNodeCache]
OpenRunner = Callable[[Run, Plan, "RunNodeCache | None"], FlowRunner]

FOLDER = "runs"
ROWS = "rows.jsonl"


class RunService:
    """Verbs on runs. Several processes may work on different runs of one project at once.

    Args:
        folder: Holds a folder for each run.
        planner: Reads and checks specs.
        tools: What attempts work with.
        open_cache: Opens the node cache for a run.
        lineage: States which run used what.
        open_runner: Opens a flow for running.
        actor: Who acts.
    """

    def __init__(
        self,
        folder: Path,
        *,
        planner: Planner,
        tools: Tools,
        open_cache: OpenCache,
        lineage: Lineage,
        open_runner: OpenRunner,
        actor: Actor,
    ) -> None:
        self._folder = folder
        self._planner = planner
        self._tools = tools
        self._store = tools.store
        self._open_cache = open_cache
        self._lineage = lineage
        self._open_runner = open_runner
        self._actor = actor

    @classmethod
    def build(cls, services: Services) -> Self:
        """Return the runs of a project."""
        return cls.with_runners(services, FlowRunner)

    @classmethod
    def with_runners(cls, services: Services, make: Callable[..., FlowRunner]) -> Self:
        """Return the runs of a project whose flows are run by what ``make`` gives; it is called as `FlowRunner` is."""
        store = RunStore(services.get(Database))
        folder = services.state / FOLDER
        models = services.get(ModelService)
        tracer = services.get(TracingService).tracer

        settings = services.settings.section(RunSettings)
        flow_settings = services.settings.section(FlowSettings)
        cached = NodeCacheStore(services.get(Database), services.clock)

        def open_cache() -> RunNodeCache:
            return RunNodeCache(cached, most_bytes=settings.cache_bytes, most_days=settings.cache_days)

        def journal(run: Run) -> Journal:
            return Journal(folder / run.id / ROWS, run.repeat)

        def find_run(ref: str) -> Run:
            run = store.get(ref)
            return told(run, journal(run), lambda: store.get(run.id))

        def open_runner(run: Run, plan: Plan, cache: RunNodeCache | None) -> FlowRunner:
            timeout = plan.spec.timeout or flow_settings.line_timeout
            return make(
                plan.flow,
                models=models,
                tracer=RunTracer(tracer, run.name, plan.spec),
                cache=cache,
                connections=plan.spec.connections,
                settings=msgspec.structs.replace(flow_settings, line_timeout=timeout),
            )

        return cls(
            folder,
            planner=Planner(services.root, services.get(DatasetService), find_run, journal),
            tools=Tools(store=store, price=models.price, settings=settings, clock=services.clock),
            open_cache=open_cache,
            lineage=Lineage(services.get(RegistryService)),
            open_runner=open_runner,
            actor=services.get(Actor),
        )

    async def execute(self, spec: RunSpec, *, on_progress: OnProgress | None = None, stop: Stop | None = None) -> Run:
        """Check the spec, record the run, run every row, and return the ended run.

        Failed rows do not raise: look at ``run.status`` and ``run.within_limit``. A ``stop`` that was asked for ends
        the run as ``interrupted``; cancelling the task does so at once.

        Args:
            spec: What is wanted.
            on_progress: Called at most ten times a second.
            stop: Asked by whoever wants the run to end.

        Raises:
            UserError: the flow, the data, a connection or the mapping cannot be used; nothing is recorded then.
            Conflict: the name is taken.
            StorageError: the disk is full; what was recorded is kept, and the run can be resumed.
        """
        stop = stop or Stop()
        plan = await self._planned(spec, stop)
        lines = refuse_if_none_maps(plan.lines().wanted(lambda _number, _repeat: False))
        run = new_run(plan, self._tools.clock.now(), self._actor)
        async with self._opened(run, plan) as (runner, cache):
            with self._held(run) as log:
                run = self._recorded(run, plan)
                execution = Execution(run, plan, journal=self._journal(run), log=log, tools=self._tools, tally=Tally())
                return await execution.go(runner, lines, cache=cache, stop=stop, on_progress=on_progress)

    async def resume(
        self,
        ref: str,
        *,
        failed_only: bool = False,
        force: bool = False,
        on_progress: OnProgress | None = None,
        stop: Stop | None = None,
    ) -> Run:
        """Run the rows that have no answer yet, then aggregate over all rows again.

        A run in which every row has its answer is returned as it is.

        Args:
            ref: The run: name, id, id prefix or `latest`.
            failed_only: Run failed rows again, but not those that were never begun.
            force: Go on though the flow or the data differ from what the run began with.
            on_progress: Called at most ten times a second.
            stop: Asked by whoever wants the run to end.

        Raises:
            Conflict: another process works on it, or flow or data differ.
        """
        stop = stop or Stop()
        run = self._store.get(ref)
        forced = await self._adopt(run, stop) if force else ()
        with self._held(run) as log:
            run = self._store.get(run.id)
            if run.status == "completed":
                return run
            plan = await self._planned_again(run, stop)
            refuse_changes(run, plan)
            journal = self._journal(run)
            index = await asyncio.to_thread(journal.index)

            def is_done(number: int, repeat: int) -> bool:
                status = index.status(number, repeat)
                return status == "completed" or (failed_only and status is None)

            lines = plan.lines().wanted(is_done)
            tally = await asyncio.to_thread(recount, journal, "completed")
            async with self._opened(run, plan) as (runner, cache):
                execution = Execution(
                    self._continue(run, forced), plan, journal=journal, log=log, tools=self._tools, tally=tally
                )
                return await execution.go(runner, lines, cache=cache, stop=stop, on_progress=on_progress)

    def get(self, ref: str) -> Run:
        """Return a run; one whose process was killed is told as interrupted, with the rows it recorded.

        Args:
            ref: Name, id, id prefix of at least 4 characters, or `latest`.

        Raises:
            NotFound: there is none.
        """
        return self._told(self._store.get(ref))

    def list(
        self, *, experiment: str | None = None, status: RunStatus | None = None, limit: int | None = None
    ) -> list[Run]:
        """Return runs, the latest first."""
        runs = (self._told(run) for run in self._store.list(experiment=experiment))
        return list(islice((run for run in runs if status in (None, run.status)), limit))

    def rows(self, run: Run | str, *, order: RowOrder = "input", status: RowStatus | None = None) -> Iterator[RunRow]:
        """Yield the latest outcome of every row, one in memory at a time.

        Args:
            run: The run, or what `get` takes.
            order: That of the data (and of aggregation), or that in which the rows ended.
            status: Only rows of this outcome.
        """
        found = run if isinstance(run, Run) else self._store.get(run)
        return self._journal(found).rows(status=status, order=order)

    def line(self, run: Run | str, line_id: str) -> tuple[RunRow, ...]:
        """Return all repetitions of one row.

        Raises:
            NotFound: the run has no such row.
        """
        found = tuple(row for row in self.rows(run) if row.line_id == line_id)
        if not found:
            raise NotFound(f"the run has no row '{line_id}'", fix="pilothouse run show RUN --rows")
        return found

    def export(self, run: Run | str, folder: Path, export_format: ExportFormat = "jsonl") -> tuple[Path, ...]:
        """Write a run's record and rows as files into ``folder``; return the files.

        Raises:
            Conflict: the folder is not empty.
            StorageError: the disk is full.
        """
        found = run if isinstance(run, Run) else self.get(run)
        return export_run(found, lambda: self.rows(found), folder, export_format)

    def delete(self, ref: str) -> Run:
        """Forget a run and its rows; what other runs took from the node cache stays.

        Raises:
            Conflict: a process is working on it.
        """
        run = self._store.get(ref)
        with self._held(run):
            self._store.delete(run.id)
            shutil.rmtree(self._folder / run.id, ignore_errors=True)
        return run

    def _told(self, run: Run) -> Run:
        return told(run, self._journal(run), lambda: self._store.get(run.id))

    def _journal(self, run: Run) -> Journal:
        return Journal(self._folder / run.id / ROWS, run.repeat)

    @contextmanager
    def _held(self, run: Run) -> Generator[AppendLog]:
        """Keep other processes from working on a run."""
        try:
            log = AppendLog(self._journal(run).path)
        except Conflict as error:
            raise Conflict(
                f"another process is working on the run '{run.name}'",
                fix=f"wait until it has ended (pilothouse run show {run.name}), or stop it",
            ) from error
        with log:
            yield log

    @asynccontextmanager
    async def _opened(self, run: Run, plan: Plan) -> AsyncGenerator[tuple[FlowRunner, RunNodeCache | None]]:
        async with AsyncExitStack() as stack:
            cache = await stack.enter_async_context(self._open_cache()) if plan.spec.use_cache else None
            yield await stack.enter_async_context(self._open_runner(run, plan, cache)), cache

    def _recorded(self, run: Run, plan: Plan) -> Run:
        flow, data = self._lineage.registered(plan.flow_ref, plan.data_ref)
        run = msgspec.structs.replace(run, flow=flow, data=data)
        try:
            self._store.insert(run)
        except Conflict:
            shutil.rmtree(self._folder / run.id, ignore_errors=True)
            raise
        self._lineage.link(run, plan.source)
        return run

    def _continue(self, run: Run, notes: tuple[str, ...]) -> Run:
        run = continued(run, self._tools.clock.now(), notes)
        self._store.update(run)
        return run

    async def _planned(self, spec: RunSpec, stop: Stop) -> Plan:
        """Return the plan of a spec; reading large data for it takes a while, and may be stopped."""
        threads = ToolThreads(1)
        try:
            _, plan = await unless_stopped(threads.run(lambda: self._planner.plan(spec)), stop, grace=0.0)
        finally:
            threads.close()
        if plan is None:
            raise Interrupted("stopped before the first row; nothing was changed", fix="run the same command again")
        return plan

    async def _planned_again(self, run: Run, stop: Stop) -> Plan:
        return await self._planned(msgspec.structs.replace(run.spec, source_run=run.source_run), stop)

    async def _adopt(self, run: Run, stop: Stop) -> tuple[str, ...]:
        """Make a run go on with the flow and the data as they are now; rows keep their outcome by line id.

        Returns:
            What differed.
        """
        with self._held(run):
            plan = await self._planned_again(run, stop)
            found = changes(run, plan)
            if not found:
                return ()
            notes = [f"resumed by force though {change}" for change in found]
            if plan.data is not None and run.data is not None and plan.data.digest != run.data.digest:
                left_out = renumber(self._journal(run), {row.id: row.number for row in plan.data})
                notes.append(f"{left_out:,} recorded rows were left out: their ids are not in the data any more")
            flow, data = self._lineage.registered(plan.flow_ref, plan.data_ref)
            adopted = msgspec.structs.replace(
                run,
                flow=flow,
                data=data,
                status="interrupted",
                counts=msgspec.structs.replace(run.counts, total=plan.total),
            )
            self._store.update(adopted)
            return tuple(notes)
