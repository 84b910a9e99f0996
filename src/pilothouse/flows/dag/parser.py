"""The entries of `flow.dag.yaml` read into nouns, each with its line."""

from __future__ import annotations

import json
from typing import Any, cast

from pilothouse.core.errors import FlowError, nearest_hint
from pilothouse.flows.dag.document import Key, Mapping, Parser
from pilothouse.flows.dag.includes import parse_include
from pilothouse.flows.dag.problems import Problems
from pilothouse.flows.dag.references import parse_value
from pilothouse.flows.types import (
    NODE_TYPES,
    VALUE_TYPES,
    Activate,
    FlowEnvironment,
    FlowInput,
    FlowOutput,
    Include,
    Node,
    NodeVariants,
    ToolSource,
    Variant,
)

_INPUT_KEYS = ("type", "default", "description", "enum", "is_chat_input", "is_chat_history", "ui_hints")
_OUTPUT_KEYS = ("type", "reference", "description", "evaluation_only", "is_chat_output")
NODE_KEYS = (
    *("name", "type", "source", "inputs", "connection", "api", "provider", "module", "tool", "use_variants"),
    *("aggregation", "reduce", "activate", "enable_cache", "comment", "description"),
)
_SOURCE_KEYS = ("type", "path", "tool")
_ENVIRONMENT_KEYS = ("python_requirements_txt", "image", "conda_file", "setup_sh", "os", "name", "build")
_SOURCE_TYPES = ("code", "package", "package_with_prompt")
_APIS = ("chat", "completion")


def parse_inputs(parser: Parser, problems: Problems) -> dict[str, FlowInput]:
    """Return the declared inputs; one that cannot be read and is not refused is of any type.

    Raises:
        FlowError: for an unknown key or type.
    """
    found: dict[str, FlowInput] = {}
    for name in parser.mapping(("inputs",)):
        with problems:
            found[name] = _input(parser, ("inputs", name), name)
        if name not in found:
            found[name] = FlowInput(name=name, type="object", conversion="none")
    return found


def _input(parser: Parser, keys: tuple[Key, ...], name: str) -> FlowInput:
    fields = parser.mapping(keys, _INPUT_KEYS)
    return FlowInput(
        name=name,
        type=_value_type(parser, fields, keys),
        default=fields.get("default"),
        has_default=fields.get("default") is not None,
        description=parser.text(fields, keys, "description") or "",
        enum=tuple(fields.get("enum") or ()),
        is_chat_input=parser.flag(fields, keys, "is_chat_input"),
        is_chat_history=parser.flag(fields, keys, "is_chat_history"),
        where=parser.where(*keys),
    )


def parse_outputs(parser: Parser, problems: Problems) -> dict[str, FlowOutput]:
    """Return the declared outputs; one that cannot be read and is not refused is left out.

    Raises:
        FlowError: for an unknown key or type, or an empty reference.
    """
    found: dict[str, FlowOutput] = {}
    for name in parser.mapping(("outputs",)):
        with problems:
            found[name] = _output(parser, ("outputs", name), name)
    return found


def _output(parser: Parser, keys: tuple[Key, ...], name: str) -> FlowOutput:
    fields = parser.mapping(keys, _OUTPUT_KEYS)
    reference = fields.get("reference")
    if reference is None or reference == "":
        raise FlowError(
            f"the output '{name}' has an empty reference",
            where=parser.where(*keys, "reference"),
            expected="reference: ${node.output} or ${inputs.name}",
        )
    return FlowOutput(
        name=name,
        type=_value_type(parser, fields, keys),
        reference=parse_value(reference, parser.where(*keys, "reference")),
        description=parser.text(fields, keys, "description") or "",
        evaluation_only=parser.flag(fields, keys, "evaluation_only"),
        is_chat_output=parser.flag(fields, keys, "is_chat_output"),
        where=parser.where(*keys),
    )


