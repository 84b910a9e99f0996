"""What the store answers, live and sealed alike."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from opentelemetry.trace import StatusCode, set_span_in_context

from pilothouse.core.errors import NotFound, UserError
from pilothouse.tracing import conventions as names
from pilothouse.tracing.stores.duckdb import SpanStore
from pilothouse.tracing.types import Cursor, TraceFilter, TracePage, moment

from .recording import DAY, SECOND, START, Capture, context, trace_id

NOON = moment(START)


@pytest.fixture(scope="module", params=["live", "sealed", "mixed"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SpanStore]:
    """Four days with three traces each; the same spans live, sealed, or two days of each. Only to be asked."""
    capture = Capture(tmp_path_factory.mktemp(request.param) / "telemetry")
    for day in range(4):
        for number in range(3):
            record_line(capture, day, number)
    capture.close()
    with SpanStore(capture.folder) as opened:
        opened.ingest()
        if request.param != "live":
            opened.seal(NOON + timedelta(days=2 if request.param == "mixed" else 30))
        yield opened


def record_line(capture: Capture, day: int, number: int) -> None:
    """Record a trace of three spans; in every third trace the model's call fails."""
    start = START + day * DAY + number * SECOND
    failed = number == 2
    root = capture.tracer.start_span(
        f"line {day}.{number}",
        start_time=start,
        attributes={names.RUN: f"run-{day}", names.FLOW: "classify", names.VARIANT: "abc"[number]},
    )
    call = capture.tracer.start_span(
        "chat",
        context=set_span_in_context(root),
        start_time=start + 1000,
        attributes={
            names.OPERATION: "chat",
            names.PROVIDER: "openai",
            names.REQUEST_MODEL: "small" if number else "large",
            names.INPUT_TOKENS: 100,
            names.OUTPUT_TOKENS: 10 * (number + 1),
        },
    )
    if failed:
        call.set_status(StatusCode.ERROR, "overloaded")
        root.set_status(StatusCode.ERROR, "a node failed")
    call.end(start + (number + 1) * SECOND)
    capture.tracer.start_span("parse", context=set_span_in_context(root), start_time=start + 2000).end(start + 2500)
    root.end(start + 5 * SECOND)


def listed(page: TracePage) -> list[str]:
    return [summary.head.name for summary in page.traces]


EVERY_TRACE = [f"line {day}.{number}" for day in (3, 2, 1, 0) for number in (2, 1, 0)]


def test_traces_come_newest_first_with_their_sums(store: SpanStore) -> None:
    page = store.list_traces(TraceFilter(), 100, None)
    assert listed(page) == EVERY_TRACE
    assert page.next is None
    first = page.traces[0]
    assert (first.complete, first.spans, first.errors, first.input_tokens, first.output_tokens) == (True, 3, 2, 100, 30)
    assert (first.head.run, first.head.flow, first.head.variant, first.head.status) == (
        "run-3",
        "classify",
        "c",
        "error",
    )
    assert first.head.duration == pytest.approx(5.0)
    assert first.head.started_at == NOON + timedelta(days=3, seconds=2)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (TraceFilter(run="run-1"), ["line 1.2", "line 1.1", "line 1.0"]),
        (TraceFilter(flow="classify", variant="a"), ["line 3.0", "line 2.0", "line 1.0", "line 0.0"]),
        (TraceFilter(flow="another"), []),
        (TraceFilter(experiment="none"), []),
        (TraceFilter(status="error"), ["line 3.2", "line 2.2", "line 1.2", "line 0.2"]),
        (TraceFilter(status="ok"), []),
        (TraceFilter(name="LINE 2"), ["line 2.2", "line 2.1", "line 2.0"]),
        (TraceFilter(name="100%_'"), []),
        (TraceFilter(since=NOON + timedelta(days=3, seconds=1)), ["line 3.2", "line 3.1"]),
        (TraceFilter(until=NOON + timedelta(seconds=1)), ["line 0.0"]),
        (TraceFilter(since=datetime(1970, 1, 1, tzinfo=UTC), until=datetime(1970, 1, 1, tzinfo=UTC)), []),
        (TraceFilter(min_duration=5.0, run="run-0"), ["line 0.2", "line 0.1", "line 0.0"]),
        (TraceFilter(min_duration=5.001), []),
    ],
)
def test_filters(store: SpanStore, wanted: TraceFilter, expected: list[str]) -> None:
    assert listed(store.list_traces(wanted, 100, None)) == expected


@pytest.mark.parametrize("size", [1, 5, 12])
def test_pages_follow_each_other_without_a_gap(store: SpanStore, size: int) -> None:
    found: list[str] = []
    after: Cursor | None = None
    while True:
        page = store.list_traces(TraceFilter(), size, after)
        found += listed(page)
        after = page.next
        if after is None:
            break
    assert found == EVERY_TRACE


def test_one_trace_as_a_tree(store: SpanStore) -> None:
    head = store.list_traces(TraceFilter(run="run-2"), 1, None).traces[0].head
    found = store.trace(head.trace_id, 10)
    assert [(item.span.name, item.depth, item.children) for item in found.spans] == [
        ("line 2.2", 0, 2),
        ("chat", 1, 0),
        ("parse", 1, 0),
    ]
    assert (found.total, found.errors, found.hidden, found.input_tokens, found.output_tokens) == (3, 2, 0, 100, 30)
    assert found.duration == pytest.approx(5.0)
    assert found.spans[1].span.status_message == "overloaded"


