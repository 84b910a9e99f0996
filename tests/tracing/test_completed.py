"""Spans that are told whole: roots of their own, or part of a client's trace; tokens of both ends count once."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NoOpTracer, SpanContext, TraceFlags

from pilothouse.tracing import conventions as names
from pilothouse.tracing.completed import CompletedSpans, remote_parent
from pilothouse.tracing.provider import SCOPE, attach
from pilothouse.tracing.stores.duckdb import SpanStore
from pilothouse.tracing.types import TraceFilter
from pilothouse.tracing.writer import SpanWriter

from .recording import SECOND, START, Capture

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GIVEN = f"00-{TRACE}-{SPAN}-01"


def test_a_parent_is_read_as_w3c_says() -> None:
    parent = remote_parent(GIVEN)
    assert parent is not None
    assert (parent.trace_id, parent.span_id, parent.is_remote) == (int(TRACE, 16), int(SPAN, 16), True)
    assert parent.trace_flags.sampled
    # Versions to come may say more; of the flags one is known.
    later = remote_parent(f"cc-{TRACE}-{SPAN}-fe-more")
    assert later is not None
    assert later.trace_flags == TraceFlags.DEFAULT


@pytest.mark.parametrize(
    "header",
    [
        "",
        "x",
        GIVEN.upper(),
        GIVEN + "-more",
        GIVEN + " ",
        GIVEN + "\n",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"0-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01".replace("4", "\N{ARABIC-INDIC DIGIT FOUR}"),
        "00" + "-" * 100_000,
    ],
)
def test_what_is_no_parent_is_none(header: str) -> None:
    assert remote_parent(header) is None


def test_a_span_joins_the_trace_of_its_parent_or_begins_one(capture: Capture) -> None:
    spans = CompletedSpans(capture.tracer)
    joined = spans.record("call", {}, start_ns=START, end_ns=START + SECOND, parent=remote_parent(GIVEN))
    alone = spans.record("call", {}, start_ns=START, end_ns=START + SECOND)
    capture.flush()
    first, second = capture.lines()
    assert (first["trace_id"], first["parent_id"]) == (TRACE, SPAN) == (joined, SPAN)
    assert second["trace_id"] == alone != TRACE
    assert second.get("parent_id") is None


def test_who_wants_no_trace_gets_none(capture: Capture) -> None:
    spans = CompletedSpans(capture.tracer)
    assert spans.record("call", {}, start_ns=START, end_ns=START, parent=remote_parent(GIVEN[:-1] + "0")) == ""
    capture.flush()
    assert capture.lines() == []


def test_both_ends_of_a_call_tell_its_tokens_and_they_count_once(capture: Capture) -> None:
    told = {names.INPUT_TOKENS: 100, names.OUTPUT_TOKENS: 7}
    spans = CompletedSpans(capture.tracer)

    def answer(parent: SpanContext | None) -> str:
        return spans.record("chat desk", told, start_ns=START, end_ns=START + SECOND, parent=parent)

    root = capture.span("line")
    asking = capture.span("chat", parent=root, gen_ai__usage__input_tokens=100, gen_ai__usage__output_tokens=7)
    sending = capture.span("POST", parent=asking)
    both = answer(sending.get_span_context())
    unasked = capture.span("a client that tells no tokens")
    one = answer(unasked.get_span_context())
    away = answer(remote_parent(GIVEN))
    capture.flush()
    with SpanStore(capture.folder) as store:
        store.ingest()
        shown = {trace: store.trace(trace, limit=10, offset=0) for trace in (both, one, away)}
        listed = {item.head.trace_id: item for item in store.list_traces(TraceFilter(), limit=10, after=None).traces}
    for trace in (both, one, away):
        assert (shown[trace].input_tokens, shown[trace].output_tokens) == (100, 7)
        assert (listed[trace].input_tokens, listed[trace].output_tokens) == (100, 7)
    assert shown[both].total == 4


def test_a_processor_of_somebody_else_sees_completed_spans_too(tmp_path: Path) -> None:
    writer = SpanWriter(tmp_path / "incoming", interval=3600)
    attachment = attach(writer, "test")
    try:
        spans = CompletedSpans(attachment.provider.get_tracer(SCOPE))
        direct = spans.record("call", {"a": (1, 2)}, start_ns=START, end_ns=START + SECOND, error="why")
        seen = InMemorySpanExporter()
        attachment.provider.add_span_processor(SimpleSpanProcessor(seen))
        shown = spans.record("call", {"a": (1, 2)}, start_ns=START, end_ns=START + SECOND, error="why")
        assert writer.flush()
    finally:
        attachment.detach()
        writer.close()
    (span,) = seen.get_finished_spans()
    assert f"{span.context.trace_id:032x}" == shown != direct
    (file,) = (tmp_path / "incoming").glob("*.jsonl")
    first, second = map(msgspec.json.decode, file.read_bytes().splitlines())
    assert [first.pop("trace_id"), second.pop("trace_id")] == [direct, shown]
    assert [first.pop("seq"), second.pop("seq")] == [1, 2]
    assert first.pop("span_id") != second.pop("span_id")
    assert first == second
    assert (first["status"], first["status_message"], first["kind"]) == ("error", "why", "server")


def test_a_span_is_named_before_it_is_told(capture: Capture) -> None:
    spans = CompletedSpans(capture.tracer)
    begun = spans.begin(GIVEN)
    assert spans.record("call", {}, start_ns=START, end_ns=START + SECOND, begun=begun) == TRACE
    capture.flush()
    (line,) = capture.lines()
    assert begun.header == f"00-{TRACE}-{line['span_id']}-01"
    assert line["parent_id"] == SPAN


@pytest.mark.parametrize(("header", "handed_on"), [(GIVEN, GIVEN), (f"cc-{TRACE}-{SPAN}-ff-x", GIVEN), ("x", "")])
def test_where_nothing_is_told_the_clients_span_stays_the_parent(header: str, handed_on: str) -> None:
    assert CompletedSpans(NoOpTracer()).begin(header).header == handed_on


def test_a_client_that_wants_no_trace_is_handed_on_as_such(capture: Capture) -> None:
    assert CompletedSpans(capture.tracer).begin(GIVEN[:-1] + "0").header == GIVEN[:-1] + "0"
