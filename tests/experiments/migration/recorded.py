"""Runs as prompt flow leaves them on a disk: a file for each row and node, and a line in its database."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

COLUMNS = (
    "name, type, created_on, status, display_name, description, tags, properties, archived, start_time, end_time, "
    "data, run_source, portal_url"
)


def row(number: int, inputs: Any, output: Any = None, *, error: str = "", nodes: Any = None) -> dict[str, Any]:
    """One row: ``nodes`` is name -> (inputs, output), or name -> None for one that was bypassed."""
    return {"number": number, "inputs": inputs, "output": output, "error": error, "nodes": nodes or {}}


def run_folder(
    folder: Path,
    rows: Sequence[Mapping[str, Any]],
    *,
    metrics: Mapping[str, Any] | None = None,
    aggregation: Mapping[str, Any] | None = None,
    batch: int = 1,
) -> Path:
    """Write a run's folder; ``batch`` rows stand in one file of artifacts, as Azure ML has it."""
    for item in rows:
        number = item["number"]
        first = number // batch * batch
        info = _info(item["inputs"], item["output"], item["error"], number)
        _add(folder / f"flow_artifacts/{first:09}_{first + batch - 1:09}.jsonl", info)
        _add(folder / "inputs.jsonl", {**item["inputs"], "line_number": number})
        if not item["error"]:
            _add(folder / "flow_outputs/output.jsonl", {"line_number": number, **item["output"]})
        for name, given in item["nodes"].items():
            _add(folder / f"node_artifacts/{name}/{number:09}.jsonl", _node(name, given, number))
    for name, given in (aggregation or {}).items():
        _add(folder / f"node_artifacts/{name}/000000000.jsonl", _node(name, given, None))
    (folder / "metrics.json").write_text(json.dumps(dict(metrics or {})))
    (folder / "meta.json").write_text(json.dumps({"batch_size": batch}))
    return folder


def books(home: Path, *runs: Mapping[str, Any]) -> Path:
    """Write the database; each run has at least a ``name``, and its folder is below ``home/.runs``."""
    home.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(home / "pf.sqlite") as database:
        database.execute(f"CREATE TABLE run_info ({COLUMNS})")
        for number, run in enumerate(runs):
            properties = {"output_path": str(home / ".runs" / run["name"]), **run.get("properties", {})}
            known = {
                "name": run["name"],
                "created_on": f"2026-01-02T03:04:{number:02}.5+00:00",
                "status": run.get("status", "Completed"),
                "tags": json.dumps(run.get("tags", {})),
                "properties": json.dumps(properties),
                "archived": run.get("archived", 0),
                "data": run.get("data"),
            }
            names = ", ".join(known)
            marks = ", ".join(f":{name}" for name in known)
            database.execute(f"INSERT INTO run_info ({names}) VALUES ({marks})", known)
    database.close()
    return home


def _info(inputs: Any, output: Any, error: str, number: int) -> dict[str, Any]:
    status = "Failed" if error else "Completed"
    return {
        "line_number": number,
        "run_info": {
            "run_id": f"r_{number}",
            "status": status,
            "error": {"message": error, "code": "UserError"} if error else None,
            "inputs": {**inputs, "line_number": number},
            "output": None if error else output,
            "start_time": "2026-01-02T03:05:06.000000Z",
            "end_time": f"2026-01-02T03:05:{7 + number:02}.250000Z",
            "index": number,
            "api_calls": [],
            "system_metrics": {"duration": 0.25, "prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
            "result": None,
        },
        "status": status,
    }


def _node(name: str, given: Any, number: int | None) -> dict[str, Any]:
    inputs, output = given if given is not None else (None, None)
    status = "Completed" if given is not None else "Bypassed"
    info = {"node": name, "status": status, "inputs": inputs, "output": output, "error": None, "index": number}
    return {"NodeName": name, "line_number": number, "run_info": info, "status": status}


def _add(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.read_text() + "\n" if path.exists() else ""
    # As prompt flow does: NaN stands in it, and no line end behind the last line.
    path.write_text(before + json.dumps(value))
