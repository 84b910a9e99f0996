"""One line on its way through a plan: its values, what was bypassed, and the result of every node."""

from __future__ import annotations

import asyncio
import threading
import traceback
from collections.abc import Awaitable, Callable
from copy import deepcopy
from time import perf_counter, time
from types import CoroutineType
from typing import Any, cast

from opentelemetry.context import attach, detach
from opentelemetry.trace import Span, set_span_in_context

from pilothouse.core.errors import FlowError, PilothouseError
from pilothouse.flows.dag.references import follow
from pilothouse.flows.nodes.faults import own_fault, text_of, user_fault
from pilothouse.flows.nodes.python import read_out
from pilothouse.flows.nodes.work import Answer, Bare, Chunks, iterates, iterates_async
from pilothouse.flows.prompts.images import Image, plain
from pilothouse.flows.prompts.shield import PromptText
from pilothouse.flows.results import ErrorInfo, NodeResult, NodeStatus
from pilothouse.flows.running.hiding import hidden
from pilothouse.flows.running.listening import Listener
from pilothouse.flows.running.plan import OutputSpec, Plan, PlanNode
from pilothouse.flows.running.spans import Recorder, span_id
from pilothouse.flows.streaming.taps import tap
from pilothouse.flows.types import LiteralValue
from pilothouse.models.secret import Secret
from pilothouse.models.types import Usage

# Classes of outputs that are certainly neither iterators nor in need of another form in the record.
_DIRECT = frozenset({str, int, float, bool, type(None), dict, list})

PASSED_ON = (asyncio.CancelledError, KeyboardInterrupt, GeneratorExit)
"""What a node on the loop does not turn into a failure."""

Send = Callable[[PlanNode, Any], Awaitable[tuple[Answer, bool]]]


class TimeLimit(Exception):
    """A node took longer than it may."""


