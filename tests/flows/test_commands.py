"""`flow list`, `flow show` and `flow test`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace
from opentelemetry.trace import NoOpTracer

from pilothouse.core.errors import DataError, FlowError, NotFound, UserError
from pilothouse.flows.commands.commands import flow
from pilothouse.flows.library import find_flows, locate
from pilothouse.flows.service import FlowService, version_name
from pilothouse.models.service import ModelService
from pilothouse.tracing.service import TracingService

from .building import FakeModels, Project, llm, python, tool

ECHO = tool("echo", "value", "return value")

Invoke = Callable[..., Result]


class Models(FakeModels):
    """Fake models as a service."""

    async def aclose(self) -> None:
        return None


class Tracing:
    """No tracing."""

    tracer = NoOpTracer()


@pytest.fixture
def invoke(services: Any, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    services.put(Models(), ModelService)
    services.put(Tracing(), TracingService)
    monkeypatch.chdir(services.root)

    def call(*arguments: str) -> Result:
        result = CliRunner().invoke(flow, arguments, obj=services)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return call


@pytest.fixture
def sample(services: Any) -> Path:
    """A flow with a variant, a model and an aggregation node."""
    nodes = [
        python("echo", inputs={"value": "${inputs.text}"}),
        {"name": "ask", "use_variants": True},
        python("count", inputs={"values": "${ask.output}", "n": "${inputs.n}"}, aggregation=True),
    ]
    body = llm("ask", inputs={"q": "${echo.output}"})
    del body["name"]
    variants = {
        "default_variant_id": "plain",
        "variants": {
            "plain": {"node": body},
            "loud": {"node": {**body, "source": {"type": "code", "path": "loud.jinja2"}}},
        },
    }
    files = {
        "echo.py": ECHO,
        "ask.jinja2": "user:\n{{ q }}\n",
        "loud.jinja2": "user:\n{{ q | upper }}!\n",
        "count.py": tool(
            "count",
            "values, n",
            "log_metric('lines', len(values)); log_metric('sum', sum(n))",
            head="from pilothouse import log_metric",
        ),
    }
    inputs = {"text": {"type": "string", "default": "hello"}, "n": {"type": "int", "default": 1}}
    return Project(services.root / "flows" / "sample").flow(
        nodes,
        inputs=inputs,
        outputs={"answer": "${ask.output}"},
        files=files,
        node_variants={"ask": variants},
        description="A sample.",
    )


def broken(services: Any) -> Path:
    return Project(services.root / "flows" / "broken").text("nodez: []")


def test_flows_are_listed_by_path_and_name(invoke: Invoke, sample: Path) -> None:
    output = invoke("list").output
    assert "sample" in output
    assert "flows/sample" in output
    assert "plain, loud" in output
    (found,) = json.loads(invoke("list", "--json").output)
    assert (found["name"], found["path"], found["error"]) == ("sample", "flows/sample", None)


def test_a_project_without_flows_says_so(invoke: Invoke) -> None:
    assert "No flow below" in invoke("list").output
    assert json.loads(invoke("list", "--json").output) == []


def test_a_broken_flow_is_listed_with_its_reason_and_a_code_for_ci(invoke: Invoke, sample: Path, services: Any) -> None:
    broken(services)
    result = invoke("list")
    assert result.exit_code == 1
    assert "cannot be read" in result.output
    assert "unknown key 'nodez'" in result.output
    assert "sample" in result.output


def test_one_flow_is_shown_with_its_graph(invoke: Invoke, sample: Path) -> None:
    output = invoke("show", "sample").output
    for text in (
        "A sample.",
        "╭",
        "echo.py",
        "echo.output",
        "aggregation",
        '"hello"',
        "${ask.plain}",
        "fake",
    ):
        assert text in output, text
    data = json.loads(invoke("show", "flows/sample", "--json", "--variant", "${ask.loud}").output)
    assert data["variants_in_use"] == {"ask": "loud"}
    assert [node["source"] for node in data["nodes"]] == ["echo.py", "loud.jinja2", "count.py"]


def test_a_flow_is_tried_on_its_defaults(invoke: Invoke, sample: Path) -> None:
    result = invoke("test", "flows/sample")
    assert result.exit_code == 0
    for text in ("answer: hello", "echo", "completed", "tiny-1", "lines", "sum"):
        assert text in result.output, text


@pytest.mark.parametrize(
    "arguments",
    [
        ("--inputs", "text=hi", "n=2"),
        ("--inputs", "text=hi", "--inputs", "n=2"),
        ("text=hi", "n=2"),
        ("--inputs", "n=2", "--inputs", "row.json"),
    ],
)
def test_inputs_are_given_in_several_ways_and_typed_as_declared(
    invoke: Invoke, sample: Path, services: Any, arguments: tuple[str, ...]
) -> None:
    (services.root / "row.json").write_text('{"text": "hi", "n": 5}')
    data = json.loads(invoke("test", "sample", *arguments, "--json").output)
    assert data["lines"][0]["inputs"] == {"text": "hi", "n": 2}
    assert data["lines"][0]["outputs"] == {"answer": "hi"}
    assert data["aggregation"]["metrics"] == {"lines": 1.0, "sum": 2.0}


def test_a_file_of_lines_runs_them_all_and_aggregates(invoke: Invoke, sample: Path, services: Any) -> None:
    (services.root / "rows.jsonl").write_text('{"text": "a", "n": 1}\n\n{"text": "b", "n": 2}\n')
    data = json.loads(invoke("test", "sample", "--inputs", "rows.jsonl", "--json").output)
    assert [line["outputs"]["answer"] for line in data["lines"]] == ["a", "b"]
    assert data["aggregation"]["metrics"] == {"lines": 2.0, "sum": 3.0}


def test_a_variant_is_tried(invoke: Invoke, sample: Path) -> None:
    assert "answer: HI!" in invoke("test", "sample", "text=hi", "--variant", "${ask.loud}").output
    with pytest.raises(FlowError, match="did you mean 'loud'"):
        invoke("test", "sample", "--variant", "${ask.lood}")
    with pytest.raises(UserError, match="does not name a variant"):
        invoke("test", "sample", "--variant", "loud")


def test_one_node_is_tried(invoke: Invoke, sample: Path) -> None:
    assert "hello" in invoke("test", "sample", "--node", "echo").output
    data = json.loads(invoke("test", "sample", "--node", "ask", "--inputs", "echo.output=hi", "--json").output)
    assert (data["node"], data["output"], data["usage"]["input_tokens"]) == ("ask", "hi", 10)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("nowhere",), NotFound, "there is no flow 'nowhere'"),
        (("smple",), NotFound, "did you mean 'sample'"),
        (("sample", "txt=hi"), UserError, "did you mean 'text'"),
        (("sample", "n=many"), DataError, "'many', which is not of the type int"),
        (("sample", "--inputs", "nothing.json"), UserError, "neither an input nor a file"),
        (("sample", "--inputs", "bad.json"), DataError, "bad.json"),
        (("sample", "--inputs", "bad.jsonl"), DataError, "bad.jsonl:2"),
        (("sample", "--inputs", "list.jsonl"), DataError, "not an object"),
        (("sample", "--node", "ask"), DataError, "echo.output=<value>"),
    ],
)
def test_mistakes_get_a_message(
    invoke: Invoke, sample: Path, services: Any, arguments: tuple[str, ...], error: type[Exception], message: str
) -> None:
    (services.root / "bad.json").write_text("{")
    (services.root / "bad.jsonl").write_text('{"text": "a"}\n{"text": \n')
    (services.root / "list.jsonl").write_text("[1]\n")
    with pytest.raises(error) as caught:
        invoke("test", *arguments)
    assert message in str(caught.value)


def test_a_failing_tool_shows_its_traceback_and_ends_with_1(invoke: Invoke, services: Any) -> None:
    path = Project(services.root / "failing").flow(
        [python("f")], files={"f.py": tool("f", "", "raise ValueError('broken')")}
    )
    result = invoke("test", str(path))
    assert result.exit_code == 1
    assert "f.py" in result.output
    assert "error in node 'f': ValueError: broken" in result.output
    assert json.loads(invoke("test", str(path), "--json").output)["lines"][0]["error"]["type"] == "ValueError"
    assert invoke("test", str(path), "--node", "f").exit_code == 1


def test_tools_find_files_beside_them_by_relative_names(invoke: Invoke, services: Any) -> None:
    files = {
        "f.py": tool("f", "", "return Path('words.txt').read_text()", head="from pathlib import Path"),
        "words.txt": "some words",
    }
    Project(services.root / "reading").flow([python("f")], outputs={"o": "${f.output}"}, files=files)
    assert "some words" in invoke("test", "reading").output
    assert Path.cwd() == services.root


def test_notes_of_flow_and_line_are_shown(invoke: Invoke, services: Any) -> None:
    nodes = [python("echo", inputs={"value": "see ${inputs.x}"}, activate={"when": "${inputs.x}", "is": 2})]
    Project(services.root / "noted").flow(
        nodes, inputs={"x": "int"}, outputs={"o": "${echo.output}"}, files={"echo.py": ECHO}
    )
    output = invoke("test", "noted", "x=1").output
    assert "note:" in output
    assert "taken as plain text" in output
    assert "the output 'o' is null" in output


def test_values_without_a_json_form_are_shown_as_python_prints_them(invoke: Invoke, services: Any) -> None:
    Project(services.root / "odd").flow(
        [python("f")], outputs={"o": "${f.output}"}, files={"f.py": tool("f", "", "return {'a': {1}, 'b': [object]}")}
    )
    data = json.loads(invoke("test", "odd", "--json").output)
    assert data["lines"][0]["outputs"]["o"]["a"] == "{1}"
    assert invoke("test", "odd").exit_code == 0


def test_the_library_leaves_environments_state_and_links_alone(services: Any, sample: Path) -> None:
    for place in (".venv/lib", "env", "node_modules", ".pilothouse/x", "deep/er"):
        Project(services.root / place).flow([python("echo", inputs={"value": 1})], files={"echo.py": ECHO})
    (services.root / "env" / "pyvenv.cfg").write_text("")
    (services.root / "loop").symlink_to(services.root, target_is_directory=True)
    assert [str(entry.path) for entry in find_flows(services.root)] == ["deep/er", "flows/sample"]


def test_a_name_that_fits_two_flows_is_not_chosen_between(services: Any) -> None:
    for place in ("a/same", "b/same"):
        Project(services.root / place).flow([python("echo", inputs={"value": 1})], files={"echo.py": ECHO})
    with pytest.raises(FlowError, match="2 flows have the name 'same'"):
        locate(services.root, "same")
    assert locate(services.root, "b/same") == services.root / "b/same"


def test_the_service_lists_loads_and_registers(services: Any, sample: Path) -> None:
    service = FlowService.build(services)
    assert [entry.name for entry in service.list()] == ["sample"]
    loaded = service.load("sample")
    version, is_new = service.register(loaded)
    assert (version.ref, is_new, version.digest) == ("flow/sample:1", True, loaded.digest)
    assert version.metadata["path"] == "flows/sample/flow.dag.yaml"
    assert service.register(service.load("flows/sample"))[1] is False
    (sample / "ask.jinja2").write_text("user:\n{{ q }} please\n")
    assert service.register(service.load("sample"))[0].ref == "flow/sample:2"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("my flow", "my-flow"), ("ünï", "n"), ("...", "flow"), ("a.b-c_d", "a.b-c_d"), ("größe", "gr-e")],
)
def test_a_name_is_brought_into_the_registrys_form(services: Any, sample: Path, name: str, expected: str) -> None:
    assert version_name(replace(FlowService.build(services).load("sample"), name=name)) == expected
