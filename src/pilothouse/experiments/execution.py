"""The arms of an experiment, run one after another: what was done before is taken, what is missing is run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

from pilothouse.core.clock import Clock
from pilothouse.core.errors import NotFound
from pilothouse.core.ids import new_id
from pilothouse.experiments.design.preparation import PreparedArm
from pilothouse.experiments.runs.interrupts import Stop
from pilothouse.experiments.runs.service import RunService
from pilothouse.experiments.runs.types import Place, Progress, RowSample, Run, RunRow, RunSpec
from pilothouse.experiments.store import ExperimentStore
from pilothouse.experiments.types import Experiment, ExperimentRecord, ExperimentRun, Variant
from pilothouse.flows.types import Flow

_FOREIGN = re.compile(r"[^A-Za-z0-9_-]+")


class ArmExecutor:
    """Runs single arms.

    Args:
        runs: Runs flows over rows.
        store: Keeps which run belongs to which arm.
        clock: Where the time comes from.
    """

    def __init__(self, runs: RunService, store: ExperimentStore, clock: Clock) -> None:
        self._runs = runs
        self._store = store
        self._clock = clock

    async def run(
        self,
        record: ExperimentRecord,
        position: int,
        arm: PreparedArm,
        *,
        sample: RowSample | None = None,
        fresh: bool = False,
        on_progress: Callable[[Progress], None] | None = None,
        stop: Stop | None = None,
    ) -> tuple[Run, int]:
        """Return the arm's run, ended, and the number of its first attempt that was made now.

        A run over the same flow, connections, data and mapping is taken as it is when every row has its answer; rows
        that failed or were never begun are run, whoever began it. The link is written first: a killed process leaves
        a run that is found again.

        Args:
            record: The experiment.
            position: The arm's place in it.
            arm: The arm.
            sample: Only these rows; rows that earlier runs have beyond them stay.
            fresh: Take nothing that was done before: a new run, without the node cache.
            on_progress: Called at most ten times a second.
            stop: Asked by whoever wants it to end.

        Raises:
            Conflict: another process is working on the run.
            UserError: flow, data or connection cannot be used.
        """
        earlier = None if fresh else self.earlier(arm)
        name = earlier.name if earlier is not None else _run_name(record, arm)
        link = ExperimentRun(variant=arm.variant, run=name)
        self._store.link(record.id, position, link, arm.key, self._clock.now())
        if earlier is not None:
            place = Place(compute=record.definition.compute, workers=record.definition.workers)
            go_on = self._runs.resume if sample is None else partial(self._runs.extend, sample=sample, retry=True)
            run = await go_on(name, flow=_live(arm), place=place, on_progress=on_progress, stop=stop)
            return run, len(earlier.attempts) + 1
        spec = _spec(record.definition, arm, name, record.id, sample=sample, fresh=fresh)
        return await self._runs.execute(spec, flow=_live(arm), on_progress=on_progress, stop=stop), 1

    async def extend(
        self,
        arm: PreparedArm,
        run: Run,
        sample: RowSample,
        *,
        place: Place,
        on_progress: Callable[[Progress], None] | None = None,
        stop: Stop | None = None,
    ) -> Run:
        """Return a run of an arm with all rows of a larger sample; rows that failed stay failed.

        Raises:
            Conflict: another process is working on the run.
            UserError: flow, data or connection cannot be used.
        """
        return await self._runs.extend(
            run.name, sample, flow=_live(arm), place=place, on_progress=on_progress, stop=stop
        )

    def earlier(self, arm: PreparedArm) -> Run | None:
        """Return the latest run of the same arm, of this experiment or another; None when there is none."""
        for name in self._store.runs_of_arm(arm.key):
            try:
                return self._runs.get(name)
            except NotFound:
                continue  # deleted since, or its process was killed before it was recorded
        return None

    def rows_before(self, run: Run, variant: Variant, experiment: str) -> Iterator[Iterator[RunRow]]:
        """Yield the rows of earlier runs of the same variant in all versions of an experiment, the latest run first."""
        for name in self._store.runs_of_variant(experiment, variant.content):
            if name != run.name:
                with suppress(NotFound):
                    yield self._runs.rows(self._runs.get(name))


def _live(arm: PreparedArm) -> Flow | None:
    """Return the flow of an arm where it lives in this process: no file could give it again."""
    return arm.flow if arm.flow.target is not None else None


def _spec(
    experiment: Experiment, arm: PreparedArm, name: str, record_id: str, *, sample: RowSample | None, fresh: bool
) -> RunSpec:
    return RunSpec(
        flow=experiment.flow,
        data=experiment.data,
        id_column=experiment.id_column,
        column_mapping=arm.mapping,
        variants=arm.variant.choices,
        connections=arm.placed.connections,
        name=name,
        display_name=f"{experiment.name}: {arm.variant.name}",
        use_cache=not fresh,
        concurrency=experiment.concurrency,
        repeat=experiment.repeats,
        limit=experiment.limit,
        sample=sample,
        compute=experiment.compute,
        workers=experiment.workers,
        experiment=record_id,
    )


def _run_name(record: ExperimentRecord, arm: PreparedArm) -> str:
    variant = _FOREIGN.sub("-", arm.variant.name).strip("-")[:60]
    return f"{record.name}-{record.number}-{variant}-{new_id()[-5:]}"
