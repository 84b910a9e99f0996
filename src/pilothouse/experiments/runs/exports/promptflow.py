"""The folder that prompt flow writes for a run, so that its tools and scripts made for it can read ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Self

import msgspec

from pilothouse.experiments.runs.types import Run, RunRow
from pilothouse.flows.results import ErrorInfo, NodeResult

#: Rows in one file of `flow_artifacts`; prompt flow reads the number from `meta.json`.
BATCH = 1000
_STATUS = {
    "completed": "Completed",
    "failed": "Failed",
    "missing": "Failed",
    "bypassed": "Bypassed",
    "cached": "Completed",
}


def write_promptflow(run: Run, rows: Callable[[], Iterator[RunRow]], folder: Path) -> None:
    """Write inputs, outputs, artifacts, metrics and errors where prompt flow looks for them."""
    errors: list[dict[str, Any]] = []
    with _Sinks(folder) as sinks:
        for row in rows():
            line = row.number * run.repeat + row.repeat
            sinks.write("inputs.jsonl", {**row.inputs, "line_number": line})
            if row.status == "completed":
                sinks.write("outputs.jsonl", {**row.outputs, "line_number": line})
                sinks.write("flow_outputs/output.jsonl", {"line_number": line, **row.outputs})
            elif row.error is not None:
                errors.append({"line number": line, "error": _error(row.error)})
            first = line // BATCH * BATCH
            sinks.write(f"flow_artifacts/{first:09}_{first + BATCH - 1:09}.jsonl", _line_record(run, row, line))
            for node in row.nodes:
                sinks.write(f"node_artifacts/{node.node}/000000000.jsonl", _node_record(run, row, node, line))
    documents: dict[str, object] = {"meta.json": {"batch_size": BATCH}, "metrics.json": run.metrics}
    if errors:
        documents["error.json"] = _summary(run, errors)
    for name, value in documents.items():
        (folder / name).write_bytes(msgspec.json.format(msgspec.json.encode(value), indent=4) + b"\n")


class _Sinks:
    """Files that are written in turns; of each folder one is open at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, tuple[str, BinaryIO]] = {}

    def __enter__(self) -> Self:
        for path in ("inputs.jsonl", "outputs.jsonl", "flow_outputs/output.jsonl"):
            self._sink(path)
        return self

    def __exit__(self, *_error: object) -> None:
        for _, sink in self._open.values():
            sink.close()

    def write(self, path: str, value: object) -> None:
        self._sink(path).write(msgspec.json.encode(value) + b"\n")

    def _sink(self, path: str) -> BinaryIO:
        place = path.rpartition("/")[0] or path
        known = self._open.get(place)
        if known is not None and known[0] == path:
            return known[1]
        if known is not None:
            known[1].close()
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        sink = target.open("ab")
        self._open[place] = (path, sink)
        return sink


def _line_record(run: Run, row: RunRow, line: int) -> dict[str, Any]:
    info = {
        "run_id": f"{run.name}_{line}",
        "status": _STATUS[row.status],
        "error": _error(row.error) if row.error is not None else None,
        "inputs": {**row.inputs, "line_number": line},
        "output": row.outputs if row.status == "completed" else None,
        "metrics": None,
        "request": None,
        "parent_run_id": run.name,
        "root_run_id": run.name,
        "source_run_id": None,
        "flow_id": run.flow.name,
        "start_time": _moment(row.ended_at - row.duration),
        "end_time": _moment(row.ended_at),
        "index": line,
        "api_calls": None,
        "name": "",
        "description": "",
        "tags": None,
        "system_metrics": {"duration": row.duration, "total_tokens": row.usage.total_tokens},
        "result": row.outputs if row.status == "completed" else None,
        "upload_metrics": False,
        "otel_trace_id": row.trace_id or "",
        "message_format": "basic",
    }
    return {
        "line_number": line,
        "run_info": info,
        "start_time": info["start_time"],
        "end_time": info["end_time"],
        "name": "",
        "description": "",
        "status": info["status"],
        "tags": None,
    }


def _node_record(run: Run, row: RunRow, node: NodeResult, line: int) -> dict[str, Any]:
    info = {
        "node": node.node,
        "flow_run_id": run.name,
        "run_id": f"{run.name}_{node.node}_{line}",
        "status": _STATUS[node.status],
        "inputs": {},
        "output": node.output,
        "metrics": None,
        "error": _error(node.error) if node.error is not None else None,
        "parent_run_id": f"{run.name}_{line}",
        "start_time": _moment(node.started_at),
        "end_time": _moment(node.started_at + node.duration),
        "index": line,
        "api_calls": None,
        "cached_run_id": None,
        "cached_flow_run_id": None,
        "logs": None,
        "system_metrics": {"duration": node.duration},
        "result": node.output,
        "message_format": "basic",
    }
    return {
        "NodeName": node.node,
        "line_number": line,
        "run_info": info,
        "start_time": info["start_time"],
        "end_time": info["end_time"],
        "status": info["status"],
    }


def _error(error: ErrorInfo) -> dict[str, Any]:
    return {"message": error.message, "code": "UserError", "innerError": {"code": error.type, "innerError": None}}


def _summary(run: Run, errors: list[dict[str, Any]]) -> dict[str, Any]:
    first = errors[0]["error"]["message"]
    message = f"Failed to run {len(errors)}/{run.counts.done} lines. First error message is: {first}"
    return {
        "message": message,
        "messageFormat": "",
        "messageParameters": {},
        "code": "UserError",
        "additionalInfo": [{"type": "ErrorDetails", "info": {"errors": errors}}],
    }


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()
