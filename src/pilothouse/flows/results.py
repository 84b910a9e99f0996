"""What running a flow gives: per node, per line, per aggregation."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

from pilothouse.models.types import Usage

NodeStatus = Literal["completed", "failed", "bypassed", "cached"]
LineStatus = Literal["completed", "failed"]


class ErrorInfo(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why something failed.

    Attributes:
        type: Name of the exception's class.
        message: What it said.
        node: The node it happened in; None when it happened outside of all nodes.
        traceback: Frames of the user's own code; None for failures that are not the user's code.
    """

    type: str
    message: str
    node: str | None = None
    traceback: str | None = None


class NodeResult(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one node did for one line.

    Attributes:
        node: Its name.
        status: ``completed``, ``failed``, ``bypassed``, or ``cached``: answered without running.
        output: What it returned; None unless completed or cached.
        error: Why it failed.
        started_at: Epoch seconds.
        duration: Seconds.
        usage: Tokens it spent; None when it called no model, and when it was answered from the cache.
        cached_usage: Tokens that the cached answer once cost and that were not spent again.
        provider: Provider of the model it called.
        model: Model it called, as the provider names it.
        span_id: Its span, 16 hexadecimal digits; None when it was not recorded.
    """

    node: str
    status: NodeStatus
    output: Any = None
    error: ErrorInfo | None = None
    started_at: float = 0.0
    duration: float = 0.0
    usage: Usage | None = None
    cached_usage: Usage | None = None
    provider: str | None = None
    model: str | None = None
    span_id: str | None = None


class LineResult(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one line.

    Attributes:
        line_number: 0-based number that the caller gave the line; aggregation keeps its order.
        status: ``completed`` when no node failed.
        inputs: The flow's inputs, defaults filled in, as declared types.
        outputs: The flow's outputs; empty when it failed.
        nodes: Results in the flow's order; nodes that were never begun are absent.
        error: The first failure.
        duration: Seconds.
        usage: Tokens spent by all its nodes.
        cached_usage: Tokens that answers from the cache once cost.
        trace_id: Its trace, 32 hexadecimal digits; None when it was not recorded.
        notes: Warnings: what was bypassed, dropped or unusual.
        is_bare: Whether a flex flow or prompty gave one value by itself, which stands in the outputs as ``output``.
    """

    line_number: int = 0
    status: LineStatus
    inputs: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    nodes: tuple[NodeResult, ...] = ()
    error: ErrorInfo | None = None
    duration: float = 0.0
    usage: Usage = Usage()
    cached_usage: Usage = Usage()
    trace_id: str | None = None
    notes: tuple[str, ...] = ()
    is_bare: bool = False

    def node(self, name: str) -> NodeResult | None:
        """Return the result of one node."""
        return next((result for result in self.nodes if result.node == name), None)


class AggregationResult(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the aggregation nodes made of all completed lines.

    Attributes:
        metrics: What they logged; the last value of a key counts.
        nodes: Results in the flow's order.
        error: The first failure; metrics logged before it are kept.
        lines: Number of completed lines that were aggregated.
        duration: Seconds.
        usage: Tokens spent by the aggregation nodes.
        cached_usage: Tokens that answers from the cache once cost.
        notes: Warnings.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    nodes: tuple[NodeResult, ...] = ()
    error: ErrorInfo | None = None
    lines: int = 0
    duration: float = 0.0
    usage: Usage = Usage()
    cached_usage: Usage = Usage()
    notes: tuple[str, ...] = ()