def _value_type(parser: Parser, fields: Mapping, keys: tuple[Key, ...]) -> Any:
    if "type" not in fields:
        raise FlowError(f"'{keys[-1]}' has no type", where=parser.where(*keys), expected="type: string, int, list ...")
    fields = {**fields, "type": str(fields["type"]).lower()}
    return parser.choice(fields, keys, "type", VALUE_TYPES, "string")


def parse_node(parser: Parser, keys: tuple[Key, ...], name: str, variant: str | None = None) -> Node:
    """Return the node at ``keys``.

    Raises:
        FlowError: for an unknown key, type or source, or a broken activate condition.
    """
    fields = _with_legacy_tool(parser, parser.mapping(keys, NODE_KEYS))
    if fields.get("type") == "csharp":
        raise _csharp(parser.where(*keys, "type"))
    if "type" not in fields:
        raise FlowError(
            f"node '{name}' has no type", where=parser.where(*keys), expected=f"type: {', '.join(NODE_TYPES)}"
        )
    inputs = parser.mapping((*keys, "inputs"))
    return Node(
        name=name,
        type=parser.choice(fields, keys, "type", NODE_TYPES, "python"),
        source=_source(parser, fields, keys, name),
        inputs={key: parse_value(value, parser.where(*keys, "inputs", key)) for key, value in inputs.items()},
        connection=parser.text(fields, keys, "connection"),
        api=parser.choice(fields, keys, "api", _APIS, "chat"),
        provider=parser.text(fields, keys, "provider"),
        module=parser.text(fields, keys, "module"),
        tool=parser.text(fields, keys, "tool"),
        use_variants=parser.flag(fields, keys, "use_variants"),
        aggregation=parser.flag(fields, keys, "aggregation") or parser.flag(fields, keys, "reduce"),
        activate=_activate(parser, (*keys, "activate")) if fields.get("activate") is not None else None,
        enable_cache=parser.flag(fields, keys, "enable_cache"),
        comment=parser.text(fields, keys, "comment") or "",
        variant=variant,
        where=parser.where(*keys),
    )


def _csharp(where: str) -> FlowError:
    return FlowError(
        "C# flows cannot be run here", where=where, expected="Python nodes", fix="rewrite the C# tools in Python"
    )


def refuse_language(parser: Parser) -> str:
    """Return the flow's language.

    Raises:
        FlowError: when it is not Python.
    """
    language = parser.text(parser.data, (), "language") or "python"
    if language.lower() == "csharp":
        raise _csharp(parser.where("language"))
    return cast("str", parser.choice({"language": language.lower()}, (), "language", ("python",), "python"))


def _with_legacy_tool(parser: Parser, fields: Mapping) -> Mapping:
    """Fill type and source of a node of the oldest form, which names a tool of the list `tools`."""
    tool = parser.tools.get(str(fields.get("tool")))
    if tool is None or "source" in fields:
        return fields
    path = tool.get("code") or tool.get("source")
    return {"type": tool.get("type"), "source": {"type": "code", "path": path}, **fields}


def _source(parser: Parser, fields: Mapping, keys: tuple[Key, ...], name: str) -> ToolSource:
    place = (*keys, "source")
    given = parser.mapping(place, _SOURCE_KEYS) if parser.at(place) is not None else fields.get("source")
    if not given:
        raise FlowError(
            f"node '{name}' has no source",
            where=parser.where(*keys),
            expected="source: {type: code, path: file.py} or {type: package, tool: id}",
        )
    source = cast("Mapping", given)
    kind = parser.choice(source, place, "type", _SOURCE_TYPES, "code")
    path, tool = parser.text(source, place, "path"), parser.text(source, place, "tool")
    if kind in {"code", "package_with_prompt"} and not path:
        raise FlowError(f"the source of node '{name}' has no path", where=parser.where(*place), expected="path: <file>")
    if kind in {"package", "package_with_prompt"} and not tool:
        raise FlowError(f"the source of node '{name}' has no tool", where=parser.where(*place), expected="tool: <id>")
    return ToolSource(type=kind, path=path, tool=tool, where=parser.where(*place, "path"))


