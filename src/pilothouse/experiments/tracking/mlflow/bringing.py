"""Runs of an MLflow experiment as runs of ours: to be shown, judged and compared, not to be run on."""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from pilothouse.access.types import Actor
from pilothouse.core.canonical import digest
from pilothouse.core.errors import Conflict, NotFound, UserError, nearest_hint
from pilothouse.core.ids import new_id
from pilothouse.core.services import Services
from pilothouse.experiments.migration.history.adoption import adopt
from pilothouse.experiments.runs.lineage import slug
from pilothouse.experiments.runs.service import RunService
from pilothouse.experiments.runs.types import Attempt, Counts, DataRef, FlowRef, Run, RunRow, RunSpec, RunStatus, Totals
from pilothouse.experiments.tracking.mlflow.connecting import Server
from pilothouse.experiments.tracking.mlflow.publishing import tagged_tables
from pilothouse.experiments.tracking.mlflow.reading import columns_of, digest_of, read_table, rows_of
from pilothouse.models.types import Usage

_FROM: Final = "MLflow"
_USUAL: Final = ("rows.json", "eval_results_table.json")
_ENDED: Final[dict[str, RunStatus]] = {"FAILED": "failed", "KILLED": "cancelled", "RUNNING": "interrupted"}


class Brought(Struct, frozen=True, kw_only=True):
    """What became of one MLflow run.

    Attributes:
        name: Its name there.
        run: Its name here.
        status: As it ended; empty when it was left alone.
        rows: Rows that came over.
        metrics: Metrics that did.
        params: Params that did; they stand in the run's notes.
        reason: Why it, or its rows, did not come over.
        exists: Whether it was here already.
        broken: Whether it has rows that could not be read.
    """

    name: str
    run: str
    status: str = ""
    rows: int = 0
    metrics: int = 0
    params: int = 0
    reason: str = ""
    exists: bool = False
    broken: bool = False


class Wanted(Struct, frozen=True, kw_only=True):
    """What is asked for.

    Attributes:
        experiment: Name of the MLflow experiment.
        runs: Names or ids of runs; all of them when empty.
        table: Name of the table with the rows; the usual ones when absent.
        outputs: Columns that are outputs.
    """

    experiment: str
    runs: tuple[str, ...] = ()
    table: str | None = None
    outputs: tuple[str, ...] = ()


def bring(services: Services, server: Server, wanted: Wanted) -> Iterator[Brought]:
    """Bring runs over, one after the other, and yield what became of each.

    Raises:
        NotFound: the server has no such experiment, or no such run in it.
    """
    found = server.client.get_experiment_by_name(wanted.experiment)
    if found is None:
        names = [item.name for item in server.pages(server.client.search_experiments)]
        raise NotFound(
            f"the MLflow server has no experiment '{wanted.experiment}'",
            where=server.address,
            expected=nearest_hint(wanted.experiment, names),
        )
    runs = list(server.pages(server.client.search_runs, experiment_ids=[found.experiment_id]))
    names = {name for run in runs for name in (run.info.run_name, run.info.run_id)}
    for name in wanted.runs:
        if name not in names:
            raise NotFound(
                f"the experiment '{wanted.experiment}' has no run '{name}'", expected=nearest_hint(name, names)
            )
    here = {run.name for run in services.get(RunService).list()}
    for run in reversed(runs):
        if not wanted.runs or {run.info.run_name, run.info.run_id} & set(wanted.runs):
            yield _bring(services, server, run, wanted, here)


def _bring(services: Services, server: Server, told: Any, wanted: Wanted, here: set[str]) -> Brought:
    name = f"{slug(told.info.run_name or 'run')}-{told.info.run_id[:8]}"
    said = told.info.run_name or told.info.run_id
    if name in here:
        return Brought(name=said, run=name, reason="it is here already", exists=True)
    reason, is_broken = "", False
    rows: list[RunRow] = []
    notes: list[str] = []
    with tempfile.TemporaryDirectory(prefix="pilothouse-") as folder:
        try:
            rows = _rows(server, told, wanted, Path(folder), notes)
        except UserError as error:
            reason, is_broken = str(error), True
        if not rows and not reason:
            reason = "it has no table of rows: its params and metrics came over, there is nothing to compare row by row"
    try:
        run = adopt(
            services, _run(services, server, told, (name, wanted), rows, (*notes, *([reason] if reason else []))), rows
        )
    except Conflict as error:
        return Brought(name=said, run=name, reason=error.message, exists=True)
    return Brought(
        name=said,
        run=name,
        status=run.status,
        rows=len(rows),
        metrics=len(run.metrics),
        params=len(told.data.params),
        reason=reason,
        broken=is_broken,
    )


