"""Spans of what is over: told whole, at a third of the cost of one that is begun, filled and ended."""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace import Tracer as SdkTracer
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, Tracer
from opentelemetry.util.types import AttributeValue

from pilothouse.core.version import VERSION
from pilothouse.tracing.provider import SCOPE

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_SCOPE = InstrumentationScope(SCOPE, VERSION)
_NONE = "0" * 32
_UNSET = Status(StatusCode.UNSET)


class CompletedSpans:
    """Records spans that nothing hangs on while they last, such as those of a gateway's calls.

    They pass the sampler and every processor of the tracer's provider, as any span does when it ends.

    Args:
        tracer: Whose spans they are; one that records nothing records nothing here.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer if isinstance(tracer, SdkTracer) else None

    def record(
        self,
        name: str,
        attributes: Mapping[str, AttributeValue],
        *,
        start_ns: int,
        end_ns: int,
        kind: SpanKind = SpanKind.SERVER,
        error: str = "",
    ) -> str:
        """Record one span, the root of a trace of its own.

        Args:
            name: What it is called.
            attributes: Texts, numbers, booleans, or tuples of one kind of these; the mapping is not kept.
            start_ns: Nanoseconds since 1970.
            end_ns: The same.
            kind: What it is to the other side.
            error: Why it failed; empty where it did not.

        Returns:
            The trace's id, 32 hexadecimal digits; zeros where nothing was recorded.
        """
        tracer = self._tracer
        if tracer is None:
            return _NONE
        trace_id = tracer.id_generator.generate_trace_id()
        decision = tracer.sampler.should_sample(None, trace_id, name, kind, attributes).decision
        if not decision.is_sampled():
            return _NONE
        span = ReadableSpan(
            name=name,
            context=SpanContext(trace_id, tracer.id_generator.generate_span_id(), False, _SAMPLED),
            resource=tracer.resource,
            attributes=dict(attributes),
            kind=kind,
            status=Status(StatusCode.ERROR, error) if error else _UNSET,
            start_time=start_ns,
            end_time=end_ns,
            instrumentation_scope=_SCOPE,
        )
        tracer.span_processor.on_end(span)
        return f"{trace_id:032x}"
