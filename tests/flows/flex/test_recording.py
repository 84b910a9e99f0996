"""What is recorded of flex flows and prompties: spans, node results, and single nodes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from pilothouse.core.errors import DataError
from pilothouse.evaluation.evaluators.flow import FlowEvaluator, flow_opener
from pilothouse.flows.loader import load_flow
from pilothouse.flows.results import NodeResult
from pilothouse.flows.runner import FlowRunner
from pilothouse.flows.settings import FlowSettings

from ..building import FakeModels, run, write
from .conftest import Flex

SCALE = """
    class Scale:
        def __init__(self, by: int = 2): self.by = by
        def __call__(self, x: int) -> int: return self.by * x
        def __aggregate__(self, lines): return {"sum": sum(lines)}
"""
Spans = Callable[..., dict[str, dict[str, Any]]]


@pytest.fixture
def spans() -> Spans:
    def record(path: Path, inputs: dict[str, Any], **options: Any) -> dict[str, dict[str, Any]]:
        exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        run(path, inputs, tracer=provider.get_tracer("test"), **options)
        return {span.name: dict(span.attributes or {}) for span in exporter.get_finished_spans()}

    return record


@pytest.mark.parametrize("capture", [True, False])
def test_a_flex_line_is_a_span_with_one_node(flex: Flex, spans: Spans, capture: bool) -> None:
    found = spans(flex(SCALE, "entry: main:Scale"), {"x": "3"}, settings=FlowSettings(capture=capture))
    assert set(found) == {"flow flow", "node Scale"}
    result = found["node Scale"].get("pilothouse.function.result")
    assert json.loads(result) == 6 if capture else result is None
    assert found["flow flow"].get("pilothouse.function.arguments") == ('{"x":3}' if capture else None)


def test_a_prompty_line_is_a_span_with_one_llm_node(tmp_path: Path, spans: Spans) -> None:
    write(tmp_path, {"ask.prompty": "---\nmodel:\n  configuration: {connection: fake, model: m}\n---\nuser:\nhi\n"})
    models = FakeModels()
    models.environment = {}  # type: ignore[attr-defined]
    found = spans(tmp_path / "ask.prompty", {}, models=models)
    assert json.loads(found["node ask"]["pilothouse.function.result"]) == "hi"


def test_one_node_is_run_by_itself(flex: Flex) -> None:
    async def go(name: str, inputs: dict[str, Any]) -> NodeResult:
        async with FlowRunner(load_flow(flex(SCALE, "entry: main:Scale"))) as runner:
            return await runner.run_node(name, inputs)

    assert asyncio.run(go("Scale", {"x": 4})).output == 8
    assert asyncio.run(go("__aggregate__", {"Scale.output": 5})).output == {"sum": 5}
    with pytest.raises(DataError, match="not given"):
        asyncio.run(go("__aggregate__", {}))


def test_the_outputs_of_one_line_are_not_those_of_another(flex: Flex) -> None:
    path = flex("SHARED = {'n': []}\ndef run(x: int):\n    SHARED['n'].append(x)\n    return SHARED")

    async def go() -> Any:
        async with FlowRunner(load_flow(path)) as runner:
            return [await runner.run_line({"x": x}) for x in (1, 2)]

    first, second = asyncio.run(go())
    assert (first.outputs, second.outputs) == ({"n": [1]}, {"n": [1, 2]})


def test_lines_may_run_at_once(flex: Flex) -> None:
    code = """
        import asyncio
        class run:
            def __init__(self): self.waiting, self.all = 0, asyncio.Event()
            async def __call__(self, x: int):
                self.waiting += 1
                if self.waiting == 5:
                    self.all.set()
                await self.all.wait()
                return x
    """

    async def go() -> Any:
        async with FlowRunner(load_flow(flex(code)), settings=FlowSettings(line_timeout=30)) as runner:
            return await asyncio.gather(*(runner.run_line({"x": x}, line_number=x) for x in range(5)))

    assert [line.outputs["output"] for line in asyncio.run(go())] == list(range(5))


def test_a_flex_flow_judges_rows(flex: Flex) -> None:
    flow, lines = flow_opener(None, FlowSettings())(flex(SCALE, "entry: main:Scale"), {})

    async def go() -> Any:
        async with FlowEvaluator("scale", flow, lines, "1") as evaluator:
            judged = [await evaluator.judge({"x": x}, x) for x in (1, 2)]
            return judged, await evaluator.aggregate(judged)

    judged, aggregated = asyncio.run(go())
    assert [item.scores[0].value for item in judged] == [2, 4]
    assert "sum" in str(aggregated)


def test_names_of_connections_are_among_the_literals(flex: Flex) -> None:
    yaml = "entry: main:Scale\ninit:\n  by: {default: mine}\nsample:\n  init: {by: {connection: other}}\n"
    assert {"mine", "other"} <= {item for item in load_flow(flex(SCALE, yaml)).literals if isinstance(item, str)}
