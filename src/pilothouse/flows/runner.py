"""The runner: one flow with its variants chosen, opened once, run line by line and aggregated at the end."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from msgspec import Struct
from msgspec.structs import replace
from opentelemetry import trace
from opentelemetry.trace import Tracer

from pilothouse.core.environment import Environment, export
from pilothouse.core.errors import NotFound, PilothouseError, nearest_hint
from pilothouse.flows.cache import NodeCache
from pilothouse.flows.dag.includes import code_digest, materialise
from pilothouse.flows.dag.problems import Problems
from pilothouse.flows.dag.variants import chosen
from pilothouse.flows.environment.references import resolved
from pilothouse.flows.environment.variables import resolved_variables
from pilothouse.flows.flex.entry import open_flex
from pilothouse.flows.nodes.faults import own_fault
from pilothouse.flows.nodes.modules import FlowModules
from pilothouse.flows.nodes.opening import open_node, with_overrides
from pilothouse.flows.nodes.work import ModelLookup, NodeContext, Work
from pilothouse.flows.prompty.opening import open_prompty
from pilothouse.flows.recording import MetricSink
from pilothouse.flows.results import AggregationResult, ErrorInfo, LineResult, NodeResult
from pilothouse.flows.running.aggregation import aggregated_references, aggregation_inputs, completed_in_order
from pilothouse.flows.running.attempt import Attempt
from pilothouse.flows.running.hiding import every_form
from pilothouse.flows.running.listening import Listener
from pilothouse.flows.running.plan import Plan, aggregation_plan, line_plan
from pilothouse.flows.running.scheduler import Scheduler, run_in_order
from pilothouse.flows.running.single import single_node
from pilothouse.flows.running.stream import LineStream
from pilothouse.flows.running.threads import ToolThreads
from pilothouse.flows.settings import FlowSettings
from pilothouse.flows.types import Flow, Node
from pilothouse.models.secret import Secret

TRACER = "pilothouse"


class _Opened(Struct, frozen=True, kw_only=True):
    works: dict[str, Work]
    lines: Plan
    aggregation: Plan


class FlowRunner:
    """Runs lines of one flow. Use it as an async context manager, or call `open` and `close`.

    Lines may run at once, on one event loop. A line never raises for what its nodes, its inputs or a model did: that
    is in its result. When a line is cancelled or takes too long, no task of it is left and no further node of it
    begins; a sync tool that is running then runs to its end in its thread, because Python cannot stop it.

    Args:
        flow: The flow.
        models: Where connections are found; flows without them need none.
        variants: Node -> variant id; the other nodes run their default variant.
        tracer: Makes the spans; the global one by default.
        cache: Answers in place of llm nodes, and of python nodes that say ``enable_cache: true``.
        executor: Threads for sync tools; own ones by default.
        connections: Node -> {``connection``, or an input: value}, in place of what the file says.
        settings: Time limits, threads and the like.

    Raises:
        FlowError: for an unknown node or variant.
    """

    def __init__(
        self,
        flow: Flow,
        *,
        models: ModelLookup | None = None,
        variants: Mapping[str, str] | None = None,
        tracer: Tracer | None = None,
        cache: NodeCache | None = None,
        executor: Executor | None = None,
        connections: Mapping[str, Mapping[str, Any]] | None = None,
        settings: FlowSettings | None = None,
    ) -> None:
        self.flow = with_overrides(chosen(flow, variants or {}), connections or {})
        self.settings = settings or FlowSettings()
        self._models = models
        self._tracer = tracer or trace.get_tracer(TRACER)
        self._cache = cache
        self._threads = ToolThreads(self.settings.threads, executor)
        self._scheduler = Scheduler(self._threads, cache, self.settings.node_timeout)
        self._closing = ExitStack()
        self._guard = threading.Lock()
        self._opened: _Opened | None = None
        self._sample: dict[str, Any] = {}
        self._folder = self.flow.folder
        self._secrets: tuple[Secret, ...] = ()

    # Opening

    def open(self) -> Self:
        """Import the flow's code and find its connections; a second call does nothing.

        Raises:
            FlowError: when a source or a literal input is not right.
            UserCodeError: when importing a tool fails.
            ConnectionFault: when a connection is missing or incomplete.
        """
        with self._guard:
            if self._opened is None:
                try:
                    works = self._open_nodes(Problems())
                except BaseException:
                    self._closing.close()
                    raise
                alone = self.settings.node_timeout is not None
                self._opened = _Opened(
                    works=works,
                    lines=replace(line_plan(self.flow, works, alone=alone), secrets=self._secrets),
                    aggregation=replace(aggregation_plan(self.flow, works, alone=alone), secrets=self._secrets),
                )
        return self

    def problems(self) -> list[PilothouseError]:
        """Return all that stands in the way of opening, node by node; nothing stays open."""
        problems = Problems(keep=True)
        with self._guard:
            try:
                with problems:
                    self._open_nodes(problems)
            finally:
                self._closing.close()
        return problems.found

    def _open_nodes(self, problems: Problems) -> dict[str, Work]:
        folder = self.flow.folder
        if self.flow.additional_includes:
            folder = Path(self._closing.enter_context(tempfile.TemporaryDirectory(prefix="pilothouse-flow-"))).resolve()
            materialise(self.flow, folder)
        variables: dict[str, str] = {}
        with problems:
            variables = resolved_variables(self.flow, self._models)
        export(variables)
        self._folder = folder
        context = NodeContext(
            flow=self.flow,
            folder=folder,
            models=self._models,
            settings=self.settings,
            code="" if self.flow.kind == "prompty" or self.flow.target is not None else code_digest(self.flow),
            environment=self._environment(variables),
        )
        modules = FlowModules(folder)
        self._closing.callback(modules.close)
        with modules.resolving():
            works = self._works(context, modules, problems)
        self._secrets = every_form(context.secrets)
        self._sample = resolved(self.flow.sample, folder, context.environment, str(self.flow.path))
        if self._cache is None:
            works = {name: replace(work, cacheable=False) for name, work in works.items()}
        return works

    def _works(self, context: NodeContext, modules: FlowModules, problems: Problems) -> dict[str, Work]:
        if self.flow.kind == "dag":
            works: dict[str, Work] = {}
            for node in self.flow.nodes:
                # Only a flow whose problems are kept has nodes that could not be read: they have no source.
                if node.source.path or node.source.tool:
                    with problems:
                        works[node.name] = self._open_node(node, context, modules)
            return works
        if self.flow.kind == "prompty":
            return {node.name: open_prompty(node, context) for node in self.flow.nodes}
        return open_flex(context, modules)

    def _open_node(self, node: Node, context: NodeContext, modules: FlowModules) -> Work:
        """Open one node of a DAG; a runner that answers nodes in another way has its own."""
        return open_node(node, context, modules)

    def _environment(self, variables: Mapping[str, str]) -> Environment:
        if self.flow.kind == "dag":
            return Environment({})
        found = self._models.environment if self._models is not None else Environment.load(self.flow.folder)
        return Environment({**found, **variables})

    def close(self) -> None:
        """Forget the flow's modules and files, and let idle threads end."""
        self._threads.close()
        self._closing.close()

    async def aclose(self) -> None:
        """Close; model clients stay open, they belong to whoever gave the models."""
        self.close()

    async def __aenter__(self) -> Self:
        return self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace_: TracebackType | None
    ) -> None:
        self.close()

    # Facts

    @property
    def folder(self) -> Path:
        """Where the flow's files are while it is open: its own folder, or one in which its includes are merged."""
        return self._folder

    @property
    def is_sync(self) -> bool:
        """Whether `run_line_sync` may run lines: only sync nodes, never two ready at once, no node time limit."""
        return self._ready.lines.is_sync

    @property
    def may_stream(self) -> bool:
        """Whether some output may come piece by piece; whether a function returns a generator, only its call shows."""
        plan = self._ready.lines
        return plan.streams or any(plan.nodes[place].work.runs_user_code for place in plan.taps)

    @property
    def slots(self) -> int | None:
        """How many lines its models serve at once, more would only wait in line; None where no model says."""
        return min((work.slots for work in self._ready.works.values() if work.slots is not None), default=None)

    @property
    def needs_for_aggregation(self) -> tuple[str, ...]:
        """The nodes whose outputs `aggregate` reads; of other nodes nothing need be kept."""
        references = aggregated_references(self.flow)
        return tuple(dict.fromkeys(item.name for item in references if item.source == "node"))

    def node_fingerprint(self, name: str) -> str:
        """Return the SHA-256 of all that decides a node's output besides its inputs; it holds no secret.

        Raises:
            NotFound: when the flow has no such node.
        """
        works = self._ready.works
        if name not in works:
            raise NotFound(f"the flow has no node '{name}'", expected=nearest_hint(name, works))
        return works[name].fingerprint

    @property
    def _ready(self) -> _Opened:
        if self._opened is None:
            self.open()
        assert self._opened is not None
        return self._opened

    # Lines

    async def run_line(self, inputs: Mapping[str, Any], *, line_number: int | None = 0, repeat: int = 0) -> LineResult:
        """Run one line.

        Args:
            inputs: The flow's inputs by name; others are left aside.
            line_number: 0-based; aggregation keeps this order; None for a line that is none of many.
            repeat: Number of the repetition: repeated lines do not share answers of the cache.
        """
        return await self._finish(self._attempt(inputs, line_number), repeat)

    def stream_line(self, inputs: Mapping[str, Any]) -> LineStream:
        """Run one line and hear its outputs as they come: pieces of those that stream, the others as they are known.

        An output streams when it is a whole node that no other node reads, and the node is an llm node, a generator,
        or a tool whose decorator names a `streaming_option_parameter`; or when a flex flow returns generators.

        Args:
            inputs: The flow's inputs by name; others are left aside.
        """
        return LineStream(self._ready.lines, lambda listener: self._attempt(inputs, None, listener), self._finish)

    async def _finish(self, attempt: Attempt, repeat: int = 0) -> LineResult:
        if attempt.line is not None:
            with attempt.running() as line:
                try:
                    async with asyncio.timeout(self.settings.line_timeout):
                        await self._scheduler.run(line, repeat)
                except TimeoutError:
                    attempt.time_out(self.settings.line_timeout or 0.0)
        return attempt.line_result()

    def run_line_sync(self, inputs: Mapping[str, Any], *, line_number: int = 0) -> LineResult:
        """Run one line of a flow that `is_sync` in this thread; for callers that run many lines in one go.

        The line's time limit is looked at between nodes, because a running tool cannot be stopped.
        """
        attempt = self._attempt(inputs, line_number)
        if attempt.line is not None:
            limit = self.settings.line_timeout
            with attempt.running() as line:
                if not run_in_order(line, None if limit is None else attempt.began + limit):
                    attempt.time_out(limit or 0.0)
        return attempt.line_result()

    def _attempt(self, inputs: Mapping[str, Any], line_number: int | None, listener: Listener | None = None) -> Attempt:
        return Attempt(
            self._ready.lines,
            self._tracer,
            inputs or self._sample,
            line_number,
            capture=self.settings.capture,
            listener=listener,
        )

    async def run_node(self, name: str, inputs: Mapping[str, Any]) -> NodeResult:
        """Run one node by itself.

        Args:
            name: The node.
            inputs: What it reads: under the text of a reference (``node.output``, ``inputs.x``), the name of a flow
                input, or the name of the node's own input. An aggregation node gets each as a list of one.

        Raises:
            NotFound: when the flow has no such node.
            DataError: when something that it reads is not given.
        """
        ready = self._ready
        plan, line_inputs = single_node(self.flow, (ready.lines, ready.aggregation), name, inputs)
        attempt = Attempt(plan, self._tracer, {}, 0, capture=self.settings.capture, values=line_inputs)
        with attempt.running(MetricSink()) as line:
            await self._scheduler.run(line)
        return attempt.line_result().nodes[0]

    async def aggregate(self, lines: Sequence[LineResult]) -> AggregationResult:
        """Run the aggregation nodes over the completed lines, in the order of their numbers.

        Args:
            lines: Results of lines, in any order; those that failed are left aside.
        """
        completed = completed_in_order(lines)
        plan = self._ready.aggregation
        if not plan.nodes:
            return AggregationResult(lines=len(completed))
        if not completed:
            error = ErrorInfo(type="DataError", message="no line was completed: there is nothing to aggregate")
            return AggregationResult(error=error)
        try:
            values = aggregation_inputs(aggregated_references(self.flow), self._ready.lines, completed)
        except PilothouseError as error:
            return AggregationResult(error=own_fault(error), lines=len(completed))
        attempt = Attempt(plan, self._tracer, {}, 0, capture=self.settings.capture, values=values)
        metrics = MetricSink()
        with attempt.running(metrics) as line:
            await self._scheduler.run(line)
        return attempt.aggregation_result(metrics, len(completed))
