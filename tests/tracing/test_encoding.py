"""One span, one line: nothing changed, nothing dropped, whatever the program gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.trace import Link, SpanKind, StatusCode

from pilothouse.tracing import conventions as names
from pilothouse.tracing.encoding import SpanEncoder
from pilothouse.tracing.stores.duckdb import SpanStore

from .recording import START, Capture, context, span_id, trace_id


def test_the_record_of_a_span(capture: Capture) -> None:
    span = capture.tracer.start_span(
        "chat m",
        kind=SpanKind.CLIENT,
        attributes={"a": 1, "b": [1.5, 2.0], "c": True, "d": "text"},
        links=[Link(context(7, 9), {"why": "batch"})],
        start_time=START,
    )
    span.add_event("told", {"x": 1}, timestamp=START + 5)
    span.set_status(StatusCode.ERROR, "no answer")
    span.end(START + 10)
    capture.flush()
    (line,) = capture.lines()
    resource = line.pop("resource")
    assert resource["process.pid"] > 0
    assert line == {
        "trace_id": trace_id(span),
        "span_id": span_id(span),
        "name": "chat m",
        "kind": "client",
        "start_ns": START,
        "end_ns": START + 10,
        "status": "error",
        "status_message": "no answer",
        "attributes": {"a": 1, "b": [1.5, 2.0], "c": True, "d": "text"},
        "events": [{"name": "told", "time_ns": START + 5, "attributes": {"x": 1}}],
        "links": [{"trace_id": f"{7:032x}", "span_id": f"{9:016x}", "attributes": {"why": "batch"}}],
        "scope": {"name": "tests", "version": "1.0"},
        "writer": capture.writer.id,
        "seq": 1,
    }


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("half \ud800 of a pair", "half \\ud800 of a pair"),
        ("nul \x00 bell \x07 escape \x1b[31m", "nul \x00 bell \x07 escape \x1b[31m"),
        ('"}, {"trace_id": "forged\n{"', '"}, {"trace_id": "forged\n{"'),
        ("'; DROP TABLE spans; --", "'; DROP TABLE spans; --"),
        ("line\u2028end \N{GRINNING FACE}", "line\u2028end \N{GRINNING FACE}"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        ([1.0, float("inf")], [1.0, "inf"]),
        ({"deep": [float("nan")]}, {"deep": ["nan"]}),
        (10**30, 10**30),
        (b"bytes", "Ynl0ZXM="),
        (None, None),
    ],
)
def test_hostile_values_arrive_in_the_store(capture: Capture, value: Any, written: Any) -> None:
    span = capture.span("hostile", value=value)
    capture.ingest()
    with SpanStore(capture.folder) as store:
        assert store.payload(trace_id(span), span_id(span)).attributes["value"] == written
        assert store.stats().rejected == 0


def test_hostile_names_and_messages_arrive(capture: Capture) -> None:
    span = capture.tracer.start_span("name \ud800\x00\x1b]0;x\x07")
    span.set_status(StatusCode.ERROR, "why \udfff '\"")
    span.add_event("event \ud800", {"k\ud800": "v"})
    span.end()
    capture.ingest()
    with SpanStore(capture.folder) as store:
        (shown,) = store.trace(trace_id(span), 10).spans  # type: ignore[arg-type]
        payload = store.payload(shown.span.trace_id, shown.span.span_id)
    assert shown.span.name == "name \\ud800\x00\x1b]0;x\x07"
    assert shown.span.status_message == "why \\udfff '\""
    assert payload.events[0]["attributes"] == {"k\\ud800": "v"}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(
        st.text(min_size=1),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(),
            lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=1), inner, max_size=4),
            max_leaves=12,
        ),
        max_size=8,
    )
)
def test_any_attributes_make_one_line_of_valid_json(tmp_path_factory: pytest.TempPathFactory, attributes: Any) -> None:
    lines: list[bytes] = []
    made = Capture(tmp_path_factory.getbasetemp() / "any")
    encoder = SpanEncoder()
    made.writer.on_end = lambda span: lines.append(encoder.encode(span, "w", 1))  # type: ignore[method-assign]
    made.tracer.start_span("any", attributes=attributes).end()
    (line,) = lines
    assert b"\n" not in line
    assert len(msgspec.json.decode(line)["attributes"]) <= len(attributes)


def test_a_record_too_long_is_cut_and_says_so(folder: Path) -> None:
    capture = Capture(folder, SpanEncoder(max_record=200_000))
    capture.span("long", prompt="x" * 500_000, model="m")
    capture.flush()
    (line,) = capture.lines()
    assert line["attributes"]["model"] == "m"
    assert line["attributes"]["prompt"].endswith("… [500000 characters]")
    assert line["attributes"][names.SHORTENED] == ["prompt"]
    capture.close()


def test_a_record_of_very_many_long_parts_still_fits(folder: Path) -> None:
    capture = Capture(folder, SpanEncoder(max_record=100_000))
    span = capture.tracer.start_span("many", attributes={f"a{n}": "y" * 9_000 for n in range(60)})
    for _ in range(100):
        span.add_event("e", {"t": "z" * 9_000})
    span.end()
    capture.flush()
    (line,) = capture.lines()
    assert len(msgspec.json.encode(line)) < 100_000
    assert line["attributes"] == {names.SHORTENED: ["*"]}
    assert line["dropped"] == 160
    capture.close()


def test_what_limits_cut_off_is_counted(capture: Capture) -> None:
    span = capture.tracer.start_span("limits")
    for number in range(140):
        span.add_event(f"event {number}")
    span.end()
    capture.flush()
    assert capture.lines()[0]["dropped"] == 12


def test_content_is_withheld_where_the_settings_say_so(folder: Path) -> None:
    capture = Capture(folder, SpanEncoder(capture_content=False))
    content = {
        names.INPUT_MESSAGES: "secret prompt",
        names.ARGUMENTS: "{}",
        "gen_ai.prompt.0.content": "secret prompt",
        "llm.input_messages.0.message.content": "secret prompt",
        "input.value": "secret prompt",
    }
    kept = {names.REQUEST_MODEL: "m", names.PROMPT_NAME: "greeting", names.INPUT_TOKENS: 3}
    span = capture.tracer.start_span("chat", attributes={**content, **kept})
    span.add_event("gen_ai.user.message", {"content": "secret prompt"})
    span.end()
    capture.flush()
    (line,) = capture.lines()
    assert "secret" not in msgspec.json.encode(line).decode()
    assert line["attributes"] == {**kept, names.WITHHELD: [*content, "gen_ai.user.message"]}
    capture.close()
