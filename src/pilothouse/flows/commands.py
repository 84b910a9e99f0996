"""Flows of the project: list, look at one, try it on an input."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import click
from msgspec.structs import replace
from rich.text import Text

from pilothouse.core.errors import DataError, UserError, nearest_hint
from pilothouse.core.services import Services
from pilothouse.core.terminal import console, emit_json, table
from pilothouse.flows.dag.variants import chosen, parse_variant
from pilothouse.flows.drawing import draw
from pilothouse.flows.library import FlowEntry, find_flows, locate
from pilothouse.flows.loader import load_flow
from pilothouse.flows.nodes.opening import INIT
from pilothouse.flows.project import project_runner
from pilothouse.flows.results import AggregationResult, ErrorInfo, LineResult, NodeResult
from pilothouse.flows.runner import FlowRunner
from pilothouse.flows.types import Flow, Node, Reference
from pilothouse.models.service import ModelService

_RESULT_COLUMNS = ("node", "status", ">seconds", ">tokens in", ">tokens out", "model")

json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON for programs.")
variant_option = click.option(
    "--variant", "variants", multiple=True, metavar="'${NODE.ID}'", help="Use a variant; may be given once per node."
)


@click.group()
def flow() -> None:
    """Flows of the project: list, look at one, try it on an input."""


@flow.command("list")
@json_option
@click.pass_obj
def list_(services: Services, as_json: bool) -> None:
    """List the flows of the project, those that cannot be read with the reason."""
    entries = find_flows(services.root)
    if as_json:
        emit_json([_entry_data(entry) for entry in entries])
    elif entries:
        rows = [_entry_row(entry) for entry in entries]
        console().print(table(None, ("flow", "path", "type", ">nodes", "variants", "digest"), rows))
        for entry in entries:
            if entry.error is not None:
                console(stderr=True).print(Text(str(entry.error)), soft_wrap=True)
    else:
        console().print(
            f"No flow below {services.root}. A flow is a folder with flow.dag.yaml or flow.flex.yaml, or a prompty."
        )
    if any(entry.error is not None for entry in entries):
        raise click.exceptions.Exit(1)


@flow.command()
@click.argument("path")
@variant_option
@json_option
@click.pass_obj
def show(services: Services, path: str, variants: Sequence[str], as_json: bool) -> None:
    """Show one flow, given by path or name: its graph, nodes, inputs, outputs and variants."""
    shown = chosen(load_flow(locate(services.root, path)), dict(map(parse_variant, variants)))
    if as_json:
        emit_json(_flow_data(shown))
        return
    out = console()
    out.print(Text(f"{shown.name}  {shown.type}  {shown.digest[:12]}", style="bold"))
    if shown.description:
        out.print(Text(shown.description))
    out.print(Text(draw(shown, out.width)), soft_wrap=True)
    out.print("", table("Nodes", ("node", "type", "source", "reads", "remarks"), map(_node_row, shown.nodes)))
    inputs = [
        (item.name, item.type, json.dumps(item.default, ensure_ascii=False) if item.has_default else "")
        for item in shown.inputs.values()
    ]
    out.print("", table("Inputs", ("input", "type", "default"), inputs))
    outputs = [(item.name, item.type, getattr(item.reference, "text", "")) for item in shown.outputs.values()]
    out.print("", table("Outputs", ("output", "type", "from"), outputs))
    if shown.node_variants:
        out.print("", table("Variants", ("variant", "in use", "source"), _variant_rows(shown)))
    _print_notes(shown.notes)


@flow.command()
@click.argument("path")
@click.argument("pairs", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--inputs", multiple=True, metavar="KEY=VALUE|FILE", help="An input, or a .json or .jsonl file of them.")
@click.option("--init", multiple=True, metavar="KEY=VALUE", help="An argument of the class of a flex flow.")
@click.option("--node", help="Run this node alone; inputs are then named node.output or inputs.name.")
@variant_option
@json_option
@click.pass_obj
def test(
    services: Services,
    path: str,
    pairs: Sequence[str],
    inputs: Sequence[str],
    init: Sequence[str],
    node: str | None,
    variants: Sequence[str],
    as_json: bool,
) -> None:
    """Run a flow, or one node of it, on one input and show what every node did."""
    tried = load_flow(locate(services.root, path))
    rows = read_rows([*inputs, *pairs])
    if node is None:
        check_rows(tried, rows)
    made_of = {INIT: dict(map(_pair, init))} if init else None
    runner = project_runner(services, tried, variants=dict(map(parse_variant, variants)), connections=made_of)
    # Tools that open files by relative names find them, as in prompt flow.
    with contextlib.chdir(tried.folder):
        is_well = asyncio.run(_test(services, runner, rows, node, as_json=as_json))
    if not is_well:
        raise click.exceptions.Exit(1)


async def _test(
    services: Services, runner: FlowRunner, rows: list[dict[str, Any]], node: str | None, *, as_json: bool
) -> bool:
    try:
        async with runner:
            if node is not None:
                return _tell_node(await runner.run_node(node, rows[0]), as_json=as_json)
            lines = [await runner.run_line(row, line_number=number) for number, row in enumerate(rows)]
            made = await runner.aggregate(lines) if runner.flow.has_aggregation else None
    finally:
        await services.get(ModelService).aclose()
    for line in lines:
        if line.error is not None and line.error.type == DataError.__name__ and not line.nodes:
            raise DataError(line.error.message)
    if as_json:
        found = [_line_data(line) for line in lines]
        emit_json({"flow": runner.flow.name, "lines": found, "aggregation": made})
    else:
        for line in lines:
            _print_line(line)
        if made is not None:
            _print_aggregation(made)
        _print_notes([*runner.flow.notes, *dict.fromkeys(note for line in lines for note in line.notes)])
    return all(line.status == "completed" for line in lines) and (made is None or made.error is None)


# Inputs


def read_rows(given: Sequence[str]) -> list[dict[str, Any]]:
    """Return the inputs of the lines to be run: those of a file, with single values on top.

    Raises:
        UserError: for text that is neither ``key=value`` nor a file.
        DataError: for a file that is not JSON, with its line.
    """
    rows: list[dict[str, Any]] = [{}]
    values: dict[str, Any] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if equals and not Path(text).is_file():
            values[key] = value
        elif Path(text).is_file():
            rows = _read_file(Path(text))
        else:
            raise UserError(f"'{text}' is neither an input nor a file", expected="key=value, file.json or file.jsonl")
    return [{**row, **values} for row in rows]


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"'{text}' is not a pair", where="--init", expected="key=value")
    return key, value


def _read_file(path: Path) -> list[dict[str, Any]]:
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix == ".jsonl":
        numbered = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        return [_row(_parsed(line, f"{path}:{number}"), f"{path}:{number}") for number, line in numbered]
    data = _parsed(text, str(path))
    items: list[Any] = cast("list[Any]", data) if isinstance(data, list) else [data]
    return [_row(item, str(path)) for item in items]


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise DataError(f"this is not JSON: {error}", where=where) from error


def _row(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DataError("this is not an object with inputs", where=where, expected='{"input": value}')
    return cast("dict[str, Any]", value)


def check_rows(tried: Flow, rows: Sequence[dict[str, Any]]) -> None:
    """Refuse inputs that the flow does not have.

    Raises:
        UserError: naming the nearest input.
    """
    for row in rows:
        for name in row:
            if name not in tried.inputs:
                raise UserError(f"the flow has no input '{name}'", expected=nearest_hint(name, tried.inputs))


# What is shown


def _entry_data(entry: FlowEntry) -> dict[str, Any]:
    found = _flow_data(entry.flow) if entry.flow is not None else {"name": entry.name}
    return {**found, "path": str(entry.path), "error": str(entry.error) if entry.error is not None else None}


def _entry_row(entry: FlowEntry) -> tuple[Any, ...]:
    found = entry.flow
    if found is None:
        return entry.name, str(entry.path), "cannot be read", None, None, None
    return found.name, str(entry.path), found.type, len(found.nodes), _variant_names(found), found.digest[:12]


def _variant_names(shown: Flow) -> str:
    return "; ".join(f"{name}: {', '.join(shown.node_variants[name].variants)}" for name in shown.variants)


def _flow_data(shown: Flow) -> dict[str, Any]:
    return {
        "name": shown.name,
        "kind": shown.kind,
        "type": shown.type,
        "path": str(shown.path),
        "digest": shown.digest,
        "inputs": {item.name: {"type": item.type, "default": item.default} for item in shown.inputs.values()},
        "outputs": {item.name: getattr(item.reference, "text", None) for item in shown.outputs.values()},
        "nodes": [_node_data(node) for node in shown.nodes],
        "variants": {name: sorted(shown.node_variants[name].variants) for name in shown.variants},
        "variants_in_use": shown.variants,
        "notes": shown.notes,
    }


def _node_data(node: Node) -> dict[str, Any]:
    return {
        "name": node.name,
        "type": node.type,
        "source": node.source.path or node.source.tool,
        "connection": node.connection,
        "aggregation": node.aggregation,
        "inputs": {
            name: value.text if isinstance(value, Reference) else value.value for name, value in node.inputs.items()
        },
    }


def _node_row(node: Node) -> tuple[Any, ...]:
    reads = ", ".join(dict.fromkeys(item.text[2:-1] for item in node.references))
    remarks = [
        *([f"variant {node.variant}"] if node.variant else []),
        *([f"connection {node.connection}"] if node.connection else []),
        *(["aggregation"] if node.aggregation else []),
        *(["activate"] if node.activate else []),
        *(["cache"] if node.enable_cache else []),
    ]
    return node.name, node.type, node.source.path or node.source.tool, reads, ", ".join(remarks)


def _variant_rows(shown: Flow) -> list[tuple[Any, ...]]:
    return [
        (f"${{{name}.{item.id}}}", "yes" if shown.variants.get(name) == item.id else "", item.node.source.path)
        for name, variants in shown.node_variants.items()
        for item in variants.variants.values()
    ]


def _line_data(line: LineResult) -> dict[str, Any]:
    nodes = [replace(node, output=_json(node.output)) for node in line.nodes]
    outputs = {name: _json(value) for name, value in line.outputs.items()}
    return {"status": line.status, "inputs": line.inputs, "outputs": outputs, "nodes": nodes, "error": line.error,
            "duration": line.duration, "usage": line.usage, "trace_id": line.trace_id, "notes": line.notes}  # fmt: skip


def _json(value: Any) -> Any:
    return json.loads(_shown(value)) if isinstance(value, dict | list) else value if _is_plain(value) else repr(value)


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | bool)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=repr)


def _print_line(line: LineResult) -> None:
    out = console()
    if line.line_number or line.status == "failed":
        out.print(Text(f"line {line.line_number}: {line.status}", style="bold"))
    for name, value in line.outputs.items():
        out.print(Text(f"{name}: ", style="bold") + Text(_shown(value)), soft_wrap=True)
    out.print(table(None, _RESULT_COLUMNS, map(_result_row, line.nodes)))
    if line.trace_id:
        out.print(Text(f"trace {line.trace_id}", style="dim"))
    if line.error is not None:
        _print_error(line.error)


def _result_row(result: NodeResult) -> tuple[Any, ...]:
    usage = result.usage or result.cached_usage
    spent = (usage.input_tokens, usage.output_tokens) if usage is not None else (None, None)
    return result.node, result.status, f"{result.duration:.3f}", *spent, result.model


def _print_aggregation(made: AggregationResult) -> None:
    rows = [(name, f"{value:g}") for name, value in made.metrics.items()]
    console().print(table("Metrics", ("metric", ">value"), rows))
    _print_notes(made.notes)
    if made.error is not None:
        _print_error(made.error)


def _tell_node(result: NodeResult, *, as_json: bool) -> bool:
    if as_json:
        emit_json(replace(result, output=_json(result.output)))
    else:
        console().print(Text(_shown(result.output)), soft_wrap=True)
        console().print(table(None, _RESULT_COLUMNS, [_result_row(result)]))
        if result.error is not None:
            _print_error(result.error)
    return result.status != "failed"


def _print_error(error: ErrorInfo) -> None:
    out = console(stderr=True)
    if error.traceback:
        out.print(Text(error.traceback.rstrip()), soft_wrap=True)
    place = f" in node '{error.node}'" if error.node else ""
    out.print(Text(f"error{place}: {error.type}: {error.message}", style="red"), soft_wrap=True)


def _print_notes(notes: Sequence[str]) -> None:
    for note in notes:
        console(stderr=True).print(Text(f"note: {note}", style="yellow"), soft_wrap=True)
