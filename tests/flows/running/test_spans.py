"""Spans: one a line, one a node, with what the conventions name; nothing where nothing records."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import StatusCode
from tests.flows.building import FakeModels, MemoryCache, Project, Request, echo, llm, python, run, tool

from pilothouse.flows.loader import load_flow
from pilothouse.flows.results import LineResult
from pilothouse.flows.runner import FlowRunner
from pilothouse.flows.settings import FlowSettings
from pilothouse.models.types import ChatResponse

ECHO = tool("echo", "value", "return value")


class Recorded:
    """A tracer, and the spans it made by name."""

    def __init__(self, **provider: Any) -> None:
        self.exporter = InMemorySpanExporter()
        provider_ = TracerProvider(**provider)
        provider_.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = provider_.get_tracer("test")

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self.exporter.get_finished_spans()}


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


def two(project: Project, body: str = "return value") -> Path:
    nodes = [
        python("first", "echo.py", inputs={"value": "${inputs.x}"}),
        python("second", inputs={"value": "${first.output}"}),
    ]
    return project.flow(
        nodes,
        inputs={"x": "object"},
        outputs={"o": "${second.output}"},
        files={"echo.py": ECHO, "second.py": tool("second", "value", body)},
    )


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_a_line_and_its_nodes_are_one_trace(project: Project, recorded: Recorded) -> None:
    result = run(two(project), {"x": 5}, tracer=recorded.tracer)
    line, first, second = (recorded.spans[name] for name in ("flow flow", "node first", "node second"))
    assert attributes(line) == {
        "gen_ai.operation.name": "invoke_workflow",
        "gen_ai.workflow.name": "flow",
        "pilothouse.flow.name": "flow",
        "pilothouse.line.number": 0,
        "pilothouse.function.arguments": '{"x":5}',
        "pilothouse.function.result": '{"o":5}',
    }
    assert attributes(first) == {
        "pilothouse.node.name": "first",
        "pilothouse.node.kind": "python",
        "pilothouse.function.arguments": '{"value":5}',
        "pilothouse.function.result": "5",
    }
    assert line.parent is None
    assert line.context is not None
    for span in (first, second):
        assert span.parent is not None
        assert span.parent.span_id == line.context.span_id
    assert result.trace_id == f"{line.context.trace_id:032x}"
    assert first.context is not None
    assert result.nodes[0].span_id == f"{first.context.span_id:016x}"


def test_lines_hang_on_the_span_of_their_caller_in_either_way_of_running(project: Project, recorded: Recorded) -> None:
    runner = FlowRunner(load_flow(two(project)), tracer=recorded.tracer).open()
    with recorded.tracer.start_as_current_span("run") as parent:
        results = [runner.run_line_sync({"x": 1}, line_number=3), asyncio.run(runner.run_line({"x": 1}))]
    assert {result.trace_id for result in results} == {f"{parent.get_span_context().trace_id:032x}"}
    lines = [span for span in recorded.exporter.get_finished_spans() if span.name == "flow flow"]
    assert [attributes(span)["pilothouse.line.number"] for span in lines] == [3, 0]
    assert all(span.parent is not None and span.parent.span_id == parent.get_span_context().span_id for span in lines)


def test_variants_are_named(project: Project, recorded: Recorded) -> None:
    body = {"node": {"type": "python", "source": {"path": "echo.py"}, "inputs": {"value": 1}}}
    variants = {"a": {"default_variant_id": "v0", "variants": {"v0": body, "v1": body}}}
    path = project.flow([{"name": "a", "use_variants": True}], files={"echo.py": ECHO}, node_variants=variants)
    run(path, variants={"a": "v1"}, tracer=recorded.tracer)
    assert attributes(recorded.spans["flow flow"])["pilothouse.variant.name"] == "a.v1"


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_spans_of_the_users_code_hang_on_the_node(project: Project, recorded: Recorded, kind: str) -> None:
    head = "from opentelemetry import trace"
    source = tool("f", "", "return trace.get_current_span().get_span_context().span_id", head=head).replace(
        "def f", f"{kind} f"
    )
    result = run(
        project.flow([python("f")], outputs={"o": "${f.output}"}, files={"f.py": source}), tracer=recorded.tracer
    )
    context = recorded.spans["node f"].context
    assert context is not None
    assert result.outputs == {"o": context.span_id}
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_a_model_call_hangs_on_the_node(project: Project, recorded: Recorded) -> None:
    seen: list[int] = []

    def reply(request: Request) -> ChatResponse:
        seen.append(trace.get_current_span().get_span_context().span_id)
        return echo(request)

    run(
        project.flow([llm("ask")], files={"ask.jinja2": "user:\nhi\n"}),
        models=FakeModels(reply),
        tracer=recorded.tracer,
    )
    context = recorded.spans["node ask"].context
    assert context is not None
    assert seen == [context.span_id]


def test_a_failure_is_written_into_its_spans(project: Project, recorded: Recorded) -> None:
    run(two(project, "raise ValueError('broken')"), {"x": 1}, tracer=recorded.tracer)
    for name in ("node second", "flow flow"):
        span = recorded.spans[name]
        assert span.status.status_code is StatusCode.ERROR
        assert span.status.description == "broken"
        assert attributes(span)["error.type"] == "ValueError"
        (event,) = span.events
        assert "second.py" in str((event.attributes or {})["exception.stacktrace"])
    assert recorded.spans["node first"].status.status_code is StatusCode.UNSET


def test_refused_inputs_end_the_span_with_the_reason(project: Project, recorded: Recorded) -> None:
    path = project.flow([python("echo", inputs={"value": "${inputs.x}"})], inputs={"x": "int"}, files={"echo.py": ECHO})
    run(path, {"x": "five"}, tracer=recorded.tracer)
    assert attributes(recorded.spans["flow flow"])["error.type"] == "DataError"


def test_bypassed_and_cached_nodes_say_so(project: Project, recorded: Recorded) -> None:
    nodes = [
        python("skipped", "echo.py", inputs={"value": 1}, activate={"when": "${inputs.x}", "is": 1}),
        llm("ask"),
    ]
    path = project.flow(nodes, inputs={"x": "int"}, files={"echo.py": ECHO, "ask.jinja2": "user:\nhi\n"})
    cache = MemoryCache()
    for _ in range(2):
        recorded.exporter.clear()
        run(path, {"x": 2}, models=FakeModels(), cache=cache, tracer=recorded.tracer)
    assert attributes(recorded.spans["node skipped"])["pilothouse.node.status"] == "bypassed"
    asked = attributes(recorded.spans["node ask"])
    assert (asked["pilothouse.node.status"], asked["pilothouse.cache.hit"]) == ("cached", True)


def test_nothing_is_captured_where_that_is_not_wanted(project: Project, recorded: Recorded) -> None:
    run(two(project), {"x": "private"}, tracer=recorded.tracer, settings=FlowSettings(capture=False))
    assert all("private" not in json.dumps(attributes(span)) for span in recorded.spans.values())


@pytest.mark.parametrize(
    "body",
    [
        "return object()",
        "return {1, 2}",
        "return {'a': {object()}}",
        "return float('nan')",
        "return '\\ud800'",
        "return Loud()",
    ],
)
def test_values_without_a_json_form_do_not_disturb_the_line(project: Project, recorded: Recorded, body: str) -> None:
    head = "class Loud:\n    def __repr__(self):\n        raise ValueError('no')"
    path = project.flow([python("f")], files={"f.py": tool("f", "", body, head=head)})
    assert run(path, tracer=recorded.tracer).status == "completed"
    assert "pilothouse.function.result" in attributes(recorded.spans["node f"])


def test_a_line_that_is_sampled_out_makes_no_spans_but_stays_the_parent(project: Project) -> None:
    recorded = Recorded(sampler=ALWAYS_OFF)
    head = "from opentelemetry import trace"
    source = tool(
        "f",
        "",
        "context = trace.get_current_span().get_span_context(); return [context.is_valid, context.trace_flags.sampled]",
        head=head,
    )
    result = run(
        project.flow([python("f")], outputs={"o": "${f.output}"}, files={"f.py": source}), tracer=recorded.tracer
    )
    assert result.outputs == {"o": [True, False]}
    assert recorded.spans == {}
    assert (result.trace_id, result.nodes[0].span_id) == (None, None)


def test_without_a_provider_there_are_no_spans(project: Project) -> None:
    result = run(two(project), {"x": 1})
    assert (result.trace_id, result.nodes[0].span_id) == (None, None)


def test_an_aggregation_is_a_trace_of_its_own(project: Project, recorded: Recorded) -> None:
    nodes = [
        python("echo", inputs={"value": "${inputs.x}"}),
        python("total", inputs={"xs": "${echo.output}"}, aggregation=True),
    ]
    files = {
        "echo.py": ECHO,
        "total.py": tool("total", "xs", "log_metric('sum', sum(xs))", head="from pilothouse import log_metric"),
    }
    path = project.flow(nodes, inputs={"x": "int"}, files=files)

    async def go() -> None:
        async with FlowRunner(load_flow(path), tracer=recorded.tracer) as runner:
            await runner.aggregate([await runner.run_line({"x": 2})])

    asyncio.run(go())
    assert attributes(recorded.spans["aggregate flow"])["pilothouse.function.result"] == '{"sum":2.0}'
    parent = recorded.spans["node total"].parent
    context = recorded.spans["aggregate flow"].context
    assert parent is not None
    assert context is not None
    assert parent.span_id == context.span_id


def test_a_cancelled_line_ends_its_spans(project: Project, recorded: Recorded) -> None:
    models = FakeModels()
    models.fake.delay = 60.0
    path = project.flow([llm("ask")], files={"ask.jinja2": "user:\nhi\n"})

    async def go() -> LineResult | None:
        async with FlowRunner(load_flow(path), models=models, tracer=recorded.tracer) as runner:
            task = asyncio.create_task(runner.run_line({}))
            while not models.fake.requests:
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return None

    asyncio.run(go())
    assert attributes(recorded.spans["node ask"])["error.type"] == "CancelledError"
    assert attributes(recorded.spans["flow flow"])["error.type"] == "CancelledError"