def _rows(server: Server, told: Any, wanted: Wanted, folder: Path, notes: list[str]) -> list[RunRow]:
    """Return the rows of a run's table; none without a table."""
    tagged = list(tagged_tables(told.data.tags))
    if wanted.table is not None:
        path: str | None = wanted.table
    else:
        there = {item.path for item in server.client.list_artifacts(told.info.run_id)}
        path = next((item for item in (*_USUAL, *tagged) if item in there or item in tagged), None)
    if path is None:
        return []
    table = read_table(Path(server.client.download_artifacts(told.info.run_id, path, str(folder))))
    columns = columns_of(table, wanted.outputs)
    if columns.left_out:
        notes.append(f"scores were left out, they are judged here anew: {', '.join(columns.left_out)}")
    if len(tagged) > 1 and wanted.table is None:
        notes.append(f"its rows are those of {path}; it has {len(tagged)} tables: {', '.join(tagged)}")
    return list(rows_of(table, columns))


def _run(
    services: Services,
    server: Server,
    told: Any,
    place: tuple[str, Wanted],
    rows: Sequence[RunRow],
    notes: Sequence[str],
) -> Run:
    name, wanted = place
    params: dict[str, str] = told.data.params
    began = _moment(told.info.start_time) or services.clock.now()
    ended = _moment(told.info.end_time) or began
    counts = _counts(rows)
    status = _ENDED.get(str(told.info.status)) or _status(counts)
    source = f"mlflow:{server.address}/#/experiments/{told.info.experiment_id}/runs/{told.info.run_id}"
    flow = params.get("flow") or wanted.experiment
    finite = {key: float(value) for key, value in told.data.metrics.items() if math.isfinite(value)}
    odd = [key for key in told.data.metrics if key not in finite]
    tags = {key: str(value) for key, value in told.data.tags.items() if not key.startswith("mlflow.")}
    return Run(
        id=new_id(began),
        name=name,
        status=status,
        spec=RunSpec(
            flow=flow,
            name=name,
            data=params.get("data"),
            display_name=told.info.run_name,
            tags={**tags, "imported": _FROM, "mlflow.run_id": told.info.run_id, "mlflow.experiment": wanted.experiment},
        ),
        flow=FlowRef(name=Path(flow).stem, path=flow, digest=params.get("flow.digest") or digest(params)),
        data=_data(told, rows, source),
        repeat=max((row.repeat for row in rows), default=0) + 1,
        counts=counts,
        totals=Totals(
            usage=sum((row.usage for row in rows), Usage()), row_seconds=sum(row.duration for row in rows)
        ),
        metrics=finite,
        notes=(
            f"made elsewhere, brought from {source}",
            *(f"{key} = {value}" for key, value in sorted(params.items())),
            *([f"metrics that are no numbers were left out: {', '.join(odd)}"] if odd else []),
            *notes,
        ),
        attempts=(
            Attempt(
                number=1, started_at=began, ended_at=ended, status=status, rows=counts.done,
                duration=(ended - began).total_seconds(),
            ),
        ),
        environment={"runtime": _FROM},
        created_by=services.get(Actor).name,
        created_at=began,
    )  # fmt: skip


def _data(told: Any, rows: Sequence[RunRow], source: str) -> DataRef | None:
    if not rows:
        return None
    used = next((item.dataset for item in told.inputs.dataset_inputs), None) if told.inputs else None
    # A run that we logged says which data it ran over; its rows pair with those of runs made here.
    known = told.data.params.get("data.digest")
    return DataRef(
        name=used.name if used is not None else "rows",
        source=source if known is None else told.data.params.get("data", source),
        digest=known or digest_of(iter(rows)),
        rows=len({row.number for row in rows}),
    )


def _counts(rows: Sequence[RunRow]) -> Counts:
    states = Counter(row.status for row in rows)
    return Counts(total=len(rows), completed=states["completed"], failed=states["failed"])


def _status(counts: Counts) -> RunStatus:
    if counts.failed:
        return "completed_with_errors" if counts.completed else "failed"
    return "completed"


def _moment(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)
