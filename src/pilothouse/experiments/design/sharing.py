"""Which model calls arms have in common: the same node, asked the same, is asked once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct, structs, to_builtins

from pilothouse.core.canonical import digest
from pilothouse.experiments.design.preparation import PreparedArm
from pilothouse.flows.types import Flow, InputValue, LiteralValue, Node

MODEL_NODES = frozenset({"llm", "custom_llm"})


class Calls(Struct, frozen=True, kw_only=True):
    """The calls that one model node makes in one arm or in several.

    Attributes:
        node: The node.
        arm: The first arm that makes them.
        arms: Arms that do.
        lines: Lines for which they are to be made; those that an arm has answered are not.
    """

    node: Node
    arm: PreparedArm
    arms: int
    lines: int


def model_nodes(flow: Flow) -> list[Node] | None:
    """Return the nodes that ask a model once a row; None where code decides that."""
    if flow.kind in {"flex", "function"}:
        return None
    return [node for node in flow.nodes if node.type in MODEL_NODES and not node.aggregation]


def calls_left(arms: Sequence[PreparedArm], done: Sequence[int], lines: int, *, share: bool = True) -> list[Calls]:
    """Return the calls that are left, those that several arms share once.

    Args:
        arms: The arms.
        done: Lines that each has answered; the node cache has the answers of their nodes.
        lines: Lines of each arm.
        share: Whether the node cache is in use.
    """
    found: dict[str, Calls] = {}
    for arm, answered in zip(arms, done, strict=True):
        keys = _keys(arm)
        for node in model_nodes(arm.flow) or ():
            left = lines - answered
            key = keys[node.name] if share else f"{arm.variant.name}/{node.name}"
            before = found.get(key)
            found[key] = (
                Calls(node=node, arm=arm, arms=1, lines=left)
                if before is None
                else structs.replace(before, arms=before.arms + 1, lines=min(before.lines, left))
            )
    return list(found.values())


def _keys(arm: PreparedArm) -> dict[str, str]:
    """Return for each node a digest of all that decides what it is asked, but for the row."""
    keys: dict[str, str] = {}
    defaults = {name: item.default for name, item in arm.flow.inputs.items() if item.has_default}
    given = {**{name: f"${{data.{name}}}" for name in arm.flow.inputs}, **defaults, **arm.mapping}
    whole = arm.flow.prompty and [arm.flow.prompty.configuration, arm.flow.prompty.parameters]
    for node in arm.flow.nodes:

        def meaning(value: InputValue) -> Any:
            if isinstance(value, LiteralValue):
                return ["is", value.value]
            source = given.get(value.name) if value.source == "input" else keys.get(value.name)
            return [value.source, source, to_builtins(value.path)]

        activate = node.activate and [meaning(node.activate.when), node.activate.expected]
        asked = {name: meaning(value) for name, value in sorted(node.inputs.items())}
        what = [node.type, node.connection, node.api, node.source.path, node.source.tool, node.module, node.provider]
        # What is rendered may be an object that has no JSON form.
        keys[node.name] = digest([arm.flow.digest, what, repr(asked), repr(activate), repr(whole)])
    return keys
