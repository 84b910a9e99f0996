"""The graph of a flow as boxes of text, level below level."""

from __future__ import annotations

from collections.abc import Sequence

from pilothouse.flows.dag.graph import dependencies
from pilothouse.flows.types import Flow, Node, Reference

WIDTH = 100


def draw(flow: Flow, width: int = WIDTH) -> str:
    """Return the nodes in boxes; a level holds what can run at once, the aggregation nodes come last."""
    rows: list[str] = []
    for level in levels(flow):
        rows += [*map(_beside, _wrapped([_box(node) for node in level], width)), "  ▼"]
    return "\n".join(rows[:-1])


def levels(flow: Flow) -> list[list[Node]]:
    """Return the nodes by the length of the longest way to them; aggregation nodes stand behind all others."""
    depth: dict[str, int] = {}
    for node in flow.nodes:
        floor = 1 + max((depth[name] for name in dependencies(node) if name in depth), default=-1)
        lines = [depth[other.name] for other in flow.nodes if other.name in depth and not other.aggregation]
        depth[node.name] = max(floor, 1 + max(lines, default=-1)) if node.aggregation else floor
    found: dict[int, list[Node]] = {}
    for node in flow.nodes:
        found.setdefault(depth[node.name], []).append(node)
    return [found[level] for level in sorted(found)]


def _box(node: Node) -> list[str]:
    kind = node.type if node.variant is None else f"{node.type} · {node.variant}"
    reads = list(dict.fromkeys(item.name for item in node.references))
    lines = [node.name, f"{kind} · aggregation" if node.aggregation else kind]
    if reads:
        lines.append("← " + ", ".join(reads))
    if node.activate is not None and isinstance(node.activate.when, Reference):
        lines.append(f"if {node.activate.when.text} is {node.activate.expected!r}")
    lines = [line if len(line) <= 40 else line[:39] + "…" for line in lines]
    inner = max(map(len, lines))
    return [
        f"╭{'─' * (inner + 2)}╮",
        *(f"│ {line.ljust(inner)} │" for line in lines),
        f"╰{'─' * (inner + 2)}╯",
    ]


def _wrapped(boxes: Sequence[list[str]], width: int) -> list[list[list[str]]]:
    groups: list[list[list[str]]] = [[]]
    used = 0
    for box in boxes:
        needed = len(box[0]) + 1
        if groups[-1] and used + needed > width:
            groups.append([])
            used = 0
        groups[-1].append(box)
        used += needed
    return groups


def _beside(boxes: Sequence[list[str]]) -> str:
    height = max(map(len, boxes))
    filled = [[*box, *([" " * len(box[0])] * (height - len(box)))] for box in boxes]
    return "\n".join(" ".join(box[row] for box in filled).rstrip() for row in range(height))
