"""Secrets that tools return: passed on as they are, recorded as ``***``."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.flows.building import FakeModels, Project, llm, python, tool

from pilothouse.flows.loader import load_flow
from pilothouse.flows.results import LineResult
from pilothouse.flows.runner import FlowRunner
from pilothouse.flows.running.hiding import every_form, hidden
from pilothouse.models.secret import Secret
from pilothouse.models.types import Connection

KEY = 'very"secret\\key'


def models(key: str = KEY) -> FakeModels:
    secrets = {"token": Secret(key)}
    return FakeModels(connections={"box": Connection(name="box", type="custom", configs={"url": "u"}, secrets=secrets)})


def flow(project: Project, *, output: str = "${use.output}") -> Path:
    leak = tool("leak", "c: 'CustomConnection'", "return {'list': [f'Bearer {c.secrets[\"token\"].reveal()}'], 'n': 1}")
    use = tool("use", "given: dict", "assert len(given['list'][0]) == 22; return given['list'][0][7:]")
    return project.flow(
        [python("leak", inputs={"c": "box"}), python("use", inputs={"given": "${leak.output}"})],
        outputs={"o": output},
        files={"leak.py": leak, "use.py": use},
    )


def traced(path: Path, given: FakeModels) -> tuple[LineResult, str]:
    """Run one line and return its result and all that its spans say."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    async def go() -> LineResult:
        async with FlowRunner(load_flow(path), models=given, tracer=provider.get_tracer("t")) as runner:
            return await runner.run_line({})

    result = asyncio.run(go())
    provider.shutdown()
    return result, "\n".join(f"{dict(span.attributes or {})}" for span in exporter.get_finished_spans())


@pytest.mark.parametrize("output", ["${use.output}", "${leak.output}"])
def test_the_next_node_has_the_secret_and_no_record_has_it(project: Project, output: str) -> None:
    result, spans = traced(flow(project, output=output), models())
    assert result.error is None, result.error
    assert [node.output for node in result.nodes] == [{"list": ["Bearer ***"], "n": 1}, "***"]
    assert result.outputs["o"] in ("***", {"list": ["Bearer ***"], "n": 1})
    assert "Bearer ***" in spans
    for form in (KEY, 'very\\"secret', 'very\\\\"secret'):
        assert form not in spans
        assert form not in str(result)


def test_an_error_of_a_later_node_has_no_secret(project: Project) -> None:
    fail = tool("use", "given: dict", "raise ValueError(given['list'][0])")
    path = flow(project)
    path.joinpath("use.py").write_text(fail) if path.is_dir() else path.with_name("use.py").write_text(fail)
    result, spans = traced(path, models("plain-secret-key"))
    assert result.error is not None
    assert result.error.message == "Bearer ***"
    assert "plain-secret-key" not in str(result) + spans


def test_a_flow_whose_tools_have_no_connection_has_nothing_to_hide(project: Project) -> None:
    path = project.flow([llm("a")], outputs={"o": "${a.output}"}, files={"a.jinja2": "user:\nhi\n"})
    runner = FlowRunner(load_flow(path), models=models()).open()
    assert runner._ready.lines.secrets == ()
    runner.close()


class Shows:
    def __repr__(self) -> str:
        return "<a-secret-key>"


class Breaks:
    def __repr__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a-secret-key", "***"),
        ({"a-secret-key": ("xa-secret-keyx",)}, {"***": ("x***x",)}),
        ([1, 2.5, None, True, "a"], [1, 2.5, None, True, "a"]),
        ({"a-secret-key"}, {"***"}),
        (Shows(), '"<***>"'),
        (Breaks(), "***"),
    ],
)
def test_values_of_any_kind(value: Any, shown: Any) -> None:
    assert hidden(value, every_form([Secret("a-secret-key"), Secret("abc")])) == shown


def test_a_value_without_a_secret_is_the_same() -> None:
    class Own:
        pass

    value = Own()
    assert hidden(value, every_form([Secret("a-secret-key")])) is value
