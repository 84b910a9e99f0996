"""Joins our writer to OpenTelemetry's one provider per process, whoever set it up.

The provider can be set only once, and processors cannot be taken off it. So ours holds a relay, which passes spans to
the writer of the project that is open, and to none when it is closed. Nothing here opens a network connection: an
exporter sends spans elsewhere only where the user adds one to the provider.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import Final
from weakref import WeakKeyDictionary

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, SynchronousMultiSpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, DEFAULT_ON, Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind
from opentelemetry.trace.span import TraceState
from opentelemetry.util.types import Attributes

from pilothouse.core.version import VERSION
from pilothouse.tracing.writer import SpanWriter

SCOPE: Final = "pilothouse"


class Relay(SpanProcessor):
    """Passes ended spans to the writer of the open project."""

    def __init__(self) -> None:
        self.writer: SpanWriter | None = None

    def on_end(self, span: ReadableSpan) -> None:
        """Pass one span on."""
        if self.writer is not None:
            self.writer.on_end(span)

    def shutdown(self) -> None:
        """Let the writer finish."""
        if self.writer is not None:
            self.writer.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Let the writer flush."""
        return self.writer is None or self.writer.flush()


class Processors(SynchronousMultiSpanProcessor):
    """The processors of a provider of ours.

    Attributes:
        alone: The relay, while nobody else has put a processor beside it: then no span object is needed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.alone: Relay | None = None

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        """Add a processor."""
        is_first = not self._span_processors
        super().add_span_processor(span_processor)
        self.alone = span_processor if is_first and isinstance(span_processor, Relay) else None


class _WhileOpen(Sampler):
    """Samples as it was going to while a project is open, and nothing while none is."""

    def __init__(self, relay: Relay, inner: Sampler) -> None:
        self._relay = relay
        self._inner = inner

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Decide for one span."""
        if self._relay.writer is not None and self._inner is DEFAULT_ON:
            # What it would answer, with one look at the parent instead of two.
            parent = trace.get_current_span(parent_context).get_span_context()
            if not parent.is_valid:
                return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes)
            if parent.trace_flags.sampled:
                return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes, parent.trace_state)
        sampler = self._inner if self._relay.writer is not None else ALWAYS_OFF
        return sampler.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self) -> str:
        """Return the name that OpenTelemetry shows."""
        return f"WhileOpen{{{self._inner.get_description()}}}"


# OpenTelemetry keeps its provider for the process; the relay that we put on it is kept beside it.
_relays: WeakKeyDictionary[TracerProvider, Relay] = WeakKeyDictionary()
_joining = threading.Lock()


class Attachment:
    """A writer that receives the spans of a provider, until `detach`.

    Attributes:
        provider: Where tracers of this project come from.
    """

    def __init__(self, provider: TracerProvider, relay: Relay) -> None:
        self.provider = provider
        self._relay = relay

    def detach(self) -> None:
        """Send no more spans to the writer; another project of this process may take the provider over."""
        self._relay.writer = None


def attach(writer: SpanWriter, service_name: str) -> Attachment:
    """Let ``writer`` receive the spans of this process.

    A provider of the user's own is kept and given our processor. Where another project of this process holds the
    provider already, ``writer`` gets a private one: its project's own tracer is recorded, other libraries' spans go to
    the first.
    """
    with _joining:
        current = trace.get_tracer_provider()
        if isinstance(current, trace.ProxyTracerProvider):
            # Whoever adds an exporter to the global provider has it flushed at the end of the process.
            current = _ours(service_name, shutdown_on_exit=True)
            trace.set_tracer_provider(current)
        relay = _relay(current) if isinstance(current, TracerProvider) else None
        if not isinstance(current, TracerProvider) or relay is None or relay.writer is not None:
            current = _ours(service_name, shutdown_on_exit=False)
            relay = _relay(current)
        relay.writer = writer
    return Attachment(current, relay)


def _relay(provider: TracerProvider) -> Relay:
    """Return the relay of a provider, put on it where there is none yet."""
    relay = _relays.get(provider)
    if relay is None:
        relay = _relays[provider] = Relay()
        provider.add_span_processor(relay)
    return relay


def _ours(service_name: str, *, shutdown_on_exit: bool) -> TracerProvider:
    provider = TracerProvider(
        resource=_resource(service_name), shutdown_on_exit=shutdown_on_exit, active_span_processor=Processors()
    )
    provider.sampler = _WhileOpen(_relay(provider), provider.sampler)
    return provider


def _resource(service_name: str) -> Resource:
    ours = {"service.name": service_name, "pilothouse.version": VERSION, "process.pid": os.getpid()}
    return OTELResourceDetector().detect().merge(Resource(ours))
