"""What aggregation nodes get: every flow input and node output that they read, as a list with one item a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pilothouse.flows.dag.references import follow
from pilothouse.flows.results import LineResult, NodeResult
from pilothouse.flows.running.plan import Plan, input_key
from pilothouse.flows.types import Flow, Reference


def aggregated_references(flow: Flow) -> tuple[Reference, ...]:
    """Return what the aggregation nodes read from lines, each once."""
    aggregations = {node.name for node in flow.nodes if node.aggregation}
    found: dict[str, Reference] = {}
    for node in flow.nodes:
        if node.aggregation:
            for reference in node.references:
                if reference.source == "input" or reference.name not in aggregations:
                    found.setdefault(input_key(reference), reference)
    return tuple(found.values())


def completed_in_order(lines: Sequence[LineResult]) -> list[LineResult]:
    """Return the completed lines by their numbers.

    All lists are made from this one sequence, so that item ``i`` of each belongs to the same line, whatever order
    the lines were finished or resumed in.
    """
    return sorted((line for line in lines if line.status == "completed"), key=lambda line: line.line_number)


def aggregation_inputs(references: Sequence[Reference], plan: Plan, lines: Sequence[LineResult]) -> dict[str, Any]:
    """Return the lists that the aggregation nodes read, by the keys of the plan.

    Raises:
        FlowError: when the path of a reference leads nowhere in some line.
        DataError: when an input of a line is not of its type.
    """
    lists: dict[str, list[Any]] = {input_key(reference): [] for reference in references}
    for line in lines:
        inputs, _ = plan.read_inputs(line.inputs, line.line_number)
        for reference in references:
            lists[input_key(reference)].append(_value(reference, line, inputs))
    return dict(lists)


def _value(reference: Reference, line: LineResult, inputs: dict[str, Any]) -> Any:
    if reference.source == "input":
        return inputs[reference.name]
    result: NodeResult | None = line.node(reference.name)
    # A bypassed node gives null, and keeps its place in the list.
    if result is None or result.status == "bypassed":
        return None
    return follow(result.output, reference)
