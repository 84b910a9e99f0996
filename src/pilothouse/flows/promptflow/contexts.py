"""How a flow that is called as a function is to be run: prompt flow's `FlowContext`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class FlowContext:
    """What a call of a flow changes in it.

    Attributes:
        connections: Node -> {``connection``, or an input: name of a connection, or a connection object}.
        variant: ``${node.variant}``.
        overrides: Dotted place in the flow's file -> value: ``nodes.<node>.inputs.<input>``,
            ``nodes.<node>.connection``, ``inputs.<input>.default``, ``environment_variables.<NAME>``.
        streaming: Whether outputs that stream are given as generators.
    """

    def __init__(
        self,
        *,
        connections: Mapping[str, Mapping[str, Any]] | None = None,
        variant: str | None = None,
        overrides: Mapping[str, Any] | None = None,
        streaming: bool | None = None,
    ) -> None:
        self.connections: dict[str, Any] = dict(connections or {})
        self.variant = variant
        self.overrides: dict[str, Any] = dict(overrides or {})
        self.streaming = streaming

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FlowContext) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment] - its mappings may change

    def __repr__(self) -> str:
        return f"FlowContext({', '.join(f'{name}={value!r}' for name, value in vars(self).items() if value)})"
