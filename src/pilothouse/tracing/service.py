"""Tracing as the rest of the house sees it: a tracer, a flush that means durable, and questions about the past."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from opentelemetry.trace import NoOpTracer, Tracer

from pilothouse.core.clock import Clock
from pilothouse.core.services import Services
from pilothouse.core.storage import segments
from pilothouse.tracing import provider
from pilothouse.tracing.encoding import SpanEncoder
from pilothouse.tracing.settings import TracingSettings
from pilothouse.tracing.stores.duckdb import SpanStore
from pilothouse.tracing.types import (
    CaptureCounters,
    Cursor,
    IngestReport,
    ModelUsage,
    SealReport,
    SpanPayload,
    StoreStats,
    Trace,
    TraceFilter,
    TracePage,
)
from pilothouse.tracing.writer import SpanWriter

FOLDER = "telemetry"

_EVERYTHING = TraceFilter()


class TracingService:
    """Records the spans of this process and answers questions about those of all processes.

    Recording needs no lock. Every question takes the store, brings in what has been written, answers and lets the
    store go; `own` keeps it over several questions.

    Args:
        folder: The folder of all telemetry.
        settings: The section `tracing`.
        clock: Where the time comes from.
        disabled: Record nothing, whatever the settings say.
        service_name: ``service.name``, where it is not that of the settings.

    Attributes:
        folder: The folder of all telemetry.
        ingested: What this service has brought into the store so far, and what it could not.
        tracer: Makes spans of this project; it records nothing where tracing is off.
    """

    def __init__(
        self,
        *,
        folder: Path,
        settings: TracingSettings,
        clock: Clock,
        disabled: bool = False,
        service_name: str | None = None,
    ) -> None:
        self.folder = folder
        self.ingested = IngestReport()
        self._settings = settings
        self._clock = clock
        self._store: SpanStore | None = None
        self._holders = 0
        self._guard = threading.RLock()  # one question at a time: the engine's connection is not shared by threads
        self._writer: SpanWriter | None = None
        self._attachment: provider.Attachment | None = None
        self.tracer: Tracer = NoOpTracer()
        if settings.enabled and not disabled:
            self._record(service_name or settings.service_name)

    @classmethod
    def build(cls, services: Services) -> Self:
        """Build the service of a project."""
        environment = services.settings.environment
        return cls(
            folder=services.state / FOLDER,
            settings=services.settings.section(TracingSettings),
            clock=services.clock,
            disabled=environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true",
            service_name=environment.get("OTEL_SERVICE_NAME") or None,
        )

    @property
    def counters(self) -> CaptureCounters:
        """What became of this process's spans; ``lost`` is above 0 only when the disk refused them."""
        return self._writer.counters if self._writer is not None else CaptureCounters(written=0, lost=0, waiting=0)

    def flush(self) -> bool:
        """Write and sync every span that has ended; return when they would survive ``kill -9`` and a power cut.

        Returns:
            False when spans were lost since the last call.
        """
        return self._writer is None or self._writer.flush()

    def close(self) -> None:
        """Write what is left and stop recording; questions may still be asked."""
        if self._attachment is not None:
            self._attachment.detach()
        if self._writer is not None:
            self._writer.shutdown()

    @contextmanager
    def own(self) -> Generator[SpanStore]:
        """Hold the store while the block runs, together with whoever else of this process holds it.

        Raises:
            Conflict: when another process holds it, after waiting a while.
            StorageError: when it cannot be opened.
        """
        with self._guard:
            if self._store is None:
                self._store = SpanStore(
                    self.folder, memory_limit=self._settings.memory_limit, wait=self._settings.wait_seconds
                )
            store = self._store
            self._holders += 1
        try:
            yield store
        finally:
            with self._guard:
                self._holders -= 1
                if self._holders == 0:
                    self._store = None
                    store.close()

    def ingest(self) -> IngestReport:
        """Bring everything that any process has written into the store; seal and expire what is due."""
        self.flush()
        with self.own() as store, self._guard:
            report = store.ingest()
            self.ingested += report
            self._maintain(store)
        return report

    def list(self, wanted: TraceFilter = _EVERYTHING, *, limit: int = 20, after: Cursor | None = None) -> TracePage:
        """Return a page of traces, the newest first; ``after`` is the ``next`` of the page before."""
        with self._current() as store:
            return store.list_traces(wanted, limit, after)

    def show(self, prefix: str, *, limit: int = 200, offset: int = 0) -> Trace:
        """Return a page of the trace whose id begins with ``prefix``.

        Raises:
            NotFound: when there is none.
            UserError: when there are several.
        """
        with self._current() as store:
            return store.trace(store.find_trace(prefix), limit, offset)

    def payload(self, trace_prefix: str, span_prefix: str) -> SpanPayload:
        """Return what one span carries: all attributes, events, links, input and output.

        Raises:
            NotFound: when there is no such trace or span.
            UserError: when several begin so.
        """
        with self._current() as store:
            return store.payload(store.find_trace(trace_prefix), span_prefix)

    def models(self, wanted: TraceFilter = _EVERYTHING) -> tuple[ModelUsage, ...]:
        """Return calls, latency, tokens and errors by model, over the traces that the filter lets through."""
        with self._current() as store:
            return store.models(wanted)

    def stats(self) -> StoreStats:
        """Return what the store holds, what it misses, and how large it is."""
        with self._current() as store:
            return store.stats()

    def seal(self, before: datetime) -> SealReport:
        """Move whole days (UTC) that ended by ``before`` into sealed files."""
        with self._current() as store:
            return store.seal(before)

    def expire(self, before: datetime) -> SealReport:
        """Remove the spans of whole days (UTC) that ended by ``before``."""
        with self._current() as store:
            return store.expire(before)

    @contextmanager
    def _current(self) -> Generator[SpanStore]:
        with self.own() as store, self._guard:
            self.ingest()
            yield store

    def _maintain(self, store: SpanStore) -> None:
        now = self._clock.now()
        closed = now - timedelta(days=self._settings.seal_after_days)
        oldest = store.oldest()
        if oldest is not None and oldest.date() < closed.date():
            store.seal(closed)
        if self._settings.retention_days is not None:
            store.expire(now - timedelta(days=self._settings.retention_days))

    def _record(self, service_name: str) -> None:
        settings = self._settings
        self._writer = SpanWriter(
            self.folder / segments.FOLDER,
            encoder=SpanEncoder(capture_content=settings.capture_content),
            interval=settings.flush_ms / 1000,
            buffer_bytes=settings.buffer_mb << 20,
            segment_bytes=settings.segment_mb << 20,
        )
        self._attachment = provider.attach(self._writer, service_name)
        self.tracer = self._attachment.provider.get_tracer(provider.SCOPE)
