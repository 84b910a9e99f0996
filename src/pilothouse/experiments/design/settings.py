"""The settings of an arm: checked against its flow, and put where a run takes them from.

A path is ``NODE.NAME`` (an input of a node, its ``connection``, its file as ``prompt`` or ``source``), ``inputs.NAME``
(an input of the flow), ``init.NAME`` (an argument of a flex flow's class), and in a prompty also ``parameters.NAME``
and ``configuration.NAME``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from pilothouse.core.errors import ConfigError, FlowError, nearest_hint
from pilothouse.flows.dag.includes import find_source
from pilothouse.flows.dag.validation import check_source
from pilothouse.flows.flex.annotations import read_annotation
from pilothouse.flows.nodes.literals import CONVERTERS
from pilothouse.flows.nodes.opening import INIT, PROMPT, SOURCE, with_overrides
from pilothouse.flows.nodes.parameters import MODEL_NAMES, PARAMETERS
from pilothouse.flows.nodes.parameters import parameter as api_parameter
from pilothouse.flows.prompts.templates import read_template
from pilothouse.flows.types import Flow, LiteralValue, Node
from pilothouse.models.connection_types import TYPES

INPUTS = "inputs"
PARAMETERS_OF = "parameters"
CONFIGURATION = "configuration"
_CONNECTION = "connection"


class Placed(Struct, frozen=True, kw_only=True):
    """The settings of an arm, as a run takes them.

    Attributes:
        connections: As `RunSpec.connections`.
        inputs: Entries of the column mapping.
    """

    connections: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    inputs: dict[str, Any] = field(default_factory=dict[str, Any])


def placed(flow: Flow, settings: Mapping[str, Any]) -> Placed:
    """Return where the settings of an arm go."""
    found = Placed()
    for path, value in settings.items():
        head, _, name = path.partition(".")
        if head == INPUTS:
            found.inputs[name] = value
        else:
            node, key = _place(flow, head, name)
            found.connections.setdefault(node, {})[key] = value
    return found


def applied(flow: Flow, settings: Mapping[str, Any]) -> Flow:
    """Return the flow with the settings of an arm in place; those of its inputs are no part of it."""
    return with_overrides(flow, placed(flow, settings).connections)


def check_setting(flow: Flow, path: str, value: Any, where: str) -> None:
    """Refuse a setting that the flow does not have, or a value that it does not take.

    Args:
        flow: The flow, with the variants of the arm in place.
        path: The setting.
        value: Its value.
        where: ``file:line`` of it.

    Raises:
        ConfigError: naming the nearest node, input or setting.
    """
    head, _, name = path.partition(".")
    if head == INPUTS:
        _check_input(flow, name, value, where)
    elif head == INIT and flow.node(INIT) is None:
        _check_init(flow, name, value, where)
    elif flow.kind == "prompty":
        _check_prompty(flow, head, name, value, where)
    elif flow.kind != "dag" or (node := flow.node(head)) is None:
        raise ConfigError(f"the flow has no '{head}' to set '{name}' of", where=where, expected=_heads(flow, head))
    else:
        _check_node(flow, node, name, value, where)


def _place(flow: Flow, head: str, name: str) -> tuple[str, str]:
    """Return the node of the overrides that a setting belongs to, and its key there."""
    if flow.kind == "prompty" and head in {PARAMETERS_OF, CONFIGURATION}:
        is_field = head == CONFIGURATION and name != _CONNECTION
        return flow.nodes[0].name, f"{CONFIGURATION}.{name}" if is_field else name
    return head, name


def _heads(flow: Flow, head: str) -> str:
    names = [node.name for node in flow.nodes] if flow.kind == "dag" else []
    known = [*names, INPUTS, *([INIT] if flow.init else [])]
    return nearest_hint(head, known)


# Inputs of the flow and of its class


def _check_input(flow: Flow, name: str, value: Any, where: str) -> None:
    if name not in flow.inputs:
        if flow.inputs:
            raise ConfigError(f"the flow has no input '{name}'", where=where, expected=nearest_hint(name, flow.inputs))
        return
    declared = flow.inputs[name]
    if declared.conversion == "none" or value is None or _is_reference(value):
        return
    _converted(name, declared.type, value, where)


def _check_init(flow: Flow, name: str, value: Any, where: str) -> None:
    if name not in flow.init:
        raise ConfigError(
            f"the flow's class takes no '{name}'" if flow.init else "nothing is made of a class here",
            where=where,
            expected=nearest_hint(name, flow.init) if flow.init else "a flow whose entry is a class with parameters",
        )
    said = read_annotation(flow.init[name].type)
    if said.conversion != "none" and value is not None:
        _converted(name, said.type, value, where)


def _converted(name: str, kind: str, value: Any, where: str) -> None:
    convert = CONVERTERS.get(kind)
    # Every value can be printed, but a list where a text is wanted is a mistake.
    is_wrong = kind == "string" and isinstance(value, dict | list)
    try:
        if convert is not None:
            convert(value)
    except (ValueError, TypeError, OverflowError):
        is_wrong = True
    if is_wrong:
        raise ConfigError(f"'{name}' is {value!r}, which is not of the type {kind}", where=where, expected=kind)


def _is_reference(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("${") and value.endswith("}")


# Nodes


def _check_node(flow: Flow, node: Node, name: str, value: Any, where: str) -> None:
    known = _known(flow, node)
    if known is not None and name not in known:
        raise ConfigError(
            f"the node '{node.name}' has no setting '{name}'", where=where, expected=nearest_hint(name, known)
        )
    changed = with_overrides(flow, {node.name: {name: value}}).nodes
    found = next(item for item in changed if item.name == node.name)
    item = found.inputs.get(name)
    if isinstance(item, LiteralValue):
        found = replace(found, inputs={**found.inputs, name: LiteralValue(value=value, where=where)})
    try:
        if found.type == "llm" and name in PARAMETERS[found.api]:
            api_parameter(found.api, name, value, where)
        check_source(replace(found, source=replace(found.source, where=where)), flow)
    except FlowError as error:
        raise ConfigError(error.message, where=where, expected=error.expected, fix=error.fix) from error


def _known(flow: Flow, node: Node) -> list[str] | None:
    """Return the settings of a node; None where its code says which there are."""
    own = [SOURCE] if node.source.path else []
    if node.type == "python":
        return None if node.source.type == "code" else [*node.inputs, _CONNECTION, *MODEL_NAMES, *PARAMETERS["chat"]]
    prompts = [PROMPT, *own] if node.source.path else []
    path = find_source(flow.folder, flow.additional_includes, node.source.path) if node.source.path else None
    variables = read_template(path).variables if path is not None else ()
    if node.type == "prompt":
        return [*node.inputs, *variables, *prompts]
    return [*node.inputs, *variables, *prompts, _CONNECTION, *MODEL_NAMES, *PARAMETERS[node.api]]


def _check_prompty(flow: Flow, head: str, name: str, value: Any, where: str) -> None:
    prompty = flow.prompty
    assert prompty is not None
    if head not in {PARAMETERS_OF, CONFIGURATION, flow.nodes[0].name}:
        raise ConfigError(
            f"a prompty has no '{head}' to set '{name}' of",
            where=where,
            expected=nearest_hint(head, [PARAMETERS_OF, CONFIGURATION, INPUTS]),
        )
    if head == CONFIGURATION:
        fields = [_CONNECTION, *prompty.configuration, *(TYPES[prompty.type].fields if prompty.type in TYPES else ())]
        if name not in fields:
            raise ConfigError(
                f"the model's configuration has no '{name}'", where=where, expected=nearest_hint(name, fields)
            )
        return
    known = [*PARAMETERS[prompty.api], *MODEL_NAMES, *prompty.parameters, _CONNECTION]
    if name not in known:
        raise ConfigError(f"the model has no parameter '{name}'", where=where, expected=nearest_hint(name, known))
    try:
        api_parameter(prompty.api, name, value, where)
    except FlowError as error:
        raise ConfigError(error.message, where=where, expected=error.expected) from error
