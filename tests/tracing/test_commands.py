"""`pilothouse trace ...` as people and programs see it, over a project's own service."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from opentelemetry.trace import StatusCode, set_span_in_context

from pilothouse.core.clock import FixedClock
from pilothouse.core.environment import Environment
from pilothouse.core.errors import NotFound, UserError
from pilothouse.core.settings import Settings
from pilothouse.tracing import conventions as names
from pilothouse.tracing.commands import trace
from pilothouse.tracing.service import TracingService
from pilothouse.tracing.settings import TracingSettings

from .recording import DAY, SECOND, START, Capture

Run = Callable[..., str]


@pytest.fixture
def other(services: Any) -> Iterator[Capture]:
    """Another process's writer, as far as the service can tell."""
    made = Capture(services.state / "telemetry")
    yield made
    made.close()


@pytest.fixture
def run(services: Any) -> Run:
    def run(*arguments: str) -> str:
        result = CliRunner().invoke(trace, arguments, obj=services, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    return run


def record(capture: Capture, number: int, *, failed: bool = False, run: str = "first") -> str:
    start = START + number * SECOND
    root = capture.tracer.start_span(f"line {number}", start_time=start, attributes={names.RUN: run})
    call = capture.tracer.start_span(
        "chat small",
        context=set_span_in_context(root),
        start_time=start,
        attributes={
            names.REQUEST_MODEL: "small",
            names.INPUT_TOKENS: 90,
            names.OUTPUT_TOKENS: 7,
            names.RESULT: '"yes"',
        },
    )
    if failed:
        call.set_status(StatusCode.ERROR, "overloaded")
        root.set_status(StatusCode.ERROR)
    call.end(start + SECOND // 2)
    root.end(start + SECOND)
    capture.flush()
    return f"{root.get_span_context().trace_id:032x}"


def test_an_empty_store(run: Run) -> None:
    assert run("list") == "Nothing is recorded yet.\n"
    assert json.loads(run("list", "--json")) == {"traces": [], "next": None}
    assert "spans" in run("stats")


def test_list(run: Run, other: Capture) -> None:
    for number in range(3):
        record(other, number, failed=number == 2, run="second" if number else "first")
    output = run("list")
    assert [output.index(f"line {number}") for number in (2, 1, 0)] == sorted(
        output.index(f"line {n}") for n in range(3)
    )
    assert [item["head"]["name"] for item in json.loads(run("list", "--json"))["traces"]] == [
        "line 2",
        "line 1",
        "line 0",
    ]
    assert all(len(line) <= 80 for line in output.splitlines())
    assert "line 1" not in run("list", "--status", "error")
    assert "line 0" not in run("list", "--run", "second")
    assert run("list", "--name", "nothing like it") == "No trace matches.\n"


def test_lines_that_are_no_spans_are_told(services: Any, other: Capture) -> None:
    record(other, 0)
    (other.folder / "incoming" / "20260101T000000-1-aa.jsonl").write_bytes(b"no span\n{")
    result = CliRunner().invoke(trace, ["list"], obj=services)
    assert "1 lines are no spans, 1 were torn by a crash; they are kept in " in result.stderr
    assert "line 0" in result.stdout


def test_pages(run: Run, other: Capture) -> None:
    for number in range(3):
        record(other, number)
    output = run("list", "--limit", "2")
    mark = output.rsplit("--after ", 1)[1].strip()
    assert "line 0" not in output
    following = run("list", "--limit", "2", "--after", mark)
    assert "line 0" in following
    assert "--after" not in following


def test_a_mark_that_is_none(services: Any) -> None:
    with pytest.raises(UserError, match="no mark of a page"):
        CliRunner().invoke(trace, ["list", "--after", "x"], obj=services, catch_exceptions=False)


def test_show(run: Run, other: Capture) -> None:
    found = record(other, 1, failed=True)
    output = run("show", found[:8])
    assert f"Trace {found}: 2 spans, 2 failed, 1.000 s, tokens 90/7" in output
    lines = output.splitlines()
    _, root, told, call, why = lines
    assert root.startswith("line 1 ")
    assert call.startswith("  chat small ")
    assert (root.count("█"), call.count("█")) == (16, 8)
    assert (told.strip(), why.strip()) == ("! failed", "! overloaded")
    assert "90/7" in call
    assert all(len(line) <= 80 for line in lines[1:])
    assert json.loads(run("show", found, "--json"))["total"] == 2


def test_show_tells_what_it_hides(run: Run, other: Capture) -> None:
    found = record(other, 1)
    output = run("show", found, "--limit", "1")
    assert "1 of 2 spans are not shown; go on with --offset 1." in output
    assert "chat small" in run("show", found, "--limit", "1", "--offset", "1")


def test_show_one_span(run: Run, other: Capture) -> None:
    found = record(other, 1)
    call = json.loads(run("show", found, "--json"))["spans"][1]["span"]["span_id"]
    assert names.REQUEST_MODEL in run("show", found[:8], "--span", call[:6])
    assert json.loads(run("show", found, "--span", call, "--json"))["output"] == "yes"


def test_show_the_events_of_a_span(run: Run, other: Capture) -> None:
    span = other.tracer.start_span("work", start_time=START)
    span.add_event("told", {"why": "because"})
    span.end(START + 1)
    other.flush()
    found = json.loads(run("list", "--json"))["traces"][0]["head"]
    output = run("show", found["trace_id"], "--span", found["span_id"])
    assert "told" in output
    assert "{'why': 'because'}" in output


def test_show_what_is_not_there(services: Any) -> None:
    with pytest.raises(NotFound, match="no trace 'abc'"):
        CliRunner().invoke(trace, ["show", "abc"], obj=services, catch_exceptions=False)


def test_stats(run: Run, other: Capture) -> None:
    record(other, 1, failed=True)
    output = run("stats")
    assert "small" in output
    told = json.loads(run("stats", "--json"))
    assert (told["store"]["spans"], told["store"]["traces"]) == (2, 1)
    assert (told["models"][0]["calls"], told["models"][0]["errors"]) == (1, 1)
    assert json.loads(run("stats", "--run", "another", "--json"))["models"] == []


def test_hostile_names_do_not_steer_the_terminal(run: Run, other: Capture) -> None:
    root = other.tracer.start_span("\x1b]0;owned\x07\x1b[2J[red]\u202e" + "x" * 500, start_time=START)
    root.set_status(StatusCode.ERROR, "\x1b[31mwhy\r\n")
    root.set_attribute("\x1b[1mkey", "\x9b value \x00")
    root.end(START + 1)
    other.flush()
    found = json.loads(run("list", "--json"))["traces"][0]["head"]
    for output in (
        run("list"),
        run("show", found["trace_id"]),
        run("show", found["trace_id"], "--span", found["span_id"]),
    ):
        assert not any(character in output for character in "\x1b\x07\x9b\x00\r\u202e")
    assert "\\x1b]0;owned" in run("show", found["trace_id"])


def test_a_deep_trace_is_shown_without_running_off_the_side(run: Run, other: Capture) -> None:
    parent: Any = None
    for number in range(40):
        parent = other.span(f"level {number}", start=START + number, parent=parent)
    other.flush()
    output = run("show", f"{parent.get_span_context().trace_id:032x}")
    assert "[39] level 39" in output
    assert all(len(line) <= 80 for line in output.splitlines()[1:])


def test_the_service_of_a_project(services: Any) -> None:
    services.environment = Environment({"OTEL_SERVICE_NAME": "from outside"})
    services.settings = Settings(
        services.root, services.environment, {"tracing": TracingSettings(capture_content=False)}
    )
    service = services.get(TracingService)
    span = service.tracer.start_span("own", attributes={names.ARGUMENTS: "private"})
    span.end()
    assert service.flush()
    assert service.counters.written == 1
    (summary,) = service.list().traces
    assert names.ARGUMENTS not in service.payload(summary.head.trace_id, summary.head.span_id).attributes
    service.close()


def test_the_standard_switch_turns_recording_off(services: Any) -> None:
    services.environment = Environment({"OTEL_SDK_DISABLED": "TRUE"})
    services.settings = Settings(services.root, services.environment, {})
    service = services.get(TracingService)
    assert not service.tracer.start_span("own").is_recording()
    assert service.flush()
    assert service.list().traces == ()


def test_days_that_are_over_are_sealed_and_old_ones_removed_by_themselves(services: Any, clock: FixedClock) -> None:
    services.settings = Settings(services.root, services.environment, {"tracing": TracingSettings(retention_days=30)})
    service = services.get(TracingService)
    other = Capture(services.state / "telemetry")
    other.span("one", start=START)
    other.span("two", start=START + DAY)
    other.flush()
    assert (service.ingest().spans, service.stats().sealed_spans) == (2, 0)
    clock.advance(3 * 86_400)
    assert service.stats().sealed_spans == 1
    clock.advance(28 * 86_400)
    assert (service.stats().sealed_spans, service.stats().spans) == (1, 1)
    clock.advance(86_400)
    assert service.stats().spans == 0
    assert list(Path(services.state / "telemetry" / "sealed").iterdir()) == []
    assert service.seal(clock.now()).spans == service.expire(clock.now() - timedelta(days=1)).spans == 0
    other.close()


def test_the_store_is_held_only_while_it_is_asked(services: Any) -> None:
    service = services.get(TracingService)
    service.stats()
    with service.own() as store:
        assert service.stats() == store.stats()
        with service.own() as again:
            assert again is store
    with service.own() as store:
        assert store.stats().spans == 0
