"""A flow compiled for running: everything that can be known before the first line is worked out here, once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from pilothouse.core.errors import DataError
from pilothouse.flows.nodes.literals import CONVERTERS
from pilothouse.flows.nodes.work import Mode, Work
from pilothouse.flows.prompts.images import load_image, load_images
from pilothouse.flows.types import Activate, Flow, FlowInput, FlowOutput, InputValue, LiteralValue, Node, Reference
from pilothouse.models.secret import Secret
from pilothouse.tracing import conventions

_EXACT: dict[str, type] = {"string": str, "int": int, "double": float, "bool": bool}


class FromNode(Struct, frozen=True):
    """An input read from another node: parameter, place of the node, path, and whether it may be left out."""

    parameter: str
    slot: int
    reference: Reference
    optional: bool


class Condition(Struct, frozen=True):
    """An activate condition: ``slot`` of a node, or the name of a flow input."""

    slot: int | None
    reference: Reference
    expected: Any


class PlanNode(Struct, frozen=True, kw_only=True):
    """One node, compiled.

    Attributes:
        index: Its place in the plan, which is also its slot in a line.
        name: Its name.
        work: What it does.
        constants: Literal inputs.
        copied: Whether some of those are lists or mappings, of which each line gets its own.
        from_flow: (parameter, flow input) of each input read from the flow's inputs.
        from_nodes: Inputs read from other nodes.
        condition: Its activate condition.
        dependencies: Places of the nodes it waits for.
        dependents: Places of the nodes that wait for it.
        chain: Nodes that are run behind it in the same thread, because nothing else can become ready by it.
        is_threaded: Whether it is a sync tool that a line runs in a thread by itself.
        span_name: Name of its span.
        attributes: Attributes of its span that never change.
    """

    index: int
    name: str
    work: Work
    constants: dict[str, Any]
    copied: bool
    from_flow: tuple[tuple[str, str], ...]
    from_nodes: tuple[FromNode, ...]
    condition: Condition | None
    dependencies: tuple[int, ...]
    dependents: tuple[int, ...]
    chain: tuple[int, ...] = ()
    is_threaded: bool
    span_name: str
    attributes: dict[str, str]


class InputSpec(Struct, frozen=True, kw_only=True):
    """A declared input, compiled: values whose class is ``exact`` pass without conversion."""

    name: str
    type: str
    default: Any
    has_default: bool
    default_in_code: bool
    exact: type | None
    convert: Callable[[Any], Any] | None


class OutputSpec(Struct, frozen=True, kw_only=True):
    """A declared output, compiled: read from a slot, a flow input, or a literal."""

    name: str
    value: InputValue
    slot: int | None


class Plan(Struct, frozen=True, kw_only=True):
    """What a line runs.

    Attributes:
        span_name: Name of the span around a line.
        nodes: In an order in which every node stands behind what it waits for.
        roots: Places of the nodes that wait for nothing.
        inputs: Declared inputs.
        outputs: Declared outputs.
        promised: Names of outputs that the first node is to give, where it gives them all.
        gives_all: Whether a line's outputs are the items of what its first node gives, and ``outputs`` is empty.
        folder: Where files of images are looked for.
        can_bypass: Whether some node has an activate condition.
        has_images: Whether images may be among the values.
        is_serial: Whether never more than one node is ready.
        taps: Places of the nodes whose output may stream, with the outputs that each one is; none are named where a
            line's outputs are what its first node gives.
        attributes: Attributes of a line's span that never change.
        secrets: What must not stand in any record: the secrets of connections that its tools were given.
    """

    span_name: str
    nodes: tuple[PlanNode, ...]
    roots: tuple[int, ...]
    inputs: tuple[InputSpec, ...]
    outputs: tuple[OutputSpec, ...]
    gives_all: bool
    promised: tuple[str, ...] = ()
    folder: Path
    can_bypass: bool
    has_images: bool
    is_serial: bool
    taps: dict[int, tuple[str, ...]] = {}
    attributes: dict[str, str]
    secrets: tuple[Secret, ...] = ()

    @property
    def is_sync(self) -> bool:
        """Whether a line can be run from start to end in one thread without waiting for anything."""
        return self.is_serial and all(node.is_threaded or node.work.mode is Mode.INLINE for node in self.nodes)

    @property
    def streams(self) -> bool:
        """Whether some output is certain to come piece by piece where somebody listens."""
        return any(self.nodes[place].work.streams for place in self.taps)

    def read_inputs(self, given: Mapping[str, Any], line_number: int | None) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the declared inputs, as nodes get them and as they are recorded.

        Raises:
            DataError: for an input that is missing, or not of its type.
        """
        values: dict[str, Any] = {}
        for spec in self.inputs:
            if spec.name in given:
                value = given[spec.name]
            elif spec.default_in_code:
                continue
            elif spec.has_default:
                value = deepcopy(spec.default)
            else:
                raise DataError(
                    f"{'there is' if line_number is None else f'line {line_number} has'} no value for the input "
                    f"'{spec.name}'",
                    expected=f"a value of the type {spec.type}, or a default in the flow",
                )
            if type(value) is not spec.exact and spec.convert is not None:
                value = _converted(spec, value, line_number)
            values[spec.name] = value
        return (self._with_images(values), values) if self.has_images else (values, values)

    def _with_images(self, values: dict[str, Any]) -> dict[str, Any]:
        types = {spec.name: spec.type for spec in self.inputs if spec.name in values}
        return {
            name: load_image(value, self.folder) if types[name] == "image" else load_images(value, self.folder)
            for name, value in values.items()
        }