def _activate(parser: Parser, keys: tuple[Key, ...]) -> Activate:
    fields = parser.mapping(keys, ("when", "is"))
    for key in ("when", "is"):
        if key not in fields:
            raise FlowError(
                f"the activate condition has no '{key}'",
                where=parser.where(*keys),
                expected="activate: {when: ${node.output}, is: <value>}",
            )
    when = parse_value(fields["when"], parser.where(*keys, "when"))
    return Activate(when=when, expected=fields["is"], where=parser.where(*keys))


def parse_variants(parser: Parser, problems: Problems) -> dict[str, NodeVariants]:
    """Return the variants of every node that has any; those that cannot be read and are not refused are left out.

    Raises:
        FlowError: for an unknown key, no variants, or a default that is not among them.
    """
    found: dict[str, NodeVariants] = {}
    for node in parser.mapping(("node_variants",)):
        with problems:
            found[node] = _node_variants(parser, ("node_variants", node), node)
    return found


def _node_variants(parser: Parser, keys: tuple[Key, ...], node: str) -> NodeVariants:
    fields = parser.mapping(keys, ("default_variant_id", "variants"))
    variants = {
        variant: _variant(parser, (*keys, "variants", variant), node, variant)
        for variant in parser.mapping((*keys, "variants"))
    }
    if not variants:
        raise FlowError(
            f"node_variants.{node} has no variants",
            where=parser.where(*keys),
            expected="variants: {<id>: {node: {type: ..., source: ...}}}",
        )
    default = parser.text(fields, keys, "default_variant_id")
    if default not in variants:
        said = f"'{default}', which is not among its variants" if default else "missing"
        raise FlowError(
            f"the default variant of '{node}' is {said}",
            where=parser.where(*keys, "default_variant_id"),
            expected=nearest_hint(default or "", variants),
        )
    return NodeVariants(node=node, default=default, variants=variants, where=parser.where(*keys))


def _variant(parser: Parser, keys: tuple[Key, ...], node: str, variant: str) -> Variant:
    fields = parser.mapping(keys, ("node", "description"))
    if not isinstance(fields.get("node"), dict):
        raise FlowError(
            f"the variant '{variant}' of '{node}' has no node",
            where=parser.where(*keys),
            expected="node: {type: ..., source: ..., inputs: ...}",
        )
    return Variant(
        id=variant,
        node=parse_node(parser, (*keys, "node"), node, variant),
        description=parser.text(fields, keys, "description") or "",
        where=parser.where(*keys),
    )


def parse_includes(parser: Parser) -> tuple[Include, ...]:
    """Return what `additional_includes` brings into the flow's folder.

    Raises:
        FlowError: when something is not there.
    """
    listed = _list(parser, "additional_includes")
    return tuple(
        parse_include(str(item), parser.folder, parser.where("additional_includes", index))
        for index, item in enumerate(listed)
    )


def parse_variables(parser: Parser) -> dict[str, str]:
    """Return the environment variables; mappings and lists become JSON, as prompt flow writes them."""
    found: dict[str, str] = {}
    for name, value in parser.mapping(("environment_variables",)).items():
        found[name] = json.dumps(value) if isinstance(value, dict | list) else str(value)
    return found


def parse_environment(parser: Parser) -> FlowEnvironment:
    """Return what the flow asks of its machine."""
    keys = ("environment",)
    fields = parser.mapping(keys, _ENVIRONMENT_KEYS)
    return FlowEnvironment(**{key: parser.text(fields, keys, key) for key in FlowEnvironment.__struct_fields__})


def _list(parser: Parser, key: str) -> list[Any]:
    value: Any = parser.data.get(key) or []
    if not isinstance(value, list):
        raise FlowError(f"{key} is not a list", where=parser.where(key), expected="- item")
    return cast("list[Any]", value)
