"""Marks the span of every row with its run, so that traces are found by run and line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, Tracer
from opentelemetry.util.types import Attributes, AttributeValue

from pilothouse.experiments.runs.types import RunSpec
from pilothouse.tracing import conventions

line_id: ContextVar[str | None] = ContextVar("pilothouse_line_id", default=None)
"""The row that is being run here; None outside of rows."""


class RunTracer(Tracer):
    """Makes every row a trace of its own that carries the run's name; spans inside rows stay as they are.

    Args:
        tracer: Makes the spans.
        run: The run's name.
        spec: What was asked.
    """

    def __init__(self, tracer: Tracer, run: str, spec: RunSpec) -> None:
        self._tracer = tracer
        self._attributes: dict[str, AttributeValue] = {conventions.RUN: run}
        if spec.experiment is not None:
            self._attributes[conventions.EXPERIMENT] = spec.experiment

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> Span:
        """Begin a span; one without a parent gets the attributes of the run."""
        if context is None:
            context = Context()
            attributes = self._marked(attributes)
        return self._tracer.start_span(
            name, context, kind, attributes, links, start_time, record_exception, set_status_on_exception
        )

    def start_as_current_span(self, name: str, *given: Any, **named: Any) -> Any:
        """Begin a span inside the current one and make it the current one."""
        return self._tracer.start_as_current_span(name, *given, **named)

    def _marked(self, attributes: Attributes) -> Mapping[str, AttributeValue]:
        row = line_id.get()
        marked = {**(attributes or {}), **self._attributes}
        return marked if row is None else {**marked, conventions.LINE: row}
