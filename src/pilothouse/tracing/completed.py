"""Spans of what is over: told whole, at a third of the cost of one that is begun, filled and ended."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace import Tracer as SdkTracer
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags, Tracer
from opentelemetry.util.types import AttributeValue

from pilothouse.core.version import VERSION
from pilothouse.tracing.encoding import KINDS, SpanRecord
from pilothouse.tracing.provider import SCOPE, Processors

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_SCOPE = InstrumentationScope(SCOPE, VERSION)
_NOWHERE = Context()
_UNSET = Status(StatusCode.UNSET)
_PARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)


def remote_parent(traceparent: str) -> SpanContext | None:
    """Return the span of a client that its header `traceparent` names (W3C Trace Context).

    Returns:
        None for what is no such header: then the span begins a trace of its own.
    """
    match = _PARENT.fullmatch(traceparent)
    if match is None or match[1] == "ff" or (match[1] == "00" and match[5]):
        return None
    context = SpanContext(
        int(match[2], 16), int(match[3], 16), True, TraceFlags(int(match[4], 16) & TraceFlags.SAMPLED)
    )
    return context if context.is_valid else None


class Begun(NamedTuple):
    """What a span that is still to be told will be called.

    Attributes:
        trace_id: Of the trace; 0 where none will be told.
        span_id: Of the span.
        parent: What it is part of.
    """

    trace_id: int
    span_id: int
    parent: SpanContext | None

    @property
    def header(self) -> str:
        """The header `traceparent` for those who are asked on its behalf; empty for none."""
        if self.trace_id:
            return f"00-{self.trace_id:032x}-{self.span_id:016x}-01"
        parent = self.parent
        if parent is None:
            return ""
        return f"00-{parent.trace_id:032x}-{parent.span_id:016x}-{parent.trace_flags:02x}"


class CompletedSpans:
    """Records spans that nothing hangs on while they last, such as those of a gateway's calls.

    They pass the sampler and every processor of the tracer's provider, as any span does when it ends.

    Args:
        tracer: Whose spans they are; one that records nothing records nothing here.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer if isinstance(tracer, SdkTracer) else None

    def begin(self, traceparent: str | None) -> Begun:
        """Return what a span will be called, so that others can be told before it is over.

        Args:
            traceparent: The client's header. Where no span will be told, what it names is handed on.
        """
        parent = remote_parent(traceparent) if traceparent else None
        return Begun(0, 0, parent) if self._tracer is None else self._begun(self._tracer, parent)

    def record(
        self,
        name: str,
        attributes: dict[str, AttributeValue],
        *,
        start_ns: int,
        end_ns: int,
        kind: SpanKind = SpanKind.SERVER,
        error: str = "",
        parent: SpanContext | None = None,
        begun: Begun | None = None,
    ) -> str:
        """Record one span.

        Args:
            name: What it is called.
            attributes: Texts, numbers, booleans, or tuples of one kind of these; the mapping may be changed here.
            start_ns: Nanoseconds since 1970.
            end_ns: The same.
            kind: What it is to the other side.
            error: Why it failed; empty where it did not.
            parent: What it is part of; None for the root of a trace of its own.
            begun: What it is called, where others were told already: the sampler was asked then, and its parent counts.

        Returns:
            The trace's id, 32 hexadecimal digits; empty where nothing was recorded.
        """
        tracer = self._tracer
        if tracer is None:
            return ""
        if begun is None:
            begun = self._begun(tracer, parent, name, kind, attributes)
        if not begun.trace_id:
            return ""
        processors = tracer.span_processor
        relay = processors.alone if isinstance(processors, Processors) else None
        writer = relay.writer if relay is not None else None
        told = _record(begun, name, attributes, start_ns, end_ns, kind, error)
        if writer is not None:
            writer.take(told, tracer.resource, _SCOPE)
        else:
            processors.on_end(_span(tracer, begun, told, kind))
        return told.trace_id

    def _begun(
        self,
        tracer: SdkTracer,
        parent: SpanContext | None,
        name: str = "",
        kind: SpanKind = SpanKind.SERVER,
        attributes: dict[str, AttributeValue] | None = None,
    ) -> Begun:
        """Name a span that the sampler wants; the ids of one it does not want are 0."""
        if parent is None:
            around, trace_id = _NOWHERE, tracer.id_generator.generate_trace_id()
        else:
            around, trace_id = trace.set_span_in_context(NonRecordingSpan(parent), _NOWHERE), parent.trace_id
        if tracer.sampler.should_sample(around, trace_id, name, kind, attributes).decision.is_sampled():
            return Begun(trace_id, tracer.id_generator.generate_span_id(), parent)
        return Begun(0, 0, parent)


def _record(
    begun: Begun,
    name: str,
    attributes: dict[str, AttributeValue],
    start_ns: int,
    end_ns: int,
    kind: SpanKind,
    error: str,
) -> SpanRecord:
    return SpanRecord(
        trace_id=f"{begun.trace_id:032x}",
        span_id=f"{begun.span_id:016x}",
        parent_id=None if begun.parent is None else f"{begun.parent.span_id:016x}",
        name=name,
        kind=KINDS[kind.value],
        start_ns=start_ns,
        end_ns=end_ns,
        status="error" if error else "unset",
        status_message=error or None,
        attributes=attributes,
    )


def _span(tracer: SdkTracer, begun: Begun, told: SpanRecord, kind: SpanKind) -> ReadableSpan:
    return ReadableSpan(
        name=told.name,
        context=SpanContext(begun.trace_id, begun.span_id, False, _SAMPLED),
        parent=begun.parent,
        resource=tracer.resource,
        attributes=told.attributes,
        kind=kind,
        status=Status(StatusCode.ERROR, told.status_message) if told.status_message else _UNSET,
        start_time=told.start_ns,
        end_time=told.end_ns,
        instrumentation_scope=_SCOPE,
    )
