"""`flow list` and `flow show`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click
from rich.text import Text

from pilothouse.core.services import Services
from pilothouse.core.terminal import console, emit_json, table
from pilothouse.flows.commands.options import json_option, variant_option
from pilothouse.flows.commands.printing import print_notes
from pilothouse.flows.dag.variants import chosen, parse_variant
from pilothouse.flows.drawing import draw
from pilothouse.flows.library import FlowEntry, find_flows, locate
from pilothouse.flows.loader import load_flow
from pilothouse.flows.types import Flow, Node, Reference


@click.command("list", short_help="List the flows of the project.")
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


@click.command(short_help="Show a flow: its graph, inputs, outputs, variants.")
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
    print_notes(shown.notes)


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
