"""Recorded runs of prompt flow as runs of ours: to be shown, compared and evaluated, not to be run on."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from pilothouse.access.types import Actor
from pilothouse.core.canonical import digest, digest_tree
from pilothouse.core.errors import UserError
from pilothouse.core.ids import new_id
from pilothouse.experiments.migration.history.types import RecordedNode, Recording
from pilothouse.experiments.runs.types import Attempt, Counts, FlowRef, Run, RunRow, RunSpec, RunStatus, Totals
from pilothouse.flows.dag.variants import parse_variant
from pilothouse.flows.results import ErrorInfo, NodeResult
from pilothouse.models.types import Usage

IMPORTED: Final = "imported"
_FROM: Final = "prompt flow"
_ERROR: Final = "PromptFlowError"
_ENDED: Final[dict[str, RunStatus]] = {"Failed": "failed", "Canceled": "cancelled", "CancelRequested": "cancelled"}


def as_run(recording: Recording, *, actor: Actor, now: datetime, sources: Mapping[str, str]) -> Run:
    """Return the record of ours for a recorded run.

    Its status is what its rows say: prompt flow calls a run completed in which every row failed.

    Args:
        recording: What was recorded.
        actor: Who brings it over.
        now: When; it stands for times that nobody wrote down.
        sources: Name -> id of runs that are here already.
    """
    facts = recording.facts
    ended = [row.ended_at for row in recording.rows if row.ended_at is not None]
    began = facts.created_at or min(ended, default=now)
    counts = _counts(recording)
    status = _ENDED.get(facts.status) or _status(counts)
    seconds = sum(row.seconds for row in recording.rows)
    variants = _variants(facts.variant)
    attempt = Attempt(
        number=1,
        started_at=began,
        ended_at=max(ended, default=began),
        status=status,
        rows=counts.done,
        duration=(max(ended, default=began) - began) / timedelta(seconds=1),
    )
    return Run(
        id=new_id(began),
        name=facts.name,
        status=status,
        spec=RunSpec(
            flow=facts.flow or recording.where,
            name=facts.name,
            data=facts.data or None,
            column_mapping=facts.column_mapping,
            variants=variants,
            display_name=facts.display_name or None,
            description=facts.description or None,
            tags={**facts.tags, IMPORTED: _FROM},
        ),
        flow=FlowRef(
            name=Path(facts.flow or recording.where).stem, path=facts.flow or recording.where, digest=_digest(recording)
        ),
        source_run=sources.get(facts.source_run),
        column_mapping=facts.column_mapping,
        variants=variants,
        counts=counts,
        totals=Totals(usage=sum((row.usage for row in recording.rows), Usage()), row_seconds=seconds),
        metrics=_metrics(recording),
        notes=tuple(_notes(recording, sources)),
        attempts=(attempt,),
        environment={"runtime": _FROM},
        created_by=actor.name,
        created_at=began,
    )


def as_rows(recording: Recording) -> Iterator[RunRow]:
    """Yield the rows with an outcome."""
    for row in recording.rows:
        if row.state == "missing":
            continue
        yield RunRow(
            line_id=row.id,
            number=int(row.id),
            status=row.state,
            inputs=row.inputs,
            outputs=row.outputs,
            nodes=tuple(_node(name, node) for name, node in row.nodes.items()),
            usage=row.usage,
            duration=row.seconds,
            error=ErrorInfo(type=_ERROR, message=row.error) if row.state == "failed" else None,
            ended_at=row.ended_at.timestamp() if row.ended_at is not None else 0.0,
        )


def _node(name: str, node: RecordedNode) -> NodeResult:
    error = ErrorInfo(type=_ERROR, message=node.error, node=name) if node.state == "failed" else None
    return NodeResult(node=name, status=node.state, output=node.output, error=error)


def _counts(recording: Recording) -> Counts:
    states = Counter(row.state for row in recording.rows)
    return Counts(total=len(recording.rows), completed=states["completed"], failed=states["failed"])


def _status(counts: Counts) -> RunStatus:
    if counts.total is not None and counts.done < counts.total:
        return "interrupted"
    if not counts.completed:
        return "failed"
    return "completed_with_errors" if counts.failed else "completed"


def _digest(recording: Recording) -> str:
    kept = Path(recording.where) / "snapshot"
    return digest_tree(kept) if kept.is_dir() else digest([recording.facts.flow, recording.facts.name])


def _variants(text: str) -> dict[str, str]:
    try:
        return dict([parse_variant(text)]) if text else {}
    except UserError:
        return {}


def _metrics(recording: Recording) -> dict[str, float]:
    return {name: float(value) for name, value in recording.metrics.items() if _is_kept(value)}


def _is_kept(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _notes(recording: Recording, sources: Mapping[str, str]) -> Iterator[str]:
    facts = recording.facts
    yield f"made by prompt flow, which called it {facts.status or 'nothing (its books were not at hand)'}"
    yield from recording.notes
    for name, value in recording.metrics.items():
        if not _is_kept(value):
            yield f"the metric '{name}' is {value!r}, which is no number, and was not kept"
    if facts.source_run and facts.source_run not in sources:
        yield f"it was given outputs of the run '{facts.source_run}', which is not here"
    if facts.resumed_from:
        yield f"it took over rows of '{facts.resumed_from}'; prompt flow pairs rows wrongly after that: verify it"
    if facts.archived:
        yield "it was archived"