def test_a_trace_by_the_beginning_of_its_id(store: SpanStore) -> None:
    whole = store.list_traces(TraceFilter(), 1, None).traces[0].head.trace_id
    assert store.find_trace(whole) == whole
    assert store.find_trace(whole[:20].upper()) == whole
    with pytest.raises(UserError, match="several traces begin with ''"):
        store.find_trace("")
    with pytest.raises(NotFound, match="no trace 'zz'"):
        store.find_trace("zz")
    with pytest.raises(NotFound):
        store.find_trace("%")


def test_the_payload_of_a_span(store: SpanStore) -> None:
    head = store.list_traces(TraceFilter(run="run-0", variant="a"), 1, None).traces[0].head
    call = store.trace(head.trace_id, 10).spans[1].span
    payload = store.payload(head.trace_id, call.span_id[:10])
    assert payload.attributes[names.REQUEST_MODEL] == "large"
    with pytest.raises(NotFound):
        store.payload(head.trace_id, "zz")
    with pytest.raises(UserError, match="several spans"):
        store.payload(head.trace_id, "")


def test_usage_by_model(store: SpanStore) -> None:
    small, large = store.models(TraceFilter())
    assert (small.provider, small.model, small.operation, small.calls, small.errors) == (
        "openai",
        "small",
        "chat",
        8,
        4,
    )
    assert (large.model, large.calls, large.errors, large.input_tokens, large.output_tokens) == ("large", 4, 0, 400, 40)
    # four calls of 2 s and four of 3 s, less the microsecond by which they start late
    assert small.p50 == pytest.approx(2.5, abs=1e-5)
    assert small.p95 == pytest.approx(3.0, abs=1e-5)
    assert (small.input_tokens, small.output_tokens) == (800, 200)


def test_usage_by_model_within_some_traces(store: SpanStore) -> None:
    (usage,) = store.models(TraceFilter(run="run-1", variant="b"))
    assert (usage.model, usage.calls, usage.output_tokens) == ("small", 1, 20)
    assert store.models(TraceFilter(run="no such run")) == ()


def test_what_the_store_holds(store: SpanStore) -> None:
    stats = store.stats()
    assert (stats.spans, stats.traces, stats.errors, stats.missing, stats.rejected, stats.torn) == (36, 12, 8, 0, 0, 0)
    assert stats.first == NOON
    assert stats.last == NOON + timedelta(days=3, seconds=2, microseconds=2)


def test_a_trace_whose_root_was_never_recorded_is_listed_by_its_earliest_span(capture: Capture) -> None:
    """Its process died in the middle, or the root lies in another system."""
    far = context(77, 99, remote=True)
    capture.span("second row", start=START + 20, parent=far)
    capture.span("first row", start=START + 10, parent=far)
    capture.span("whole", start=START)
    capture.ingest()
    with SpanStore(capture.folder) as opened:
        page = opened.list_traces(TraceFilter(), 10, None)
        assert [(summary.head.name, summary.complete, summary.spans) for summary in page.traces] == [
            ("first row", False, 2),
            ("whole", True, 1),
        ]
        found = opened.trace(page.traces[0].head.trace_id, 10)
    assert [(item.span.name, item.depth, item.orphan) for item in found.spans] == [
        ("first row", 0, True),
        ("second row", 0, True),
    ]


@pytest.mark.no_cover  # the size is tried; other tests cover the lines
def test_a_trace_of_fifty_thousand_spans_opens_in_pages(capture: Capture) -> None:
    root = capture.tracer.start_span("root", start_time=START)
    inside = set_span_in_context(root)
    for number in range(49_999):
        capture.tracer.start_span(f"span {number}", context=inside, start_time=START + number + 1).end(START + 60_000)
    root.end(START + 100_000)
    capture.ingest()
    with SpanStore(capture.folder) as opened:
        found = opened.trace(trace_id(root), 200)  # type: ignore[arg-type]
        last = opened.trace(found.trace_id, 200, 49_900)
        beyond = opened.trace(found.trace_id, 200, 60_000)
    assert (found.total, len(found.spans), found.hidden, found.spans[0].children) == (50_000, 200, 49_800, 49_999)
    assert [item.span.name for item in found.spans[:3]] == ["root", "span 0", "span 1"]
    assert [item.span.name for item in last.spans][-1] == "span 49998"
    assert (beyond.spans, beyond.hidden) == ((), 50_000)


@pytest.mark.no_cover  # the size is tried; other tests cover the lines
def test_a_trace_ten_thousand_deep(capture: Capture) -> None:
    parent: Any = None
    for number in range(10_000):
        parent = capture.span(f"depth {number}", start=START + number, parent=parent)
    capture.ingest()
    with SpanStore(capture.folder) as opened:
        found = opened.trace(trace_id(parent), 1, 9_999)
    assert (found.spans[0].span.name, found.spans[0].depth) == ("depth 9999", 9_999)
