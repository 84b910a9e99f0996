"""One node run by itself, on inputs that are given in place of what it would read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from pilothouse.core.errors import DataError, NotFound, nearest_hint
from pilothouse.flows.dag.references import follow
from pilothouse.flows.running.plan import Plan
from pilothouse.flows.types import Flow, Node, Reference


def single_node(flow: Flow, plans: Sequence[Plan], name: str, given: Mapping[str, Any]) -> tuple[Plan, dict[str, Any]]:
    """Return a plan of the node alone, and the values that it reads.

    Raises:
        NotFound: when the flow has no such node.
        DataError: when something that it reads is not given.
    """
    node = flow.node(name)
    found = next(((plan, item) for plan in plans for item in plan.nodes if item.name == name), None)
    if node is None or found is None:
        raise NotFound(
            f"the flow has no node '{name}'", expected=nearest_hint(name, [item.name for item in flow.nodes])
        )
    plan, item = found
    references = {key: value for key, value in node.inputs.items() if isinstance(value, Reference)}
    alone = replace(
        item,
        index=0,
        from_flow=tuple((key, key) for key in references),
        from_nodes=(),
        condition=None,
        dependencies=(),
        dependents=(),
        chain=(),
    )
    values = {key: _value(flow, node, key, value, given) for key, value in references.items()}
    return replace(plan, nodes=(alone,), roots=(0,), outputs=(), gives_all=False, can_bypass=False, taps={}), values


def _value(flow: Flow, node: Node, key: str, reference: Reference, given: Mapping[str, Any]) -> Any:
    value = _found(flow, key, reference, given)
    if not node.aggregation:
        return value
    source = flow.node(reference.name) if reference.source == "node" else None
    return value if source is not None and source.aggregation else [value]


def _found(flow: Flow, key: str, reference: Reference, given: Mapping[str, Any]) -> Any:
    text = reference.text[2:-1]
    if text in given:
        return given[text]
    if reference.source == "node":
        whole = f"{reference.name}.output"
        if whole in given or reference.name in given:
            return follow(given[whole] if whole in given else given[reference.name], reference)
    for name in (key, *((reference.name, f"inputs.{reference.name}") if reference.source == "input" else ())):
        if name in given:
            return given[name]
    declared = flow.inputs.get(reference.name) if reference.source == "input" else None
    if declared is not None and declared.has_default:
        return declared.default
    raise DataError(
        f"the node reads {reference.text}, which is not given",
        where=reference.where,
        fix=f"give it as {text}=<value>",
    )
