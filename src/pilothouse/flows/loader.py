"""A flow's file, read and checked: what is wrong with it is said here, with file, line and cure."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from msgspec.structs import replace

from pilothouse.core.errors import ConfigError, FlowError, NotFound, PilothouseError
from pilothouse.core.yaml import load_yaml
from pilothouse.flows.dag import validation
from pilothouse.flows.dag.document import Key, Parser
from pilothouse.flows.dag.graph import ordered
from pilothouse.flows.dag.includes import flow_digest, shadowed
from pilothouse.flows.dag.parser import (
    NODE_KEYS,
    parse_environment,
    parse_includes,
    parse_inputs,
    parse_node,
    parse_outputs,
    parse_variables,
    parse_variants,
    refuse_language,
)
from pilothouse.flows.dag.problems import Problems
from pilothouse.flows.dag.variants import with_defaults
from pilothouse.flows.flex.live import live_flow
from pilothouse.flows.flex.loader import load_flex, load_module
from pilothouse.flows.prompty.loader import load_prompty
from pilothouse.flows.types import Flow, Include, Node, NodeVariants, ToolSource

PROMPTY = ".prompty"
DAG_FILES = ("flow.dag.yaml", "flow.dag.yml")
# A variant takes the node's place as a whole, so these are lost where they stand beside `use_variants`.
_REPLACED = ("activate", "aggregation", "reduce", "enable_cache", "connection")
# Two letters at least before the colon: `C:name` is a path.
_ENTRY = re.compile(r"[A-Za-z_][\w.]+:[A-Za-z_]\w*")
FLEX_FILES = ("flow.flex.yaml", "flow.flex.yml")


def load_flow(path: Path | str | Callable[..., Any]) -> Flow:
    """Return the flow of a folder or file, of ``module:function`` in this folder, or of a function, class or instance.

    None of its own code is run.

    Raises:
        NotFound: when there is no flow at ``path``.
        FlowError: when it cannot work, with file, line and cure.
        ConfigError: when it is not YAML.
    """
    if callable(path):
        return live_flow(path)
    if isinstance(path, str) and _ENTRY.fullmatch(path) and not Path(path).exists():
        return load_module(Path.cwd(), path)
    return _load(find_flow_file(Path(path)), Problems())


def flow_problems(file: Path) -> tuple[Flow | None, list[PilothouseError]]:
    """Return the flow of a file, and all that is wrong with it at once; None where nothing of it can be read.

    The entries of a graph are looked at one by one. In the other kinds one mistake hides the next.
    """
    problems = Problems(keep=True)
    flow = None
    with problems:
        flow = _load(file, problems)
    return flow, problems.found


def _load(file: Path, problems: Problems) -> Flow:
    try:
        if file.suffix == PROMPTY:
            return load_prompty(file)
        parser = Parser(load_yaml(file))
    except ConfigError as error:
        raise FlowError(error.message, where=error.where, expected=error.expected, fix=error.fix) from error
    if "entry" in parser.data or file.name in FLEX_FILES:
        return load_flex(file, parser)
    return _load_dag(file, parser, problems)


def find_flow_file(path: Path) -> Path:
    """Return the file of the flow at ``path``, which is that file or its folder.

    Raises:
        NotFound: when there is none.
        FlowError: when a folder holds two flows, or the file is no flow.
    """
    path = path.resolve()
    if path.is_file():
        if path.name in (*DAG_FILES, *FLEX_FILES) or path.suffix in {PROMPTY, ".yaml", ".yml"}:
            return path
        raise FlowError(
            "this file is not a flow", where=str(path), expected=", ".join((*DAG_FILES, *FLEX_FILES, "*.prompty"))
        )
    if not path.is_dir():
        raise NotFound("there is no such flow", where=str(path), expected="a folder with flow.dag.yaml, or that file")
    found = [path / name for name in (*DAG_FILES, *FLEX_FILES) if (path / name).is_file()]
    if not found:
        prompties = sorted(item.name for item in path.glob(f"*{PROMPTY}"))
        fix = f"name the prompty you mean, such as {prompties[0]}" if prompties else None
        raise NotFound(
            "this folder holds no flow", where=str(path), expected="flow.dag.yaml or flow.flex.yaml", fix=fix
        )
    if len(found) > 1:
        names = " and ".join(file.name for file in found)
        raise FlowError(f"this folder holds {names}", where=str(path), fix="name the file you mean, or remove one")
    return found[0]


def _load_dag(file: Path, parser: Parser, problems: Problems) -> Flow:
    language = refuse_language(parser)
    includes: tuple[Include, ...] = ()
    node_variants = parse_variants(parser, problems)
    declared, notes = _parse_nodes(parser, node_variants, problems)
    with problems:
        validation.check_names(declared)
    with problems:
        notes += validation.check_variants(declared, node_variants)
    nodes, used = with_defaults(declared, node_variants)
    with problems:
        includes = parse_includes(parser)
    notes += [
        f"{parser.where('additional_includes')}: '{name}' is taken from additional_includes, not from the folder"
        for name in shadowed(file.parent, includes)
    ]
    data = parser.data
    flow = Flow(
        kind="dag",
        name=parser.text(data, (), "name") or file.parent.name,
        path=file,
        digest=flow_digest(file.parent, includes),
        inputs=parse_inputs(parser, problems),
        outputs=parse_outputs(parser, problems),
        nodes=nodes,
        node_variants=node_variants,
        variants=used,
        environment_variables=parse_variables(parser),
        environment=parse_environment(parser),
        additional_includes=includes,
        message_format=parser.choice(data, (), "message_format", ("basic", "openai-vision"), "basic"),
        type=parser.text(data, (), "type") or "standard",
        language=language,
        display_name=parser.text(data, (), "display_name") or "",
        description=parser.text(data, (), "description") or "",
        tags={key: str(value) for key, value in parser.mapping(("tags",)).items()},
    )
    if not nodes:
        raise FlowError("the flow has no nodes", where=parser.where("nodes"), expected="a list of at least one node")
    return _checked(flow, notes, problems)


def _checked(flow: Flow, notes: list[str], problems: Problems) -> Flow:
    alternatives = [
        variant.node
        for name, variants in flow.node_variants.items()
        if name in flow.variants
        for variant in variants.variants.values()
    ]
    # The variants of a node include the one in use.
    nodes = [*(node for node in flow.nodes if node.variant is None), *alternatives]
    for node in nodes:
        validation.check_references(node, flow, problems)
    outputs, dropped = validation.check_outputs(flow, problems)
    found = flow.nodes
    with problems:
        found = ordered(flow.nodes)
    for node in nodes:
        with problems:
            notes += validation.check_source(node, flow)
    return replace(flow, nodes=found, outputs=outputs, notes=(*flow.notes, *dict.fromkeys(notes), *dropped))


def _parse_nodes(
    parser: Parser, node_variants: dict[str, NodeVariants], problems: Problems
) -> tuple[list[Node], list[str]]:
    listed: Any = parser.data.get("nodes") or []
    if not isinstance(listed, list):
        raise FlowError("nodes is not a list", where=parser.where("nodes"), expected="- name: ...")
    found: list[Node] = []
    notes: list[str] = []
    for index in range(len(cast("list[Any]", listed))):
        place = len(found)
        with problems:
            found.append(_parse_node(parser, ("nodes", index), node_variants, notes))
        if len(found) == place:
            # Other nodes may read one that cannot be: it stands in its place, without a source to look at.
            name = str(parser.at(("nodes", index, "name")) or f"nodes[{index}]")
            found.append(Node(name=name, type="python", source=ToolSource(), where=parser.where("nodes", index)))
    return found, notes


def _parse_node(
    parser: Parser, keys: tuple[Key, ...], node_variants: dict[str, NodeVariants], notes: list[str]
) -> Node:
    fields = parser.mapping(keys, NODE_KEYS)
    name = parser.text(fields, keys, "name")
    if not name:
        raise FlowError("a node has no name", where=parser.where(*keys), expected="name: <word>")
    if fields.get("use_variants") is not True:
        return parse_node(parser, keys, name)
    if name not in parser.mapping(("node_variants",)):
        raise FlowError(
            f"node '{name}' uses variants, but node_variants has none for it",
            where=parser.where(*keys, "use_variants"),
            fix=f"write them under node_variants.{name}, or remove use_variants",
        )
    notes += [
        f"{parser.where(*keys, key)}: '{key}' has no effect beside use_variants: write it into each variant"
        for key in _REPLACED
        if key in fields
    ]
    uses = name in node_variants
    return Node(name=name, type="python", source=ToolSource(), use_variants=uses, where=parser.where(*keys))
