"""Variants: which way of doing a node's work a run takes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from pilothouse.core.errors import FlowError, UserError, nearest_hint
from pilothouse.flows.dag.graph import ordered
from pilothouse.flows.types import Flow, Node, NodeVariants

_TEXT = re.compile(r"\$\{(?P<node>[^.]+)\.(?P<variant>[^}]+)\}")


def parse_variant(text: str) -> tuple[str, str]:
    """Return node and variant id of ``${node.variant_id}``; quotes around it are taken off.

    Raises:
        UserError: for any other text.
    """
    match = _TEXT.fullmatch(text.strip().strip("'\""))
    if match is None:
        raise UserError(
            f"'{text}' does not name a variant", expected="'${node.variant_id}', in single quotes for the shell"
        )
    return match["node"], match["variant"]


def chosen(flow: Flow, variants: Mapping[str, str]) -> Flow:
    """Return the flow with ``variants`` (node -> id) in use, and the defaults for all other nodes.

    Raises:
        FlowError: for a node or variant that does not exist, or a choice that makes a cycle.
    """
    for name, variant in variants.items():
        _check(flow, name, variant)
    nodes = tuple(_pick(node, flow.node_variants, variants) for node in flow.nodes)
    return replace(flow, nodes=ordered(nodes), variants={**flow.variants, **variants})


def with_defaults(
    nodes: Sequence[Node], node_variants: Mapping[str, NodeVariants]
) -> tuple[tuple[Node, ...], dict[str, str]]:
    """Return the nodes with the default variants in place, and which those are."""
    used = {node.name: node_variants[node.name].default for node in nodes if node.use_variants}
    return tuple(_pick(node, node_variants, used) for node in nodes), used


def _pick(node: Node, node_variants: Mapping[str, NodeVariants], variants: Mapping[str, str]) -> Node:
    if node.name not in variants:
        return node
    # The variant takes the node's place as a whole, as in prompt flow.
    return replace(node_variants[node.name].variants[variants[node.name]].node, use_variants=True)


def _check(flow: Flow, name: str, variant: str) -> None:
    node = flow.node(name)
    if flow.kind != "dag":
        raise FlowError(
            f"a {flow.kind} flow has no variants: '{name}.{variant}' means nothing here",
            where=str(flow.path),
            fix="take the variant away, or write the flow as a graph of nodes",
        )
    if node is None:
        raise FlowError(
            f"the flow has no node '{name}'",
            where=str(flow.path),
            expected=nearest_hint(name, [item.name for item in flow.nodes]),
        )
    if not node.use_variants or name not in flow.node_variants:
        raise FlowError(
            f"the node '{name}' does not use variants",
            where=node.where,
            fix="write `use_variants: true` in the node and its variants into node_variants",
        )
    known = flow.node_variants[name].variants
    if variant not in known:
        raise FlowError(
            f"the node '{name}' has no variant '{variant}'",
            where=flow.node_variants[name].where,
            expected=nearest_hint(variant, known),
        )
