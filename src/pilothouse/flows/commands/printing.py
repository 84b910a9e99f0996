"""What the verbs of `flow` print: results, notes, errors."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Sequence
from typing import Any, cast

from msgspec.structs import replace
from rich.text import Text

from pilothouse.core.terminal import console, emit_json, table
from pilothouse.flows.results import AggregationResult, ErrorInfo, LineResult, NodeResult

_RESULT_COLUMNS = ("node", "status", ">seconds", ">tokens in", ">tokens out", "model")


def print_at_once() -> None:
    """Write each line as it is printed, also into a pipe: what tools print must not wait for the end."""
    out: object = sys.stdout
    if isinstance(out, io.TextIOWrapper):
        cast("io.TextIOWrapper[Any]", out).reconfigure(line_buffering=True)


def line_data(line: LineResult) -> dict[str, Any]:
    """Return the result of a line as data for programs."""
    nodes = [replace(node, output=as_json(node.output)) for node in line.nodes]
    outputs = {name: as_json(value) for name, value in line.outputs.items()}
    return {"status": line.status, "inputs": line.inputs, "outputs": outputs, "nodes": nodes, "error": line.error,
            "duration": line.duration, "usage": line.usage, "trace_id": line.trace_id, "notes": line.notes}  # fmt: skip


def as_json(value: Any) -> Any:
    """Return a value that JSON can hold; what it cannot hold as its repr."""
    return json.loads(as_text(value)) if isinstance(value, dict | list) else value if _is_plain(value) else repr(value)


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | bool)


def as_text(value: Any) -> str:
    """Return a value as a person reads it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=repr)


def print_line(line: LineResult, but: str | None = None) -> None:
    """Print the outputs and nodes of a line; ``but`` one output that has been printed as it came."""
    out = console()
    if line.line_number or line.status == "failed":
        out.print(Text(f"line {line.line_number}: {line.status}", style="bold"))
    for name, value in line.outputs.items():
        if name == but:
            continue
        out.print(Text(f"{name}: ", style="bold") + Text(as_text(value)), soft_wrap=True)
    out.print(table(None, _RESULT_COLUMNS, map(_result_row, line.nodes)))
    if line.trace_id:
        out.print(Text(f"trace {line.trace_id}", style="dim"))
    if line.error is not None:
        print_error(line.error)


def _result_row(result: NodeResult) -> tuple[Any, ...]:
    usage = result.usage or result.cached_usage
    spent = (usage.input_tokens, usage.output_tokens) if usage is not None else (None, None)
    return result.node, result.status, f"{result.duration:.3f}", *spent, result.model


def print_aggregation(made: AggregationResult) -> None:
    """Print metrics and what was wrong."""
    rows = [(name, f"{value:g}") for name, value in made.metrics.items()]
    console().print(table("Metrics", ("metric", ">value"), rows))
    print_notes(made.notes)
    if made.error is not None:
        print_error(made.error)


def tell_node(result: NodeResult, *, is_json: bool) -> bool:
    """Print the result of one node; return whether it did not fail."""
    if is_json:
        emit_json(replace(result, output=as_json(result.output)))
    else:
        console().print(Text(as_text(result.output)), soft_wrap=True)
        console().print(table(None, _RESULT_COLUMNS, [_result_row(result)]))
        if result.error is not None:
            print_error(result.error)
    return result.status != "failed"


def print_error(error: ErrorInfo) -> None:
    """Print a failure, with the frames of the user's code."""
    out = console(stderr=True)
    if error.traceback:
        out.print(Text(error.traceback.rstrip()), soft_wrap=True)
    place = f" in node '{error.node}'" if error.node else ""
    out.print(Text(f"error{place}: {error.type}: {error.message}", style="red"), soft_wrap=True)


def print_notes(notes: Sequence[str]) -> None:
    """Print warnings."""
    for note in notes:
        console(stderr=True).print(Text(f"note: {note}", style="yellow"), soft_wrap=True)