def _converted(spec: InputSpec, value: Any, line_number: int | None) -> Any:
    try:
        return spec.convert(value) if spec.convert is not None else value
    except (ValueError, TypeError, OverflowError) as error:
        place = "" if line_number is None else f" of line {line_number}"
        raise DataError(
            f"the input '{spec.name}'{place} is {_short(value)}, which is not of the type {spec.type}",
            expected=f"a value of the type {spec.type}",
        ) from error


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def line_plan(flow: Flow, works: Mapping[str, Work], *, alone: bool) -> Plan:
    """Return the plan of one line: all nodes but those that aggregate.

    Args:
        flow: The flow, its variants chosen.
        works: The work of each node.
        alone: Whether every sync tool gets a thread of its own and the loop watches it, as time limits need.
    """
    return _plan(flow, [node for node in flow.nodes if not node.aggregation], works, alone, "flow")


def aggregation_plan(flow: Flow, works: Mapping[str, Work], *, alone: bool) -> Plan:
    """Return the plan of the aggregation nodes; what they read from other nodes is among its inputs, as lists."""
    return _plan(flow, [node for node in flow.nodes if node.aggregation], works, alone, "aggregate")


def _plan(flow: Flow, nodes: Sequence[Node], works: Mapping[str, Work], alone: bool, title: str) -> Plan:
    slots = {node.name: index for index, node in enumerate(nodes)}
    needs = [_needs(node, slots) for node in nodes]
    compiled = [_compile(node, works[node.name], slots, needs, alone) for node in nodes]
    chained = tuple(_with_chain(compiled, index) for index in range(len(compiled)))
    names = {variant.name: variant.variant for variant in flow.nodes if variant.variant is not None}
    attributes = {
        conventions.OPERATION: conventions.INVOKE_WORKFLOW,
        conventions.WORKFLOW_NAME: flow.name,
        conventions.FLOW: flow.name,
    }
    if names:
        attributes[conventions.VARIANT] = ", ".join(f"{name}.{variant}" for name, variant in names.items())
    return Plan(
        span_name=f"{title} {flow.name}",
        nodes=chained,
        roots=tuple(node.index for node in chained if not node.dependencies),
        inputs=tuple(map(_input, flow.inputs.values())),
        outputs=() if flow.gives_all else tuple(_output(key, item, slots) for key, item in flow.outputs.items()),
        gives_all=flow.gives_all,
        promised=tuple(flow.outputs) if flow.gives_all else (),
        folder=flow.folder,
        can_bypass=any(node.activate is not None for node in nodes),
        has_images=flow.message_format != "basic" or any(item.type == "image" for item in flow.inputs.values()),
        is_serial=_is_serial(needs),
        taps=_taps(flow, slots),
        attributes=attributes,
    )


def _needs(node: Node, slots: Mapping[str, int]) -> tuple[int, ...]:
    places = [slots[item.name] for item in node.references if item.source == "node" and item.name in slots]
    return tuple(dict.fromkeys(places))


