"""A run of ours as a record, so that it can be verified against like one of prompt flow."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from pilothouse.experiments.migration.history.types import Facts, NodeState, RecordedNode, RecordedRow, Recording
from pilothouse.experiments.runs.types import Run, RunRow
from pilothouse.flows.results import ErrorInfo, NodeResult, NodeStatus

_STATES: dict[NodeStatus, NodeState] = {
    "completed": "completed",
    "cached": "completed",
    "failed": "failed",
    "bypassed": "bypassed",
}


def from_own(run: Run, rows: Iterable[RunRow]) -> Recording:
    """Return a run of ours as a record; a repeated row has its repetition behind its id."""
    variants = [f"${{{node}.{variant}}}" for node, variant in run.spec.variants.items()]
    return Recording(
        facts=Facts(
            name=run.name,
            status=run.status,
            flow=run.flow.path,
            data=run.data.source if run.data is not None else "",
            column_mapping=run.column_mapping,
            # The record of prompt flow has room for one.
            variant=variants[0] if len(variants) == 1 else "",
            init=run.spec.connections.get("init", {}),
            created_at=run.created_at,
        ),
        where=f"the run {run.name}",
        made_by="pilothouse",
        rows=tuple(map(_row, rows)),
        metrics=dict(run.metrics),
    )


def _row(row: RunRow) -> RecordedRow:
    return RecordedRow(
        id=f"{row.line_id}#{row.repeat}" if row.repeat else row.line_id,
        state=row.status,
        inputs=row.inputs,
        outputs=row.outputs,
        nodes={node.node: _node(node) for node in row.nodes},
        error=_text(row.error),
        seconds=row.duration,
        ended_at=datetime.fromtimestamp(row.ended_at, UTC),
    )


def _node(node: NodeResult) -> RecordedNode:
    return RecordedNode(state=_STATES[node.status], output=node.output, error=_text(node.error))


def _text(error: ErrorInfo | None) -> str:
    return error.message if error is not None else ""
