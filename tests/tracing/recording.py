"""Making spans, and finding them again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from opentelemetry.sdk.trace import Span, TracerProvider
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, Tracer, set_span_in_context

from pilothouse.tracing.encoding import SpanEncoder
from pilothouse.tracing.stores.duckdb import SpanStore
from pilothouse.tracing.types import IngestReport
from pilothouse.tracing.writer import SpanWriter

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
START = 1_767_323_045 * SECOND
"""2026-01-02 03:04:05 UTC, what the fixed clock of the tests shows."""


class Capture:
    """A writer, and a tracer that feeds it."""

    def __init__(self, folder: Path, encoder: SpanEncoder | None = None) -> None:
        self.folder = folder
        # An interval that no test waits for: what is on the disk is there because of what the test did.
        self.writer = SpanWriter(folder / "incoming", encoder=encoder, interval=3600)
        self._provider = TracerProvider(shutdown_on_exit=False)
        self._provider.add_span_processor(self.writer)
        self.tracer: Tracer = self._provider.get_tracer("tests", "1.0")

    def span(
        self,
        name: str = "work",
        *,
        start: int = START,
        seconds: float = 1.0,
        parent: Span | SpanContext | None = None,
        **attributes: Any,
    ) -> Span:
        """Record one span; the names of attributes are given with `__` for a dot."""
        if isinstance(parent, SpanContext):
            context = set_span_in_context(NonRecordingSpan(parent))
        else:
            context = None if parent is None else set_span_in_context(parent)
        named = {key.replace("__", "."): value for key, value in attributes.items()}
        span = self.tracer.start_span(name, context=context, start_time=start, attributes=named)
        span.end(start + round(seconds * SECOND))
        assert isinstance(span, Span)
        return span

    def flush(self) -> None:
        assert self.writer.flush()

    def close(self) -> None:
        self.writer.shutdown()

    def lines(self) -> list[dict[str, Any]]:
        """Return every record on the disk."""
        return [
            msgspec.json.decode(line)
            for path in sorted((self.folder / "incoming").glob("*.jsonl"))
            for line in path.read_bytes().splitlines()
        ]

    def ingest(self) -> IngestReport:
        """Flush, and bring everything into the store."""
        self.flush()
        with SpanStore(self.folder) as store:
            return store.ingest()


def trace_id(span: Span) -> str:
    """Return the trace's id as the store writes it."""
    return f"{span.get_span_context().trace_id:032x}"


def span_id(span: Span) -> str:
    """Return the span's id as the store writes it."""
    return f"{span.get_span_context().span_id:016x}"


def context(trace: int, span: int, *, remote: bool = False) -> SpanContext:
    """Return the context of a span that lies elsewhere."""
    return SpanContext(trace, span, is_remote=remote, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def stored_ids(folder: Path) -> list[tuple[str, str]]:
    """Ingest, and return the ids of every span in the store, sorted; a span that is there twice comes twice."""
    with SpanStore(folder) as store:
        store.ingest()
        connection = store._connection
        rows = connection.execute("SELECT trace_id, span_id FROM all_spans ORDER BY ALL").fetchall()
        payloads = connection.execute("SELECT trace_id, span_id FROM all_payloads ORDER BY ALL").fetchall()
    assert rows == payloads
    return rows
