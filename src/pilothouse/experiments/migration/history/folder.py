"""The folder that prompt flow writes for a run: a file for each row, one for each node of each row, and their sums.

The artifacts are read first: the files of outputs beside them have numbers that were rounded to ten digits.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

from pilothouse.core.errors import DataError, NotFound
from pilothouse.experiments.migration.history.images import with_images
from pilothouse.experiments.migration.history.types import Facts, NodeState, RecordedNode, RecordedRow, Recording
from pilothouse.models.types import Usage

LINE: Final = "line_number"
_ARTIFACTS: Final = "flow_artifacts"
_NODES: Final = "node_artifacts"
_STATES: Final[dict[str, NodeState]] = {"Completed": "completed", "Failed": "failed", "Bypassed": "bypassed"}
_ROUNDED: Final = "outputs.jsonl"

Object = dict[str, Any]


def is_run_folder(folder: Path) -> bool:
    """Return whether ``folder`` looks like that of a run."""
    return any((folder / name).exists() for name in (_ARTIFACTS, "flow_outputs", _ROUNDED))


def read_folder(folder: Path, facts: Facts | None = None) -> Recording:
    """Return the run that a folder holds.

    Args:
        folder: The folder, also of a run that was downloaded from Azure ML.
        facts: What the books say about it.

    Raises:
        NotFound: when it is no folder of a run.
        DataError: for a file that cannot be read, with its line.
    """
    if not is_run_folder(folder):
        raise NotFound(
            "this is no folder of a run of prompt flow",
            where=str(folder),
            expected=f"{_ARTIFACTS}/, flow_outputs/ or {_ROUNDED} in it",
            fix="name a folder below ~/.promptflow/.runs, or a downloaded run",
        )
    notes: list[str] = []
    inputs = {int(item[LINE]): _without_line(item) for item in _objects(folder / "inputs.jsonl") if LINE in item}
    nodes, aggregation = _nodes(folder)
    rows = _from_artifacts(folder, inputs) or _from_outputs(folder, inputs, notes)
    for number in inputs.keys() - rows.keys():
        rows[number] = RecordedRow(id=str(number), state="missing", inputs=inputs[number])
    images = partial(with_images, folders=(folder / _ARTIFACTS, folder / "flow_outputs", folder / "snapshot"))
    return Recording(
        facts=facts or Facts(name=folder.name),
        where=str(folder),
        made_by="prompt flow",
        rows=tuple(
            RecordedRow(
                id=row.id,
                state=row.state,
                inputs=images(row.inputs),
                outputs=images(row.outputs),
                nodes=nodes.get(number, {}),
                error=row.error,
                usage=row.usage,
                seconds=row.seconds,
                ended_at=row.ended_at,
            )
            for number, row in sorted(rows.items())
        ),
        aggregation=aggregation,
        metrics=_whole(folder / "metrics.json"),
        notes=tuple(notes),
    )


def _from_artifacts(folder: Path, inputs: dict[int, Object]) -> dict[int, RecordedRow]:
    rows: dict[int, RecordedRow] = {}
    for file in sorted((folder / _ARTIFACTS).glob("*.jsonl")):
        for item in _objects(file):
            info = _object(item.get("run_info"))
            number = item.get(LINE, info.get("index"))
            if number is None:
                continue
            has_ended_well = info.get("status") == "Completed"
            output = info.get("output") if info.get("output") is not None else info.get("result")
            rows[int(number)] = RecordedRow(
                id=str(int(number)),
                state="completed" if has_ended_well else "failed",
                inputs=_without_line(_object(info.get("inputs"))) or inputs.get(int(number), {}),
                outputs=_outputs(output) if has_ended_well else {},
                error=_message(info.get("error")) or ("" if has_ended_well else str(info.get("status"))),
                usage=_usage(info),
                seconds=_seconds(info),
                ended_at=moment(info.get("end_time")),
            )
    return rows


def _from_outputs(folder: Path, inputs: dict[int, Object], notes: list[str]) -> dict[int, RecordedRow]:
    """Return the rows of a folder without artifacts: their outputs, and the errors that were summed up."""
    file = folder / "flow_outputs" / "output.jsonl"
    if not file.is_file():
        file = folder / _ROUNDED
        notes.append(f"only {_ROUNDED} is there, in which prompt flow rounded numbers to ten digits")
    rows: dict[int, RecordedRow] = {}
    for place, item in enumerate(_objects(file)):
        number = int(item.get(LINE, place))
        rows[number] = RecordedRow(
            id=str(number), state="completed", inputs=inputs.get(number, {}), outputs=_without_line(item)
        )
    for number, message in _errors(folder):
        rows[number] = RecordedRow(id=str(number), state="failed", inputs=inputs.get(number, {}), error=message)
    return rows


def _errors(folder: Path) -> Iterator[tuple[int, str]]:
    summary = _whole(folder / "error.json")
    for more in cast("list[Any]", summary.get("additionalInfo") or []):
        for item in cast("list[Any]", _object(_object(more).get("info")).get("errors") or []):
            error = _object(item)
            number = error.get(LINE, error.get("line number"))
            if number is not None:
                yield int(number), _message(error.get("error"))


def _nodes(folder: Path) -> tuple[dict[int, dict[str, RecordedNode]], dict[str, RecordedNode]]:
    """Return the nodes of each row, and those that ran once for all of them."""
    rows: dict[int, dict[str, RecordedNode]] = {}
    once: dict[str, RecordedNode] = {}
    place = folder / _NODES
    for node in sorted(place.iterdir()) if place.is_dir() else ():
        for file in sorted(node.glob("*.jsonl")):
            for item in _objects(file):
                info = _object(item.get("run_info"))
                number, name = item.get(LINE, info.get("index")), str(item.get("NodeName") or node.name)
                target = once if number is None else rows.setdefault(int(number), {})
                target[name] = _node(info, node)
    return rows, once


def _node(info: Object, folder: Path) -> RecordedNode:
    output = info.get("output") if info.get("output") is not None else info.get("result")
    inputs = info.get("inputs")
    return RecordedNode(
        state=_STATES.get(str(info.get("status")), "failed"),
        inputs=with_images(_object(inputs), [folder]) if isinstance(inputs, dict) else None,
        output=with_images(output, [folder]),
        error=_message(info.get("error")),
    )


def _whole(file: Path) -> Object:
    """Return the one object of a file; an empty one where the file is not there."""
    return next(_objects(file, whole=True), Object())


def _objects(file: Path, *, whole: bool = False) -> Iterator[Object]:
    """Yield the JSON objects of a file, one on each line or one in the whole of it; no file has none.

    Python's own reader is used, because prompt flow writes NaN, which is no JSON.
    """
    if not file.is_file():
        return
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise DataError(f"this file of the recorded run cannot be read: {error}", where=str(file)) from error
    for number, line in enumerate([text] if whole else text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            value: object = json.loads(line)
        except ValueError as error:
            raise DataError(f"this is not JSON: {error}", where=f"{file}:{number}") from error
        if not isinstance(value, dict):
            raise DataError("this is no JSON object", where=f"{file}:{number}", expected='{"line_number": 0, ...}')
        yield cast("Object", value)


def _object(value: Any) -> Object:
    return cast("Object", value) if isinstance(value, dict) else {}


def _outputs(value: Any) -> Object:
    return cast("Object", value) if isinstance(value, dict) else {} if value is None else {"output": value}


def _without_line(value: Object) -> Object:
    return {key: item for key, item in value.items() if key != LINE}


def _message(error: Any) -> str:
    return str(_object(error).get("message") or "") if isinstance(error, dict) else str(error or "")


def _usage(info: Object) -> Usage:
    told = _object(info.get("system_metrics"))
    return Usage(input_tokens=_count(told.get("prompt_tokens")), output_tokens=_count(told.get("completion_tokens")))


def _count(value: Any) -> int:
    return int(value) if isinstance(value, int | float) else 0


def _seconds(info: Object) -> float:
    value = _object(info.get("system_metrics")).get("duration")
    return float(value) if isinstance(value, int | float) else 0.0


def moment(text: Any) -> datetime | None:
    """Return a time as prompt flow writes it, which is UTC whether it says so or not; None when it is none."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
