"""The graph of a flow: what each node needs, and an order that respects it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pilothouse.core.errors import FlowError
from pilothouse.flows.types import Node


def dependencies(node: Node) -> tuple[str, ...]:
    """Return the nodes that ``node`` reads, each once: through inputs, then its activate condition."""
    names = [reference.name for reference in node.references if reference.source == "node"]
    return tuple(dict.fromkeys(names))


def ordered(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """Return the nodes so that each stands behind what it needs of the others; otherwise in file order.

    Raises:
        FlowError: for a cycle, showing its path.
    """
    names = {node.name for node in nodes}
    needs = {node.name: names.intersection(dependencies(node)) for node in nodes}
    waiting = list(nodes)
    placed: list[Node] = []
    while waiting:
        chosen = next((node for node in waiting if not needs[node.name]), None)
        if chosen is None:
            raise _cycle(waiting)
        waiting.remove(chosen)
        placed.append(chosen)
        for others in needs.values():
            others.discard(chosen.name)
    return tuple(placed)


def _cycle(nodes: Iterable[Node]) -> FlowError:
    by_name = {node.name: node for node in nodes}
    needs = {name: [other for other in dependencies(node) if other in by_name] for name, node in by_name.items()}
    path = _walk_cycle(needs)
    first = by_name[path[0]]
    return FlowError(
        f"the nodes need each other in a circle: {' -> '.join(path)}",
        where=first.where,
        fix=f"remove one of these references, for example '{path[1]}' from the inputs of '{path[0]}'",
    )


def _walk_cycle(needs: Mapping[str, Sequence[str]]) -> list[str]:
    # Every node left over needs another one left over, so walking on must come back to a node already seen.
    seen: list[str] = []
    name = next(name for name, others in needs.items() if others)
    while name not in seen:
        seen.append(name)
        name = needs[name][0]
    return [*seen[seen.index(name) :], name]
