"""A flow as an evaluator: its outputs are scores, and what its aggregation nodes log are figures."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from msgspec.structs import replace

from pilothouse.evaluation.evaluators.calls import figures_of
from pilothouse.evaluation.evaluators.evaluator import Aggregated, Judged, Parameters
from pilothouse.evaluation.evaluators.returned import scores_of
from pilothouse.evaluation.types import Direction, Metric, Score
from pilothouse.flows.cache import NodeCache
from pilothouse.flows.loader import load_flow
from pilothouse.flows.nodes.work import ModelLookup
from pilothouse.flows.results import AggregationResult, ErrorInfo, LineResult
from pilothouse.flows.runner import FlowRunner
from pilothouse.flows.settings import FlowSettings
from pilothouse.flows.types import Flow


class FlowLines(Protocol):
    """What is asked of a flow's runner."""

    @property
    def slots(self) -> int | None:
        """Lines that its models serve at once; None where they do not say."""
        ...

    async def run_line(self, inputs: Mapping[str, Any], *, line_number: int = 0) -> LineResult:
        """Run one line; failures are in the result."""
        ...

    async def aggregate(self, lines: Sequence[LineResult]) -> AggregationResult:
        """Run the aggregation nodes over lines."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> object: ...


_MOST_AT_ONCE = 1024

OpenFlow = Callable[[Path, Mapping[str, Any]], tuple[Flow, "OpenLines"]]
"""Loads a flow with ``variants`` and ``connections`` of the evaluator's options."""

OpenLines = Callable[[], FlowLines]
"""Makes the runner of one use of a flow."""


class FlowEvaluator:
    """A flow over the rows of a run; its runner is open as long as somebody uses the evaluator.

    Outputs that are numbers or booleans are scores of their names; texts beside them are their evidence, texts alone
    are categories. A line that failed is a score in the state ``error``, with the node that failed.
    """

    def __init__(
        self,
        name: str,
        flow: Flow,
        open_lines: OpenLines,
        version: str,
        better: Direction | dict[str, Direction] = "higher",
    ) -> None:
        self.name = name
        self.version = version
        self.better: Direction | dict[str, Direction] = better
        self.metrics: tuple[Metric, ...] = ()
        self.aggregates = flow.has_aggregation
        if flow.kind in {"dag", "prompty"}:
            # What the code of another kind asks, nobody can tell.
            self.calls_per_row = sum(node.type in {"llm", "custom_llm"} and not node.aggregation for node in flow.nodes)
        self.parameters = Parameters(
            required=tuple(item.name for item in flow.inputs.values() if not item.has_default),
            optional=tuple(item.name for item in flow.inputs.values() if item.has_default),
        )
        self._open_lines = open_lines
        self._users = 0
        self._runner: FlowLines | None = None
        self._gate = asyncio.Semaphore(_MOST_AT_ONCE)

    async def judge(self, arguments: Mapping[str, Any], number: int) -> Judged:
        """Run the flow over one row."""
        async with self._gate:
            line = await self._lines.run_line(arguments, line_number=number)
        if line.status == "failed":
            error = line.error or ErrorInfo(type="FlowError", message="the evaluator's flow failed")
            return Judged(scores=(Score(name=self.name, state="error", error=error),), completed=False)
        scores = scores_of(line.outputs or None, self.name, texts_are_categories=True)
        return Judged(scores=scores, returned=line if self.aggregates else None)

    def unanswered(self, arguments: Mapping[str, Any]) -> Score:
        """Return nothing but the name: a flow does not say which of its inputs is the true label."""
        return Score(name=self.name)

    async def aggregate(self, judged: Sequence[Judged]) -> Aggregated:
        """Run the aggregation nodes over the lines that completed."""
        lines = [item.returned for item in judged if item.completed]
        result = await self._lines.aggregate(lines)
        found = figures_of(result.metrics, self.name)
        if result.error is None:
            return found
        fault = f"its aggregation failed in '{result.error.node}': {result.error.message}"
        return replace(found, faults={**found.faults, self.name: fault})

    async def __aenter__(self) -> Self:
        if self._runner is None:
            self._runner = await self._open_lines().__aenter__()
            # No more lines at once than its models serve: what a call may take is not spent in a queue.
            self._gate = asyncio.Semaphore(self._runner.slots or _MOST_AT_ONCE)
        self._users += 1
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._users -= 1
        if self._users == 0 and self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.__aexit__(None, None, None)

    @property
    def _lines(self) -> FlowLines:
        assert self._runner is not None, "a flow as evaluator is used inside its context"
        return self._runner


def flow_opener(models: ModelLookup | None, settings: FlowSettings, cache: NodeCache | None = None) -> OpenFlow:
    """Return what loads the flows of evaluators and runs them with these models.

    Args:
        models: Where connections are found.
        settings: How flows are run.
        cache: Answers of unchanged nodes, so that a judge is not asked twice the same.
    """

    def open_flow(path: Path, options: Mapping[str, Any]) -> tuple[Flow, OpenLines]:
        def runner() -> FlowRunner:
            variants, connections = options.get("variants"), options.get("connections")
            return FlowRunner(
                flow, models=models, variants=variants, connections=connections, settings=settings, cache=cache
            )

        flow = load_flow(path)
        return runner().flow, runner

    return open_flow
