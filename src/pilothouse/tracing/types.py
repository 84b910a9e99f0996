"""Nouns of tracing: what is captured, what is asked, and what comes back. Times are aware UTC, durations seconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from msgspec import Struct, field

SpanKind = Literal["internal", "server", "client", "producer", "consumer"]
SpanStatus = Literal["unset", "ok", "error"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class CaptureCounters(Struct, frozen=True, kw_only=True):
    """What became of the spans of one process.

    Attributes:
        written: On the disk, synced.
        lost: The disk refused them.
        waiting: Ended, still in memory.
    """

    written: int
    lost: int
    waiting: int


class IngestReport(Struct, frozen=True, kw_only=True):
    """What one reading of the segments brought into the store.

    Attributes:
        spans: New spans.
        duplicates: Lines whose span was there already.
        rejected: Lines that are not spans; kept in the folder `rejected`.
        torn: Unfinished last lines of writers that died; they were never acknowledged.
        finished: Segments that were read to the end and removed.
        bytes: Bytes read.
    """

    spans: int = 0
    duplicates: int = 0
    rejected: int = 0
    torn: int = 0
    finished: int = 0
    bytes: int = 0

    def __add__(self, other: IngestReport) -> IngestReport:
        return IngestReport(**{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__})


class Span(Struct, frozen=True, kw_only=True):
    """One span with its canonical columns, without its payload.

    Attributes:
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits.
        parent_id: The parent's ``span_id``; None for a root.
        name: What it is called.
        kind: What the span is to the span on the other side.
        start_ns: Nanoseconds since 1970, UTC.
        duration: Seconds; 0 where the clock ran backwards.
        status: How it ended.
        status_message: Why it failed.
        service: ``service.name`` of the process.
        scope: The library that made it.
        dropped: Attributes, events and links cut off by limits.
        operation: ``chat``, ``embeddings``, ``execute_tool``, ...
        provider: Who answered.
        request_model: The model that was asked for.
        response_model: The model that answered.
        finish_reason: Why the first choice ended.
        time_to_first_chunk: Seconds.
        input_tokens: Cached ones included.
        output_tokens: Reasoning included.
        cached_input_tokens: Of the input tokens, read from the provider's cache.
        cache_write_tokens: Of the input tokens, written to the provider's cache.
        reasoning_tokens: Of the output tokens, reasoning.
        conversation: Conversation or session.
        user: The end user.
        agent: Agent.
        tool: Tool.
        prompt: Prompt.
        prompt_version: Its version.
        run: Run.
        experiment: Experiment.
        flow: Flow.
        variant: Variant.
        node: Node of the flow.
        line: Row of the data.
        release: Release.
        cache_hit: Whether the result came from the node cache.
        error_type: Class or code of the failure.
    """

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    kind: SpanKind
    start_ns: int
    duration: float
    status: SpanStatus
    status_message: str | None
    service: str | None
    scope: str | None
    dropped: int
    operation: str | None
    provider: str | None
    request_model: str | None
    response_model: str | None
    finish_reason: str | None
    time_to_first_chunk: float | None
    input_tokens: int | None
    output_tokens: int | None
    cached_input_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    conversation: str | None
    user: str | None
    agent: str | None
    tool: str | None
    prompt: str | None
    prompt_version: str | None
    run: str | None
    experiment: str | None
    flow: str | None
    variant: str | None
    node: str | None
    line: str | None
    release: str | None
    cache_hit: bool | None
    error_type: str | None

    @property
    def started_at(self) -> datetime:
        """When it began, to the microsecond."""
        return moment(self.start_ns)


class SpanPayload(Struct, frozen=True, kw_only=True):
    """What a span carries besides its columns, as it was written.

    Attributes:
        attributes: Every attribute.
        events: ``name``, ``time_ns``, ``attributes`` each.
        links: ``trace_id``, ``span_id``, ``attributes`` each.
        resource: Attributes of the process.
        input: What went in, in whatever dialect it was recorded.
        output: What came out.
    """

    attributes: dict[str, Any]
    events: list[dict[str, Any]]
    links: list[dict[str, Any]]
    resource: dict[str, Any]
    input: Any
    output: Any


class TraceFilter(Struct, frozen=True, kw_only=True):
    """Which traces are asked for; None = no condition.

    Attributes:
        run: Name of the run on the trace's first span.
        flow: Name of the flow.
        experiment: Name of the experiment.
        variant: Name of the variant.
        status: Status of the trace's first span.
        name: Part of the first span's name, in any case.
        since: Started at this moment or later.
        until: Started before this moment.
        min_duration: Seconds that the first span lasted at least.
    """

    run: str | None = None
    flow: str | None = None
    experiment: str | None = None
    variant: str | None = None
    status: SpanStatus | None = None
    name: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    min_duration: float | None = None


class Cursor(Struct, frozen=True, kw_only=True):
    """Where the next page of a list begins: after this trace."""

    start_ns: int
    trace_id: str


class TraceSummary(Struct, frozen=True, kw_only=True):
    """One line of the list of traces.

    Attributes:
        head: The root span; the earliest one recorded where the root is missing.
        complete: Whether the root is there. It is not when its process died or still works on it.
        spans: Spans recorded.
        errors: Of them, failed.
        input_tokens: Sum over the calls of models.
        output_tokens: The same.
    """

    head: Span
    complete: bool
    spans: int
    errors: int
    input_tokens: int
    output_tokens: int


class TracePage(Struct, frozen=True, kw_only=True):
    """One page of traces, the newest first; ``next`` is None on the last page."""

    traces: tuple[TraceSummary, ...]
    next: Cursor | None


class TreeSpan(Struct, frozen=True, kw_only=True):
    """A span in its place in the trace.

    Attributes:
        span: The span.
        depth: 0 for roots.
        children: How many children it has, shown or not.
        orphan: Whether its parent was not recorded.
    """

    span: Span
    depth: int
    children: int
    orphan: bool


class Trace(Struct, frozen=True, kw_only=True):
    """One trace, or a page of it.

    Attributes:
        trace_id: Its id.
        spans: Part of its spans, parents before children, in order of time.
        offset: Spans before the first one shown.
        total: Spans of the whole trace.
        errors: Failed spans of the whole trace.
        start_ns: When it began.
        duration: From the first start to the last end, in seconds.
        input_tokens: Sum over the whole trace.
        output_tokens: The same.
    """

    trace_id: str
    spans: tuple[TreeSpan, ...]
    offset: int
    total: int
    errors: int
    start_ns: int
    duration: float
    input_tokens: int
    output_tokens: int

    @property
    def hidden(self) -> int:
        """Spans that are not among ``spans``."""
        return self.total - len(self.spans)


class ModelUsage(Struct, frozen=True, kw_only=True):
    """Calls of one model.

    Attributes:
        provider: Who answered.
        model: The model that answered, or was asked where none answered.
        operation: What was asked of it.
        calls: Number of calls.
        errors: Of them, failed.
        p50: Median duration in seconds.
        p95: 95th percentile, interpolated.
        input_tokens: Sum, cached ones included.
        output_tokens: Sum, reasoning included.
        cached_input_tokens: Sum.
        reasoning_tokens: Sum.
    """

    provider: str | None
    model: str | None
    operation: str | None
    calls: int
    errors: int
    p50: float
    p95: float
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int
    reasoning_tokens: int


class StoreStats(Struct, frozen=True, kw_only=True):
    """What the store holds.

    Attributes:
        spans: Spans, sealed ones included.
        traces: Distinct traces.
        errors: Failed spans.
        sealed_spans: Spans in sealed files.
        sealed_files: Number of sealed files.
        missing: Spans that a process ended but that never arrived: gaps in the numbers of its lines.
        rejected: Lines that are not spans.
        torn: Unfinished last lines of processes that died.
        first: Start of the earliest span.
        last: Start of the latest.
        database_bytes: Size of the database.
        sealed_bytes: Size of the sealed files.
        waiting_bytes: Size of the segments that are not yet removed.
    """

    spans: int
    traces: int
    errors: int
    sealed_spans: int
    sealed_files: int
    missing: int
    rejected: int
    torn: int
    first: datetime | None
    last: datetime | None
    database_bytes: int
    sealed_bytes: int
    waiting_bytes: int


class SealReport(Struct, frozen=True, kw_only=True):
    """What sealing or expiring did.

    Attributes:
        spans: Spans that were sealed, or removed.
        files: Files that were written, or removed.
    """

    spans: int = 0
    files: tuple[str, ...] = field(default_factory=tuple)


def moment(ns: int) -> datetime:
    """Return ``ns``, nanoseconds since 1970 within 64 bits, as an aware time, to the microsecond."""
    return _EPOCH + timedelta(microseconds=ns // 1000)


def nanoseconds(at: datetime) -> int:
    """Return ``at`` as nanoseconds since 1970."""
    since = at.astimezone(UTC) - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000
