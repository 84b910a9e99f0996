"""Runs: made, resumed, read, exported."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncGenerator, Callable, Container
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Self

import msgspec

from pilothouse.access.types import Actor
from pilothouse.core.errors import Conflict, Interrupted
from pilothouse.core.services import Services
from pilothouse.core.storage.files import AppendLog
from pilothouse.core.storage.sql import Database
from pilothouse.datasets.service import DatasetService
from pilothouse.experiments.runs.cache import NodeCacheStore, RunNodeCache
from pilothouse.experiments.runs.compute.backends import Backends
from pilothouse.experiments.runs.engine.backend import Backend
from pilothouse.experiments.runs.engine.execution import Execution, OnProgress, Tools, recount
from pilothouse.experiments.runs.engine.lines import refuse_if_none_maps
from pilothouse.experiments.runs.engine.plan import Plan, Planner
from pilothouse.experiments.runs.engine.progress import Tally
from pilothouse.experiments.runs.interrupts import Stop, unless_stopped
from pilothouse.experiments.runs.journal import Journal, RowIndex, keep, renumber
from pilothouse.experiments.runs.kept import ROWS, KeptRuns
from pilothouse.experiments.runs.lineage import Lineage
from pilothouse.experiments.runs.live import cancellation
from pilothouse.experiments.runs.records import (
    changes,
    continued,
    counted,
    elsewhere,
    kept_row,
    new_run,
    other_choices,
    refuse_changes,
    told,
    widened,
)
from pilothouse.experiments.runs.settings import RunSettings
from pilothouse.experiments.runs.store import RunStore
from pilothouse.experiments.runs.types import FINISHED, UNMOVED, Place, RowSample, Run, RunRow, RunSpec
from pilothouse.flows.runner import FlowRunner
from pilothouse.flows.running.threads import ToolThreads
from pilothouse.flows.types import Flow
from pilothouse.models.service import ModelService
from pilothouse.registry.service import RegistryService

OpenCache = Callable[[], RunNodeCache]

FOLDER = "runs"

UNFINISHED = ("interrupted", "cancelled")


class _Rest(msgspec.Struct, frozen=True, kw_only=True):
    """What of a run is left to do: which lines are done, what these sum up to, and what was special about it."""

    is_done: Callable[[int, int], bool]
    tally: Tally
    notes: tuple[str, ...] = ()


class RunService(KeptRuns):
    """All verbs on runs. Several processes may work on different runs of one project at once.

    Args:
        folder: Holds a folder for each run.
        planner: Reads and checks specs.
        tools: What attempts work with.
        open_cache: Opens the node cache for a run.
        lineage: States which run used what.
        backends: Opens a flow where its rows are to run.
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
        backends: Backends,
        actor: Actor,
    ) -> None:
        super().__init__(folder, tools.store, tools.clock)
        self._planner = planner
        self._tools = tools
        self._open_cache = open_cache
        self._lineage = lineage
        self._backends = backends
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
        settings = services.settings.section(RunSettings)
        cached = NodeCacheStore(services.get(Database), services.clock)

        def open_cache() -> RunNodeCache:
            return RunNodeCache(cached, most_bytes=settings.cache_bytes, most_days=settings.cache_days)

        def journal(run: Run) -> Journal:
            return Journal(folder / run.id / ROWS, run.repeat)

        def find_run(ref: str) -> Run:
            run = store.get(ref)
            return told(run, journal(run), lambda: store.get(run.id))

        return cls(
            folder,
            planner=Planner(services.root, services.get(DatasetService), find_run, journal),
            tools=Tools(store=store, price=models.price, settings=settings, clock=services.clock),
            open_cache=open_cache,
            lineage=Lineage(services.get(RegistryService)),
            backends=Backends(services, make),
            actor=services.get(Actor),
        )

    async def execute(
        self,
        spec: RunSpec,
        *,
        flow: Flow | None = None,
        resume_from: str | None = None,
        force: bool = False,
        on_progress: OnProgress | None = None,
        stop: Stop | None = None,
    ) -> Run:
        """Check the spec, record the run, run every row, and return the ended run.

        Failed rows do not raise: look at ``run.status`` and ``run.within_limit``. A ``stop`` that was asked for ends
        the run as ``interrupted``; cancelling the task does so at once.

        Args:
            spec: What is wanted.
            flow: The flow itself, where it lives in this process: then ``spec.flow`` only names it.
            resume_from: A run that has ended: its completed rows are kept, by line id, the others run, and the
                aggregation is over all of them. That run stays as it is.
            force: Keep rows though the flow, the data or a choice are not those of that run; the notes say so.
            on_progress: Called at most ten times a second.
            stop: Asked by whoever wants the run to end.

        Raises:
            UserError: the flow, the data, a connection or the mapping cannot be used; nothing is recorded then.
            Conflict: the name is taken, or rows of different flows, data or choices would be mixed.
            StorageError: the disk is full; what was recorded is kept, and the run can be resumed.
        """
        stop = stop or Stop()
        plan = await self._planned(spec, stop, flow)
        resumed = self.get(resume_from) if resume_from is not None else None
        if resumed is not None:
            plan = _resuming(resumed, plan, force=force)
        lines = plan.lines().wanted(lambda _number, _repeat: False)
        if resumed is None:
            lines = refuse_if_none_maps(lines)
        run = new_run(plan, self._tools.clock.now(), self._actor, self._backends.choose(plan), resumed)
        async with self._opened(run, plan, stop) as (backend, cache):
            with self._held(run) as log:
                run = self._recorded(run, plan, resumed)
                journal, tally = self._journal(run), Tally()
                if resumed is not None:
                    index = await asyncio.to_thread(self._keep, run, resumed, plan, log)
                    note = f"{len(index):,} completed rows were kept from the run '{resumed.name}'"
                    plan = msgspec.structs.replace(plan, notes=(*plan.notes, note))
                    lines = plan.lines().wanted(lambda number, repeat: index.status(number, repeat) is not None)
                    tally = await asyncio.to_thread(recount, journal)
                execution = Execution(run, plan, journal=journal, log=log, tools=self._tools, tally=tally)
                async with cancellation.obeyed(self._folder / run.id, stop):
                    return await execution.go(backend, lines, cache=cache, stop=stop, on_progress=on_progress)

    async def resume(
        self,
        ref: str,
        *,
        flow: Flow | None = None,
        failed_only: bool = False,
        force: bool = False,
        place: Place = UNMOVED,
        on_progress: OnProgress | None = None,
        stop: Stop | None = None,
    ) -> Run:
        """Run the rows that have no answer yet, then aggregate over all rows again.

        A run in which every row has its answer is returned as it is.

        Args:
            ref: The run: name, id, id prefix or `latest`.
            flow: The flow itself, where it lives in this process.
            failed_only: Run failed rows again, but not those that were never begun.
            force: Go on though the flow or the data differ from what the run began with.
            place: Where rows run from now on; where they ran so far when absent.
            on_progress: Called at most ten times a second.
            stop: Asked by whoever wants the run to end.

        Raises:
            Conflict: another process works on it, or flow or data differ.
        """
        stop = stop or Stop()
        run = self._store.get(ref)
        forced = await self._adopt(run, stop) if force else ()
        with self._held(run) as log:
            cancellation.forget(self._folder / run.id)
            run = self._store.get(run.id)
            if run.status == "completed":
                return run
            run = elsewhere(run, place)
            plan = await self._planned_again(run, stop, flow)
            refuse_changes(run, plan)
            journal = self._journal(run)
            index = await asyncio.to_thread(journal.index)

            def is_done(number: int, repeat: int) -> bool:
                status = index.status(number, repeat)
                return status == "completed" or (failed_only and status is None)

            tally = await asyncio.to_thread(recount, journal, "completed", index)
            rest = _Rest(is_done=is_done, tally=tally, notes=forced)
            return await self._go_on(run, plan, log, rest, stop, on_progress)

    async def extend(
        self,
        ref: str,
        sample: RowSample,
        *,
        flow: Flow | None = None,
        retry: bool = False,
        place: Place = UNMOVED,
        on_progress: OnProgress | None = None,
        stop: Stop | None = None,
    ) -> Run:
        """Run the rows of a sample that have no outcome yet, in a run over a smaller one; what was recorded stays.

        Args:
            ref: The run, over a sample in the same order; returned as it is where it has all of them.
            sample: The rows that are wanted.
            flow: The flow itself, where it lives in this process.
            retry: Run failed rows again, also those beyond the sample.
            place: Where rows run from now on; where they ran so far when absent.
            on_progress: Called at most ten times a second.
            stop: Asked by whoever wants the run to end.

        Raises:
            Conflict: another process works on it, flow or data differ, or its rows are in another order.
        """
        stop = stop or Stop()
        run = self._store.get(ref)
        with self._held(run) as log:
            cancellation.forget(self._folder / run.id)
            run = elsewhere(self._store.get(run.id), place)
            wider = widened(run, sample)
            plan = await self._planned_again(wider, stop, flow)
            refuse_changes(wider, plan)
            journal = self._journal(run)
            index = await asyncio.to_thread(journal.index)
            is_done = _done(index, await asyncio.to_thread(plan.places, sample), retry=retry)
            known = counted(run, journal, "interrupted") if run.status == "running" else run
            if _has_ended(known, plan, is_done):
                return known
            tally = await asyncio.to_thread(recount, journal, "completed" if retry else None, index)
            wider = msgspec.structs.replace(wider, counts=tally.counts(plan.total))
            return await self._go_on(wider, plan, log, _Rest(is_done=is_done, tally=tally), stop, on_progress)

    async def _go_on(
        self, run: Run, plan: Plan, log: AppendLog, rest: _Rest, stop: Stop, on_progress: OnProgress | None
    ) -> Run:
        """Run the lines of an earlier run that are left, as its next attempt."""
        async with self._opened(run, plan, stop) as (backend, cache):
            run = self._continue(run, plan, rest.notes)
            execution = Execution(run, plan, journal=self._journal(run), log=log, tools=self._tools, tally=rest.tally)
            lines = plan.lines().wanted(rest.is_done)
            async with cancellation.obeyed(self._folder / run.id, stop):
                return await execution.go(backend, lines, cache=cache, stop=stop, on_progress=on_progress)

    @asynccontextmanager
    async def _opened(self, run: Run, plan: Plan, stop: Stop) -> AsyncGenerator[tuple[Backend, RunNodeCache | None]]:
        async with AsyncExitStack() as stack:
            cache = await stack.enter_async_context(self._open_cache()) if plan.spec.use_cache else None
            yield await stack.enter_async_context(self._backends.open(run, plan, cache, stop)), cache

    def _recorded(self, run: Run, plan: Plan, resumed: Run | None) -> Run:
        flow, data = self._lineage.registered(plan.flow_ref, plan.data_ref)
        run = msgspec.structs.replace(run, flow=flow, data=data)
        try:
            self._store.insert(run)
        except Conflict:
            shutil.rmtree(self._folder / run.id, ignore_errors=True)
            raise
        self._lineage.link(run, plan.source, resumed)
        return run

    def _keep(self, run: Run, resumed: Run, plan: Plan, log: AppendLog) -> RowIndex:
        """Take over the completed rows of the run that ``run`` resumes; return where they stand."""
        has_moved = plan.data is not None and resumed.data is not None and plan.data.digest != resumed.data.digest
        numbers = {row.id: row.number for row in plan.data} if has_moved and plan.data is not None else None

        def made(row: RunRow) -> RunRow | None:
            number = row.number if numbers is None else numbers.get(row.line_id)
            if number is None or (plan.spec.limit is not None and number >= plan.spec.limit):
                return None
            if plan.chosen is not None and number not in plan.chosen:
                return None
            return kept_row(row, number)

        keep(self._journal(resumed), log, made)
        return self._journal(run).index()

    def _continue(self, run: Run, plan: Plan, notes: tuple[str, ...]) -> Run:
        run = continued(run, self._tools.clock.now(), notes, self._backends.choose(plan))
        self._store.update(run)
        return run

    async def _planned(self, spec: RunSpec, stop: Stop, flow: Flow | None = None) -> Plan:
        """Return the plan of a spec; reading large data for it takes a while, and may be stopped."""
        threads = ToolThreads(1)
        try:
            _, plan = await unless_stopped(threads.run(lambda: self._planner.plan(spec, flow)), stop, grace=0.0)
        finally:
            threads.close()
        if plan is None:
            raise Interrupted("stopped before the first row; nothing was changed", fix="run the same command again")
        return plan

    async def _planned_again(self, run: Run, stop: Stop, flow: Flow | None = None) -> Plan:
        return await self._planned(msgspec.structs.replace(run.spec, source_run=run.source_run), stop, flow)

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


