"""What is refused at load: references, sources and templates that cannot work; no code of the flow is run for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pilothouse.core.errors import FlowError, nearest_hint
from pilothouse.flows.dag.includes import find_source
from pilothouse.flows.dag.problems import Problems
from pilothouse.flows.dag.references import looks_mistaken
from pilothouse.flows.nodes.literals import CONVERTERS, kind_of_text
from pilothouse.flows.nodes.parameters import PARAMETERS, parameter, reserved_names
from pilothouse.flows.nodes.sources import ToolSignature, read_tool
from pilothouse.flows.promptflow.finder import installed
from pilothouse.flows.prompts.roles import check_roles
from pilothouse.flows.prompts.templates import Template, read_template
from pilothouse.flows.types import (
    Flow,
    FlowOutput,
    InputValue,
    LiteralValue,
    Node,
    NodeVariants,
    Reference,
)


def check_names(nodes: Iterable[Node]) -> None:
    """Refuse two nodes of one name.

    Raises:
        FlowError: at the second one.
    """
    seen: dict[str, Node] = {}
    for node in nodes:
        if node.name in seen:
            raise FlowError(
                f"two nodes have the name '{node.name}' (the first at {seen[node.name].where})",
                where=node.where,
                fix="give one of them another name",
            )
        seen[node.name] = node


def check_references(node: Node, flow: Flow, problems: Problems) -> None:
    """Refuse references of a node to inputs and nodes that do not exist, or that may not be read from it.

    Raises:
        FlowError: at the reference.
    """
    nodes = {item.name: item for item in flow.nodes}
    aggregations = {item.name for item in flow.nodes if item.aggregation}
    for reference in node.references:
        with problems:
            _check_target(reference, flow, nodes)
            if reference.source == "node" and reference.name in aggregations and not node.aggregation:
                raise FlowError(
                    f"node '{node.name}' runs for each line and cannot read the aggregation node '{reference.name}'",
                    where=reference.where,
                    fix=f"make '{node.name}' an aggregation node too (aggregation: true), or read another node",
                )
    with problems:
        _check_activate(node, aggregations)


def _check_activate(node: Node, aggregations: set[str]) -> None:
    if node.activate is None:
        return
    when = node.activate.when
    if isinstance(when, LiteralValue):
        raise FlowError(
            f"the activate condition of '{node.name}' compares {when.value!r}, which never changes",
            where=when.where,
            expected="when: ${node.output} or ${inputs.name}",
        )
    if node.aggregation and when.source == "node" and when.name not in aggregations:
        raise FlowError(
            f"the aggregation node '{node.name}' runs once, but its condition reads '{when.name}', a node of each line",
            where=when.where,
            expected="a reference to an aggregation node or a flow input",
        )


def _check_target(reference: Reference, flow: Flow, nodes: Mapping[str, Node]) -> None:
    if reference.source == "input":
        if reference.name not in flow.inputs:
            head = reference.name.partition(".")[0].partition("[")[0]
            fix = "a flow input is read as a whole: take parts of it in a node" if head in flow.inputs else None
            raise FlowError(
                f"'{reference.text}' names a flow input that does not exist",
                where=reference.where,
                expected=nearest_hint(reference.name, flow.inputs),
                fix=fix,
            )
    elif reference.name not in nodes:
        raise FlowError(
            f"'{reference.text}' names a node that does not exist",
            where=reference.where,
            expected=nearest_hint(reference.name.strip(), [*nodes, *(f"inputs.{name}" for name in flow.inputs)]),
        )


def check_outputs(flow: Flow, problems: Problems) -> tuple[dict[str, FlowOutput], list[str]]:
    """Return the outputs that can be given for a line, and a note on each that cannot.

    Raises:
        FlowError: for a reference to an input or node that does not exist.
    """
    nodes = {node.name: node for node in flow.nodes}
    kept: dict[str, FlowOutput] = {}
    notes: list[str] = []
    for name, output in flow.outputs.items():
        reference = output.reference
        if isinstance(reference, Reference):
            with problems:
                _check_target(reference, flow, nodes)
            source = nodes.get(reference.name) if reference.source == "node" else None
            if source is not None and source.aggregation:
                notes.append(
                    f"{output.where}: the output '{name}' reads the aggregation node '{reference.name}' and is left "
                    "out: aggregation nodes log metrics"
                )
                continue
        kept[name] = output
    return kept, notes


def check_variants(nodes: Iterable[Node], node_variants: Mapping[str, NodeVariants]) -> list[str]:
    """Return notes on variants that no node uses, and on keys that a variant takes the place of.

    Raises:
        FlowError: for a node that uses variants and has none.
    """
    notes: list[str] = []
    by_name = {node.name: node for node in nodes}
    for name, variants in node_variants.items():
        if name not in by_name:
            raise FlowError(
                f"node_variants names the node '{name}', which does not exist",
                where=variants.where,
                expected=nearest_hint(name, by_name),
            )
        if not by_name[name].use_variants:
            notes.append(f"{variants.where}: '{name}' has variants, but its node does not say `use_variants: true`")
    return notes


def check_source(node: Node, flow: Flow) -> list[str]:
    """Refuse a node whose file is missing or does not fit its inputs; return notes on what is likely mistaken.

    Raises:
        FlowError: at the line of the node, the template or the Python file.
    """
    notes = [_mistaken(name, value) for name, value in node.inputs.items() if _is_mistaken(value)]
    if node.type == "custom_llm" and node.source.type == "code":
        raise FlowError(
            f"node '{node.name}' is of the type custom_llm and has no package tool",
            where=node.source.where or node.where,
            expected="source: {type: package_with_prompt, tool: <id>, path: <template>}",
        )
    if node.source.path is None:
        return notes
    path = find_source(flow.folder, flow.additional_includes, node.source.path)
    if path is None:
        raise _missing_source(node, flow)
    if node.type == "python":
        tool = read_tool(path)
        check_tool(node, tool, path)
        notes += promptflow_notes(tool, path)
    else:
        notes += check_template(node, read_template(path))
    return notes


def _missing_source(node: Node, flow: Flow) -> FlowError:
    name = Path(str(node.source.path))
    folder = flow.folder / name.parent
    beside = [item.name for item in folder.iterdir() if item.is_file()] if folder.is_dir() else []
    return FlowError(
        f"the source of node '{node.name}' does not exist: {name}",
        where=node.source.where,
        expected=nearest_hint(name.name, beside),
    )


def _is_mistaken(value: InputValue) -> bool:
    return isinstance(value, LiteralValue) and looks_mistaken(value.value)


def _mistaken(name: str, value: InputValue) -> str:
    return f"{value.where}: '{name}' is taken as plain text: a reference is the whole value, ${{...}} and nothing else"


def check_tool(node: Node, tool: ToolSignature, path: Path) -> None:
    """Refuse inputs that the tool does not take, required ones that are missing, and literals of the wrong type.

    Raises:
        FlowError: at the input.
    """
    parameters = {item.name: item for item in tool.parameters}
    for name, value in node.inputs.items():
        if name not in parameters:
            if not tool.takes_any:
                raise FlowError(
                    f"the tool '{tool.name}' takes no '{name}'",
                    where=value.where,
                    expected=nearest_hint(name, parameters),
                    fix=f"rename the input, or add the parameter at {path}:{tool.line}",
                )
        elif isinstance(value, LiteralValue) and value.value is not None and value.value != "":
            _check_literal(name, value, parameters[name].annotation)
    missing = [item.name for item in parameters.values() if not item.has_default and not _is_given(node, item.name)]
    if missing:
        raise FlowError(
            f"node '{node.name}' does not give {_list(missing)}, which '{tool.name}' at {path}:{tool.line} needs",
            where=node.where,
            fix="add it to the node's inputs, or give the parameter a default",
        )


def promptflow_notes(tool: ToolSignature, path: Path) -> list[str]:
    """Return a note where the file imports prompt flow and the real one will answer."""
    release = installed() if tool.promptflow is not None else None
    if release is None:
        return []
    return [f"{path}:{tool.promptflow}: {release} is installed and is used, in place of Pilothouse's own names for it"]


def _is_given(node: Node, name: str) -> bool:
    value = node.inputs.get(name)
    # Null and empty literals are left out of the call.
    return isinstance(value, Reference) or (value is not None and value.value is not None and value.value != "")


def _check_literal(name: str, value: LiteralValue, annotation: str) -> None:
    kind = kind_of_text(annotation)
    if kind is None:
        return
    try:
        CONVERTERS[kind](value.value)
    except (ValueError, TypeError, OverflowError) as error:
        raise FlowError(
            f"the input '{name}' is {value.value!r}, which is not of the type {annotation}",
            where=value.where,
            expected=f"a value of the type {annotation}, as the tool's parameter says",
        ) from error


def check_template(node: Node, template: Template) -> list[str]:
    """Refuse a template variable that hides a parameter of the API; return notes on unused and missing inputs.

    Raises:
        FlowError: at the template, or at a parameter of the wrong type.
    """
    if node.type == "prompt":
        return list(_template_notes(node, template, frozenset()))
    if node.type == "custom_llm":
        return []
    reserved = reserved_names(node.api, node.inputs)
    hidden = [name for name in template.variables if name in reserved]
    if hidden:
        raise FlowError(
            f"the template variable {_list(hidden)} has the name of a parameter of the {node.api} API",
            where=template.place_of(hidden[0]),
            fix=f"rename it in the template and in the inputs of '{node.name}', for example to '{hidden[0]}_text'",
        )
    for name, value in node.inputs.items():
        if name in PARAMETERS[node.api] and isinstance(value, LiteralValue):
            parameter(node.api, name, value.value, value.where)
    if node.api == "chat":
        check_roles(template.text, str(template.path))
    return list(_template_notes(node, template, reserved | {"deployment_name", "model"}))


def _template_notes(node: Node, template: Template, parameters: frozenset[str]) -> Iterator[str]:
    for name, value in node.inputs.items():
        if name not in template.variables and name not in parameters:
            hint = nearest_hint(name, {*template.variables, *parameters})
            near = f" ({hint})" if hint.startswith("did you mean") else ""
            yield f"{value.where}: the template of '{node.name}' does not use the input '{name}'{near}"
    for name in template.variables:
        if name not in node.inputs:
            yield f"{template.path}: nothing gives '{name}' in the template of '{node.name}': it will be empty"


def _list(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
