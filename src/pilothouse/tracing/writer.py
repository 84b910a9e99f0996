"""The span processor that makes ended spans durable: encoded at once, written and synced in batches.

Encoding happens on the thread that ends the span: measured, that costs half of what handing the span to another
thread costs, and the buffer's size is known in bytes. When the disk refuses, the spans of that batch are counted as
lost and standard error is told once.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from pilothouse.core.ids import new_id
from pilothouse.core.storage.batches import BatchOptions, BatchWriter
from pilothouse.core.storage.files import AppendLog
from pilothouse.core.storage.segments import new_segment
from pilothouse.tracing.encoding import SpanEncoder, SpanRecord
from pilothouse.tracing.types import CaptureCounters


class SpanWriter(BatchWriter, SpanProcessor):
    """Appends the spans of this process to segments of its own in ``folder``.

    Nothing is opened, and no thread started, before the first span ends.

    Args:
        folder: Where segments are kept.
        encoder: Turns spans into lines.
        interval: Seconds that a span waits in memory at most.
        buffer_bytes: Bytes of lines in memory before the ending thread must wait.
        segment_bytes: Size at which a new segment is begun.
        open_segment: Creates a segment in a folder.
    """

    def __init__(
        self,
        folder: Path,
        *,
        encoder: SpanEncoder | None = None,
        interval: float = 0.1,
        buffer_bytes: int = 8 << 20,
        segment_bytes: int = 64 << 20,
        open_segment: Callable[[Path], AppendLog] = new_segment,
    ) -> None:
        self._encoder = encoder or SpanEncoder()
        options = BatchOptions(
            what="spans",
            interval=interval,
            batch_lines=buffer_bytes,  # bytes alone decide
            buffer_bytes=buffer_bytes,
            segment_bytes=segment_bytes,
        )
        super().__init__(folder, options, open_segment)

    def _begin(self) -> None:
        super()._begin()
        self.id = new_id()
        self._numbers = itertools.count(1)
        self._encoder.forget_process()

    @property
    def counters(self) -> CaptureCounters:
        """What has become of this process's spans so far."""
        return CaptureCounters(written=self.written, lost=self.lost, waiting=self.waiting)

    def on_end(self, span: ReadableSpan) -> None:
        """Take an ended span in; waits for the disk only when the buffer is full."""
        context = span.context
        if context is None or not context.trace_flags & 1:
            return  # sampled out by the user's own sampler
        self.put(self._encoder.encode(span, self.id, next(self._numbers)))

    def take(self, record: SpanRecord, resource: Resource, scope: InstrumentationScope) -> None:
        """Take in the record of a span that no processor but this needs to see; the rest of it is filled in."""
        self.put(self._encoder.complete(record, resource, scope, self.id, next(self._numbers)))

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Do what `flush` does, by the name OpenTelemetry knows."""
        return self.flush()

    def shutdown(self) -> None:
        """Do what `close` does, by the name OpenTelemetry knows."""
        self.close()
