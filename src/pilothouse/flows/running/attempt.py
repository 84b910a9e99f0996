"""One line from its inputs to its result: reading, the span around it, time limits, and the record at the end."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from opentelemetry.context import attach, detach
from opentelemetry.trace import Tracer

from pilothouse.core.errors import PilothouseError
from pilothouse.flows.nodes.faults import own_fault
from pilothouse.flows.recording import MetricSink, Sink, sink
from pilothouse.flows.results import AggregationResult, ErrorInfo, LineResult
from pilothouse.flows.running.hiding import hidden
from pilothouse.flows.running.line import Line
from pilothouse.flows.running.listening import Listener
from pilothouse.flows.running.plan import Plan
from pilothouse.flows.running.spans import Recorder
from pilothouse.flows.streaming.taps import tap
from pilothouse.tracing import conventions


class Attempt:
    """The run of one line, or of the aggregation nodes.

    Attributes:
        began: Seconds of the performance counter at the start.
        line: What is run; None when the inputs were refused.
    """

    __slots__ = ("_error", "_inputs", "_line_number", "_recorder", "began", "line")

    def __init__(
        self,
        plan: Plan,
        tracer: Tracer,
        inputs: Mapping[str, Any],
        line_number: int | None,
        *,
        capture: bool,
        values: dict[str, Any] | None = None,
        listener: Listener | None = None,
    ) -> None:
        """Begin.

        Args:
            plan: What is run.
            tracer: Makes the spans.
            inputs: The flow's inputs as given.
            line_number: 0-based; None for a line that is none of many.
            capture: Whether inputs and outputs are written into spans.
            values: What the nodes read, when it is known already; then ``inputs`` are not looked at.
            listener: Who hears the outputs as they come.
        """
        self.began = perf_counter()
        self._line_number = line_number or 0
        attributes: dict[str, Any] = dict(plan.attributes)
        if line_number is not None:
            attributes[conventions.LINE_NUMBER] = line_number
        self._recorder = Recorder(tracer, plan.span_name, attributes, capture=capture, secrets=plan.secrets)
        self._error: ErrorInfo | None = None
        self._inputs: dict[str, Any] = {}
        self.line: Line | None = None
        try:
            if values is None:
                values, self._inputs = plan.read_inputs(inputs, line_number)
        except PilothouseError as error:
            self._inputs = dict(inputs)
            self._error = own_fault(error)
        except RecursionError:
            self._error = ErrorInfo(type="DataError", message="an input is nested too deep")
        else:
            self.line = Line(plan, values, self._recorder, listener)
            self._recorder.inputs(values)

    @property
    def trace_id(self) -> str | None:
        """The trace of the line, while it runs too; None when it is not recorded."""
        return self._recorder.trace_id

    @contextmanager
    def running(self, metrics: MetricSink | None = None) -> Generator[Line]:
        """While inside, metrics that are logged come here. A cancellation ends the span before it goes on."""
        line = self.line
        assert line is not None
        target: Sink = metrics or line
        token = sink.set(target)
        # A flow that a tool runs does not speak for the flow around it.
        unheard = tap.set(None)
        parent = attach(self._recorder.context) if self._recorder.is_parent else None
        try:
            yield line
        except BaseException as problem:
            line.stopped = True
            self._recorder.end(None, ErrorInfo(type=type(problem).__name__, message="the line was stopped"))
            raise
        finally:
            if parent is not None:
                detach(parent)
            tap.reset(unheard)
            sink.reset(token)

    def time_out(self, limit: float) -> None:
        """Fail the line: it took longer than ``limit`` seconds."""
        line = self.line
        assert line is not None
        error = ErrorInfo(type="Timeout", message=f"the line took longer than {limit:g} s")
        line.abandon(error)
        line.fail(error)

    def line_result(self) -> LineResult:
        """End the line and return its result."""
        line = self.line
        if line is None:
            self._recorder.end(None, self._error)
            return LineResult(
                line_number=self._line_number,
                status="failed",
                inputs=self._inputs,
                error=self._error,
                duration=perf_counter() - self.began,
                trace_id=self._recorder.trace_id,
            )
        outputs = self._outputs(line)
        error = line.error
        self._recorder.end(outputs, error)
        spent, cached = line.usage()
        return LineResult(
            line_number=self._line_number,
            status="completed" if error is None else "failed",
            inputs=self._inputs,
            outputs=outputs,
            nodes=tuple([result for result in line.results if result is not None]),
            error=error,
            duration=perf_counter() - self.began,
            usage=spent,
            cached_usage=cached,
            trace_id=self._recorder.trace_id,
            notes=tuple(line.notes),
            is_bare=line.is_bare,
        )

    def aggregation_result(self, metrics: MetricSink, lines: int) -> AggregationResult:
        """End the aggregation and return its result."""
        line = self.line
        assert line is not None
        _abandon_rest(line)
        self._recorder.end(metrics.values, line.error)
        spent, cached = line.usage()
        return AggregationResult(
            metrics=metrics.values,
            nodes=tuple([result for result in line.results if result is not None]),
            error=line.error,
            lines=lines,
            duration=perf_counter() - self.began,
            usage=spent,
            cached_usage=cached,
            notes=(*line.notes, *metrics.notes),
        )

    def _outputs(self, line: Line) -> dict[str, Any]:
        if line.error is None:
            try:
                outputs = line.give_outputs()
                secrets = line.plan.secrets
                return hidden(outputs, secrets) if secrets else outputs
            except PilothouseError as error:
                line.fail(own_fault(error))
        else:
            _abandon_rest(line)
        return {}


def _abandon_rest(line: Line) -> None:
    if line.error is not None:
        place = f"node '{line.error.node}'" if line.error.node else "the line"
        line.abandon(ErrorInfo(type="Cancelled", message=f"stopped, because {place} failed"))
