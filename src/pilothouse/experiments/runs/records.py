"""What the record of a run says: how it begins, what has changed since, and how one that was killed is told."""

from __future__ import annotations

import platform
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

import msgspec

from pilothouse.access.types import Actor
from pilothouse.core.errors import Conflict
from pilothouse.core.ids import new_id
from pilothouse.core.version import VERSION
from pilothouse.experiments.runs.compute.backends import Choice
from pilothouse.experiments.runs.engine.execution import recount
from pilothouse.experiments.runs.engine.plan import Plan
from pilothouse.experiments.runs.journal import Journal
from pilothouse.experiments.runs.lineage import slug
from pilothouse.experiments.runs.types import NO_USAGE, Attempt, Counts, Place, RowSample, Run, RunRow, RunStatus


def new_run(plan: Plan, now: datetime, actor: Actor, choice: Choice, resumed: Run | None = None) -> Run:
    """Return the record of a run that begins, with the run whose completed rows it keeps."""
    run_id = new_id()
    return Run(
        id=run_id,
        name=plan.spec.name or f"{slug(plan.flow.name)}-{now:%Y%m%d-%H%M%S}-{run_id[-4:]}",
        status="running",
        spec=plan.spec,
        flow=plan.flow_ref,
        data=plan.data_ref,
        source_run=plan.source.id if plan.source is not None else None,
        column_mapping=plan.mapping,
        variants=plan.flow.variants,
        repeat=plan.repeat,
        counts=Counts(total=plan.total),
        notes=plan.notes,
        attempts=(Attempt(number=1, started_at=now, notes=choice.notes),),
        resumed_from=resumed.id if resumed is not None else None,
        environment=_environment(choice),
        created_by=actor.name,
        created_at=now,
    )


def told(run: Run, journal: Journal, read_again: Callable[[], Run]) -> Run:
    """Return a run that has not ended with the rows it has recorded so far; one that nobody works on has ended.

    Args:
        run: The record.
        journal: Its rows.
        read_again: Reads the record anew.
    """
    if run.status != "running":
        return run
    is_held = journal.is_held()
    if not is_held:
        # It may have ended just now: whoever held the journal wrote the record before letting it go.
        run = read_again()
        if run.status != "running":
            return run
    return counted(run, journal, "running" if is_held else "interrupted")


def counted(run: Run, journal: Journal, status: RunStatus) -> Run:
    """Return a run that was left in the middle with this status and the rows it has recorded."""
    tally = recount(journal)
    return msgspec.structs.replace(run, status=status, counts=tally.counts(run.counts.total), totals=tally.totals())


def continued(run: Run, now: datetime, notes: tuple[str, ...], choice: Choice) -> Run:
    """Return the record of a run that goes on."""
    attempt = Attempt(number=len(run.attempts) + 1, started_at=now, notes=(*notes, *choice.notes))
    return msgspec.structs.replace(
        run,
        status="running",
        error=None,
        metrics={},
        attempts=(*run.attempts, attempt),
        environment=_environment(choice),
    )


def elsewhere(run: Run, place: Place) -> Run:
    """Return the record of a run whose rows run elsewhere from now on."""
    changed = {name: value for name, value in msgspec.structs.asdict(place).items() if value is not None}
    return msgspec.structs.replace(run, spec=msgspec.structs.replace(run.spec, **changed)) if changed else run


def widened(run: Run, sample: RowSample) -> Run:
    """Return the record of a run over the larger of its own sample and another one.

    Raises:
        Conflict: they are not two sizes of one sample.
    """
    own = run.spec.sample
    if own is None or msgspec.structs.replace(own, size=sample.size) != sample:
        raise Conflict(
            f"the run '{run.name}' is not over these rows in this order",
            expected="a run over a sample of the same seed and cluster",
            fix="make a new run",
        )
    if sample.size <= own.size:
        return run
    return msgspec.structs.replace(run, spec=msgspec.structs.replace(run.spec, sample=sample))


def kept_row(row: RunRow, number: int) -> RunRow:
    """Return a completed row of a past run as a new run records it: answered, and nothing spent again."""
    costs = [cost for cost in (row.cost, row.cached_cost) if cost is not None]
    return msgspec.structs.replace(
        row,
        number=number,
        attempt=0,
        usage=NO_USAGE,
        cached_usage=row.usage + row.cached_usage
        if (row.usage, row.cached_usage) != (NO_USAGE, NO_USAGE)
        else NO_USAGE,
        cost=None,
        cached_cost=sum(costs, Decimal(0)) if costs else None,
        unpriced=0,
    )


def other_choices(run: Run, plan: Plan) -> list[str]:
    """Return which choices of a new run are not those of the run whose rows it would keep."""
    pairs = {
        "the variants": (run.variants, plan.flow.variants),
        "the column mapping": (run.column_mapping, plan.mapping),
        "the connections": (run.spec.connections, plan.spec.connections),
        "the environment variables": (run.spec.environment_variables, plan.spec.environment_variables),
        "the source run": (run.source_run, plan.source.id if plan.source is not None else None),
    }
    return [f"{what} differ" if what.endswith("s") else f"{what} differs" for what, (a, b) in pairs.items() if a != b]


def changes(run: Run, plan: Plan) -> list[str]:
    """Return what differs between what a run began with and what is there now."""
    found: list[str] = []
    if plan.flow.digest != run.flow.digest:
        found.append(f"the flow {run.flow.path} changed ({run.flow.digest[:8]} -> {plan.flow.digest[:8]})")
    if plan.data is not None and run.data is not None and plan.data.digest != run.data.digest:
        rows = f"{run.data.rows:,} -> {plan.data.profile.rows:,} rows"
        found.append(f"the data {run.data.source} changed ({run.data.digest[:8]} -> {plan.data.digest[:8]}, {rows})")
    return found


def refuse_changes(run: Run, plan: Plan) -> None:
    """Refuse to go on where rows of different flows or data would be mixed.

    Raises:
        Conflict: naming what differs.
    """
    found = changes(run, plan)
    if found:
        raise Conflict(
            f"the run '{run.name}' cannot simply go on: {'; '.join(found)}",
            expected="the flow and the data as they were when the run began",
            fix=f"put them back; or make a new run (unchanged nodes come from the cache); or mix old and new rows "
            f"knowingly: pilothouse run resume {run.name} --force",
        )


def _environment(choice: Choice) -> dict[str, str]:
    return {
        "pilothouse": VERSION,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "isolation": choice.isolation,
        "compute": choice.compute,
    }