class Line:
    """The state of one line. Each node writes only its own slots, so branches may run in several threads.

    Attributes:
        plan: What is run.
        inputs: The flow's inputs, as nodes get them.
        outputs: Output of each node.
        results: Result of each node; None until it has one.
        bypassed: Whether each node was bypassed.
        notes: Warnings.
        error: The first failure.
        stopped: Set to let no further node begin.
        is_bare: Whether the outputs are one value that the flow gave by itself.
    """

    __slots__ = (
        *("_begun", "_listener", "_recorder", "bypassed", "error", "inputs", "is_bare"),
        *("notes", "outputs", "plan", "results", "stopped"),
    )

    def __init__(
        self, plan: Plan, inputs: dict[str, Any], recorder: Recorder, listener: Listener | None = None
    ) -> None:
        count = len(plan.nodes)
        self.plan = plan
        self.inputs = inputs
        self.outputs: list[Any] = [None] * count
        self.results: list[NodeResult | None] = [None] * count
        self.bypassed = [False] * count
        self.notes: list[str] = []
        self.error: ErrorInfo | None = None
        self.stopped = False
        self._begun: dict[int, float] = {}
        self._recorder = recorder
        self._listener = listener
        self.is_bare = False
        if listener is not None:
            listener.begin(self._output)

    # Nodes

    def run(self, node: PlanNode) -> None:
        """Run a sync node here and now; its failure becomes its result."""
        if self.plan.can_bypass and self.bypasses(node):
            return
        work = node.work
        started, tick = time(), perf_counter()
        self._begun[node.index] = started
        span = token = None
        if self._recorder.on:
            span = self._recorder.node(node.span_name, node.attributes)
            token = attach(set_span_in_context(span, self._recorder.context))
        output: Any = None
        error: ErrorInfo | None = None
        in_tool = False
        heard = tap.set(self._listener.tap(node.index)) if self._listener is not None else None
        try:
            arguments = self.arguments(node)
            if span is not None:
                self._recorder.begin(span, arguments)
            in_tool = work.runs_user_code
            output = cast("Callable[..., Any]", work.function)(**arguments)
            if type(output) not in _DIRECT and (
                iterates(output) or iterates_async(output) or isinstance(output, CoroutineType)
            ):
                output = read_out(output)
        except BaseException as problem:
            error = _fault(problem, node, in_tool, self.plan.secrets)
            # Ctrl-C is the one thing that is not the tool's own failure; it only reaches the main thread.
            if isinstance(problem, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
                self._interrupt(span, error)
                raise
        finally:
            if heard is not None:
                tap.reset(heard)
            if token is not None:
                detach(token)
        self._record(node, "failed" if error else "completed", started, tick, span, output=output, error=error)

    async def run_async(self, node: PlanNode, send: Send) -> None:
        """Run a node on the loop; its failure becomes its result, a cancellation goes through.

        Args:
            node: The node, of any mode.
            send: Gives its answer for what is to be sent, and whether that came from the cache.
        """
        started, tick = time(), perf_counter()
        self._begun[node.index] = started
        span = token = None
        if self._recorder.on:
            span = self._recorder.node(node.span_name, node.attributes)
            token = attach(set_span_in_context(span, self._recorder.context))
        answer, is_cached = Answer(output=None), False
        error: ErrorInfo | None = None
        in_tool = False
        heard = tap.set(self._listener.tap(node.index)) if self._listener is not None else None
        try:
            arguments = self.arguments(node)
            if span is not None:
                self._recorder.begin(span, arguments)
            prepared = node.work.prepare(arguments) if node.work.prepare is not None else arguments
            in_tool = node.work.runs_user_code
            answer, is_cached = await send(node, prepared)
        except BaseException as problem:
            error = _fault(problem, node, in_tool, self.plan.secrets)
            if isinstance(problem, PASSED_ON):
                self._interrupt(span, error)
                raise
        finally:
            if heard is not None:
                tap.reset(heard)
            if token is not None:
                detach(token)
        status: NodeStatus = "failed" if error else "cached" if is_cached else "completed"
        self._record(node, status, started, tick, span, output=answer.output, error=error, answer=answer)

    def _record(
        self,
        node: PlanNode,
        status: NodeStatus,
        started: float,
        tick: float,
        span: Span | None,
        *,
        output: Any = None,
        error: ErrorInfo | None = None,
        answer: Answer | None = None,
    ) -> None:
        duration = perf_counter() - tick
        self.outputs[node.index] = output
        # What a flow's function gave by itself is what its node gave; only the flow's outputs need a name for it.
        given = output["output"] if type(output) is Bare else output
        shown = given if type(given) in _DIRECT and not self.plan.has_images else recorded(given)
        if self.plan.secrets:
            shown = hidden(shown, self.plan.secrets)
        usage = answer.usage if answer is not None else None
        self.results[node.index] = NodeResult(
            node=node.name,
            status=status,
            output=shown,
            error=error,
            started_at=started,
            duration=duration,
            usage=usage if status == "completed" else None,
            cached_usage=usage if status == "cached" else None,
            provider=answer.provider if answer is not None else None,
            model=answer.model if answer is not None else None,
            span_id=span_id(span) if span is not None else None,
        )
        if span is not None:
            self._recorder.finish(span, status, shown, error)
        if error is not None:
            self.fail(error)
        elif self._listener is not None:
            self._listener.settled(node.index)

    def _interrupt(self, span: Span | None, error: ErrorInfo) -> None:
        self.stopped = True
        if span is not None:
            self._recorder.finish(span, "failed", None, error)

    def fail(self, error: ErrorInfo) -> None:
        """Let no further node begin; the first failure is the line's."""
        self.stopped = True
        if self.error is None:
            self.error = error

    # Inputs and bypassing

    def arguments(self, node: PlanNode) -> dict[str, Any]:
        """Return the inputs of a node.

        Raises:
            FlowError: when the path of a reference leads nowhere.
        """
        constants = node.constants
        arguments = _copied(constants) if node.copied else constants.copy()
        for parameter, name in node.from_flow:
            # Only an input whose default stands in the code may be missing.
            if name in self.inputs:
                arguments[parameter] = self.inputs[name]
        for item in node.from_nodes:
            if self.bypassed[item.slot]:
                if not item.optional:
                    arguments[item.parameter] = None
                    self.notes.append(
                        f"'{item.parameter}' of node '{node.name}' is null: node '{item.reference.name}' was bypassed"
                    )
                continue
            value = self.outputs[item.slot]
            if item.reference.path:
                value = follow(value, item.reference)
            elif type(value) is Chunks:
                value = iter(value)
            arguments[item.parameter] = value
        option = node.work.stream_option
        if option is not None and node.index in self.plan.taps:
            arguments[option] = self._listener is not None
        return arguments

    def bypasses(self, node: PlanNode) -> bool:
        """Return whether a node is bypassed, and record it when it is.

        An activate condition alone decides; without one, a node is bypassed when it reads nodes and all of them were.
        """
        try:
            is_bypassed = self._is_bypassed(node)
        except Exception as problem:  # noqa: BLE001 - the condition compares values of the user's own classes
            error = _fault(problem, node, not isinstance(problem, FlowError), self.plan.secrets)
            self._record(node, "failed", time(), perf_counter(), None, error=error)
            return True
        if is_bypassed:
            self.bypassed[node.index] = True
            span = self._recorder.node(node.span_name, node.attributes) if self._recorder.on else None
            self._record(node, "bypassed", time(), perf_counter(), span)
        return is_bypassed

    def _is_bypassed(self, node: PlanNode) -> bool:
        condition = node.condition
        if condition is None:
            return bool(node.from_nodes) and all(self.bypassed[item.slot] for item in node.from_nodes)
        if condition.slot is None:
            value = self.inputs[condition.reference.name]
        elif self.bypassed[condition.slot]:
            return True
        else:
            value = follow(self.outputs[condition.slot], condition.reference)
        return not bool(value == condition.expected)

    # Outputs

    def give_outputs(self) -> dict[str, Any]:
        """Return the flow's outputs of a line whose nodes all ran.

        Raises:
            FlowError: when the path of a reference leads nowhere.
        """
        if self.plan.gives_all:
            return self._all_outputs()
        return {spec.name: self._output(spec) for spec in self.plan.outputs}

    def _all_outputs(self) -> dict[str, Any]:
        self.is_bare = type(self.outputs[0]) is Bare
        found: dict[str, Any] = recorded(self.outputs[0])
        for name in self.plan.promised:
            if name not in found:
                self.notes.append(f"the output '{name}' is declared, but '{self.plan.nodes[0].name}' did not return it")
        return found

    def _output(self, spec: OutputSpec) -> Any:
        value = spec.value
        if isinstance(value, LiteralValue):
            return value.value
        if spec.slot is None:
            return recorded(self.inputs[value.name])
        if self.bypassed[spec.slot]:
            note = f"the output '{spec.name}' is null: node '{value.name}' was bypassed"
            if note not in self.notes:
                self.notes.append(note)
            return None
        found = self.outputs[spec.slot]
        if value.path:
            found = follow(found, value)
        return found if type(found) in _DIRECT and not self.plan.has_images else recorded(found)

    # The record

    def log(self, key: str, value: float, variant_id: str | None) -> None:
        """Note a metric that was logged for a line: only aggregation nodes log metrics."""
        note = f"the metric '{key}' was logged outside an aggregation node and is not kept"
        if note not in self.notes:
            self.notes.append(note)

    def abandon(self, error: ErrorInfo) -> None:
        """Fail every node that has begun and has no result yet; what it still does is not recorded."""
        for index, started in list(self._begun.items()):
            if self.results[index] is None:
                name = self.plan.nodes[index].name
                self.results[index] = NodeResult(
                    node=name,
                    status="failed",
                    error=ErrorInfo(type=error.type, message=error.message, node=name),
                    started_at=started,
                    duration=max(0.0, time() - started),
                )

    def usage(self) -> tuple[Usage, Usage]:
        """Return the tokens that were spent, and those that answers from the cache once cost."""
        spent, cached = _NOTHING, _NOTHING
        for result in self.results:
            if result is not None and result.usage is not None:
                spent += result.usage
            if result is not None and result.cached_usage is not None:
                cached += result.cached_usage
        return spent, cached


_NOTHING = Usage()


def recorded(value: Any) -> Any:
    """Return an output in the form in which it is recorded: generators joined, images as JSON, plain text."""
    if type(value) is Chunks:
        return value.joined()
    if type(value) is PromptText:
        return str(value)
    return plain(value) if isinstance(value, Image | dict | list) else value


def _copied(constants: dict[str, Any]) -> dict[str, Any]:
    return {
        name: deepcopy(cast("Any", value)) if isinstance(value, list | dict) else value
        for name, value in constants.items()
    }


def _fault(problem: BaseException, node: PlanNode, in_tool: bool, secrets: tuple[Secret, ...]) -> ErrorInfo:
    if isinstance(problem, TimeLimit):
        return ErrorInfo(type="Timeout", message=str(problem), node=node.name)
    if isinstance(problem, PilothouseError) and not in_tool:
        return own_fault(problem, node.name)
    if in_tool:
        return user_fault(problem, node.name, secrets)
    # A defect of ours, or of a provider's adapter: one line is lost by it, and its record says where.
    trace = "".join(traceback.format_exception(problem))
    return ErrorInfo(
        type=type(problem).__name__, message=f"a defect: {text_of(problem)}", node=node.name, traceback=trace
    )
