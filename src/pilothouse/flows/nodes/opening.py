"""From a node of the file to work that can run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from pilothouse.core.errors import ConnectionFault, FlowError, nearest_hint
from pilothouse.flows.nodes.llm import open_llm
from pilothouse.flows.nodes.modules import FlowModules
from pilothouse.flows.nodes.packages import open_package
from pilothouse.flows.nodes.prompt import open_prompt
from pilothouse.flows.nodes.python import open_python
from pilothouse.flows.nodes.work import NodeContext, Work
from pilothouse.flows.types import Flow, LiteralValue, Node

INIT = "init"
"""Under this name, overrides are the init arguments of a flex flow's class."""

PROMPT, SOURCE = "prompt", "source"
"""Under these names, overrides are another file of the flow: the template of a node, or its code."""

CONFIGURATION = "configuration."
"""Before a name, overrides are a field of the connection that a prompty describes itself."""


def open_node(node: Node, context: NodeContext, modules: FlowModules) -> Work:
    """Return the work of a node of any type.

    Raises:
        FlowError: when its source or a literal input is not right.
        UserCodeError: when importing its code fails.
        ConnectionFault: when a connection that it names is missing or incomplete.
    """
    try:
        return _opened(node, context, modules)
    except ConnectionFault as error:
        needed = f"{error.message} (node '{node.name}' at {node.where} needs it)"
        raise ConnectionFault(needed, where=error.where, expected=error.expected, fix=error.fix) from error


def _opened(node: Node, context: NodeContext, modules: FlowModules) -> Work:
    if node.type == "llm":
        return open_llm(node, context)
    if node.type == "prompt":
        return open_prompt(node, context)
    if node.source.type == "code":
        return open_python(node, context, modules)
    return open_package(node, context, modules)


def with_overrides(flow: Flow, connections: Mapping[str, Mapping[str, Any]]) -> Flow:
    """Return the flow with connections, files and inputs of some nodes replaced, as a run's ``connections`` asks.

    Raises:
        FlowError: for a node that the flow does not have.
    """
    names = [node.name for node in flow.nodes]
    if INIT in connections and INIT not in names:
        flow = _with_init(flow, connections[INIT])
        connections = {name: values for name, values in connections.items() if name != INIT}
    for name in connections:
        if name not in names:
            raise FlowError(
                f"connections are given for the node '{name}', which the flow does not have",
                where=str(flow.path),
                expected=nearest_hint(name, names),
            )
    if flow.prompty is not None:
        flow, connections = _with_configuration(flow, connections)
    return replace(flow, nodes=tuple(_overridden(node, connections.get(node.name, {})) for node in flow.nodes))


def _with_configuration(
    flow: Flow, connections: Mapping[str, Mapping[str, Any]]
) -> tuple[Flow, dict[str, dict[str, Any]]]:
    """Return a prompty with its own connection described anew, and the overrides that are left."""
    given = {key: value for values in connections.values() for key, value in values.items()}
    fields = {key.removeprefix(CONFIGURATION): value for key, value in given.items() if key.startswith(CONFIGURATION)}
    rest = {
        name: {key: value for key, value in values.items() if not key.startswith(CONFIGURATION)}
        for name, values in connections.items()
    }
    if not fields or flow.prompty is None:
        return flow, rest
    described = {**flow.prompty.configuration, **fields}
    return replace(flow, prompty=replace(flow.prompty, configuration=described)), rest


def _with_init(flow: Flow, given: Mapping[str, Any]) -> Flow:
    if not flow.init:
        raise FlowError(
            "init arguments are given, but nothing is made of a class here",
            where=str(flow.path),
            expected="a flow whose entry is a class with parameters",
        )
    for name in given:
        if name not in flow.init:
            raise FlowError(
                f"'{name}' is given for the class of the flow, which takes none of that name",
                where=str(flow.path),
                expected=nearest_hint(name, flow.init),
            )
    values = {name: LiteralValue(value=value, where=f"connections.{INIT}.{name}") for name, value in given.items()}
    # As in prompt flow: the sample holds as a whole, or not at all.
    return replace(flow, init_values={**flow.init_values, **values}, init_sample={})


def _overridden(node: Node, values: Mapping[str, Any]) -> Node:
    inputs = dict(node.inputs)
    connection, source = node.connection, node.source
    for key, value in values.items():
        if _is_file(node, key):
            source = replace(source, path=str(value))
        elif key == "connection" and (node.type == "llm" or node.connection):
            connection = str(value)
        else:
            inputs[key] = LiteralValue(value=value, where=f"connections.{node.name}.{key}")
    return replace(node, inputs=inputs, connection=connection, source=source)


def _is_file(node: Node, key: str) -> bool:
    """Return whether an override names the node's file: a template is its prompt, and a tool may have such an input."""
    names = (SOURCE,) if node.type == "python" else (PROMPT, SOURCE)
    return key in names and key not in node.inputs and node.source.path is not None
