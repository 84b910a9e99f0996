"""What differs between the nodes of two variants of one flow: their text and their settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.experiments.comparison import PromptDiff
from pilothouse.flows.types import Flow, LiteralValue, Node

MOST_BYTES = 1 << 20


def prompt_diffs(baseline: Flow, candidates: Mapping[str, Flow]) -> tuple[PromptDiff, ...]:
    """Return every node that differs from the baseline's, for each candidate by its name."""
    found: list[PromptDiff] = []
    for name, flow in candidates.items():
        nodes = {node.name: node for node in flow.nodes}
        for before in baseline.nodes:
            after = nodes.get(before.name)
            if after is not None and (diff := _diff(name, baseline, before, flow, after)) is not None:
                found.append(diff)
    return tuple(found)


def _diff(candidate: str, baseline: Flow, before: Node, flow: Flow, after: Node) -> PromptDiff | None:
    old, new = text_of(baseline, before), text_of(flow, after)
    was, now = settings_of(before), settings_of(after)
    settings = {
        key: (was.get(key), now.get(key)) for key in sorted(was.keys() | now.keys()) if was.get(key) != now.get(key)
    }
    if old == new and not settings:
        return None
    return PromptDiff(
        candidate=candidate,
        node=before.name,
        baseline_file=before.source.path or before.source.tool or before.type,
        candidate_file=after.source.path or after.source.tool or after.type,
        baseline_text=old,
        candidate_text=new,
        settings=settings,
    )


def text_of(flow: Flow, node: Node) -> str:
    """Return the node's template or code; nothing when it is not a text file of the flow."""
    path = flow.folder / node.source.path if node.source.path else None
    if path is None or not path.is_file() or path.stat().st_size > MOST_BYTES:
        return ""
    return path.read_bytes().decode("utf-8-sig", "replace")


def settings_of(node: Node) -> dict[str, Any]:
    """Return the node's inputs as written, and what it is called with."""
    values = {
        name: value.value if isinstance(value, LiteralValue) else value.text for name, value in node.inputs.items()
    }
    named = {"type": node.type, "connection": node.connection, "api": node.api, "tool": node.source.tool}
    return {**{key: value for key, value in named.items() if value is not None}, **values}