def _done(index: RowIndex, wanted: Container[int], *, retry: bool) -> Callable[[int, int], bool]:
    """Return what tells whether a line of a sample needs no run; rows beyond the wanted ones are not begun."""

    def is_done(number: int, repeat: int) -> bool:
        status = index.status(number, repeat)
        if status is None:
            return number not in wanted
        return status == "completed" or not retry

    return is_done


def _has_ended(run: Run, plan: Plan, is_done: Callable[[int, int], bool]) -> bool:
    if run.status in UNFINISHED and run.counts.done == plan.total:
        return False  # it was left after its last row, and has not aggregated yet
    return all(is_done(number, repeat) for number in plan.chosen or () for repeat in range(plan.repeat))


def _resuming(resumed: Run, plan: Plan, *, force: bool) -> Plan:
    """Return the plan of a run that keeps the completed rows of another one.

    Raises:
        Conflict: that run has not ended, or its rows and the new ones would not be of one kind.
    """
    if resumed.status not in FINISHED:
        raise Conflict(
            f"the run '{resumed.name}' has not ended yet",
            fix=f"wait for it (pilothouse run stream {resumed.name}) or stop it (pilothouse run cancel {resumed.name})",
        )
    if resumed.repeat != plan.repeat:
        raise Conflict(
            f"'{resumed.name}' ran every row {resumed.repeat} times, the new run would {plan.repeat} times",
            expected="the same number of repeats",
        )
    found = [*changes(resumed, plan), *other_choices(resumed, plan)]
    if found and not force:
        raise Conflict(
            f"the rows of '{resumed.name}' cannot simply be kept: {'; '.join(found)}",
            expected="the flow, the data and the choices of that run",
            fix="put them back; or make a new run (unchanged nodes come from the cache); or mix old and new rows "
            "knowingly with --force",
        )
    return msgspec.structs.replace(plan, notes=(*plan.notes, *(f"rows were kept by force though {it}" for it in found)))