def _compile(
    node: Node, work: Work, slots: Mapping[str, int], needs: Sequence[tuple[int, ...]], alone: bool
) -> PlanNode:
    index = slots[node.name]
    references = {name: value for name, value in node.inputs.items() if isinstance(value, Reference)}
    inner = {name: item for name, item in references.items() if item.source == "node" and item.name in slots}
    return PlanNode(
        index=index,
        name=node.name,
        work=work,
        constants=work.constants,
        copied=any(isinstance(value, list | dict) for value in work.constants.values()),
        # What an aggregation node reads from a node of the lines is given to it under the text of the reference.
        from_flow=tuple((name, input_key(item)) for name, item in references.items() if name not in inner),
        from_nodes=tuple(FromNode(name, slots[item.name], item, name in work.optional) for name, item in inner.items()),
        condition=_condition(node.activate, slots) if node.activate is not None else None,
        dependencies=needs[index],
        dependents=tuple(other for other, places in enumerate(needs) if index in places),
        is_threaded=work.mode is Mode.THREAD and not alone and not work.cacheable,
        span_name=f"node {node.name}",
        attributes={conventions.NODE: node.name, conventions.NODE_KIND: node.type},
    )


def input_key(reference: Reference) -> str:
    """Return the key under which a value from outside the plan stands among its inputs."""
    return reference.name if reference.source == "input" else reference.text


def _condition(activate: Activate, slots: Mapping[str, int]) -> Condition | None:
    if isinstance(activate.when, LiteralValue):
        return None
    slot = slots[activate.when.name] if activate.when.source == "node" else None
    return Condition(slot, activate.when, activate.expected)


def _input(declared: FlowInput) -> InputSpec:
    # An absent chat history is an empty one.
    default: Any = [] if declared.is_chat_history and not declared.has_default else declared.default
    return InputSpec(
        name=declared.name,
        type=declared.type,
        default=default,
        has_default=declared.has_default or declared.is_chat_history,
        default_in_code=declared.default_in_code,
        exact=_EXACT.get(declared.type),
        convert=_conversion(declared),
    )


def _conversion(declared: FlowInput) -> Callable[[Any], Any] | None:
    convert = CONVERTERS.get(declared.type)
    if convert is None or declared.conversion == "none":
        return None
    return convert if declared.conversion == "strict" else lambda value: None if value is None else convert(value)


def _output(name: str, output: FlowOutput, slots: Mapping[str, int]) -> OutputSpec:
    value = output.reference
    slot = slots.get(value.name) if isinstance(value, Reference) and value.source == "node" else None
    return OutputSpec(name=name, value=value, slot=slot)


def _taps(flow: Flow, slots: Mapping[str, int]) -> dict[int, tuple[str, ...]]:
    """Find what may stream: a node that outputs read as a whole, and that no other node reads."""
    if flow.gives_all:
        return {0: ()} if slots else {}
    read = {item.name for node in flow.nodes for item in node.references if item.source == "node"}
    found: dict[int, tuple[str, ...]] = {}
    for name, output in flow.outputs.items():
        value = output.reference
        if isinstance(value, Reference) and value.source == "node" and not value.path and value.name not in read:
            slot = slots.get(value.name)
            if slot is not None:
                found[slot] = (*found.get(slot, ()), name)
    return found


def _is_serial(needs: Sequence[tuple[int, ...]]) -> bool:
    # In a topological order, one node at a time means that each one waits for the one before it.
    return all(index - 1 in places for index, places in enumerate(needs) if index)


def _with_chain(nodes: Sequence[PlanNode], start: int) -> PlanNode:
    """Find the nodes that may follow ``start`` in its thread.

    A node follows when it is the only one that becomes ready by what ran in the chain so far. What is ready is
    decided by the graph alone, so this needs no knowledge of the other branches at run time.
    """
    head = nodes[start]
    if not head.is_threaded:
        return head
    done = _ancestors(nodes, start) | {start}
    chain: list[int] = []
    members = {start}
    while True:
        ready = {
            other
            for member in members
            for other in nodes[member].dependents
            if other not in members and done.issuperset(nodes[other].dependencies)
        }
        if len(ready) != 1:
            break
        following = nodes[ready.pop()]
        if not (following.is_threaded or following.work.mode is Mode.INLINE):
            break
        chain.append(following.index)
        members.add(following.index)
        done.add(following.index)
    return replace(head, chain=tuple(chain))


def _ancestors(nodes: Sequence[PlanNode], start: int) -> set[int]:
    found: set[int] = set()
    pending = list(nodes[start].dependencies)
    while pending:
        place = pending.pop()
        if place not in found:
            found.add(place)
            pending += nodes[place].dependencies
    return found
