"""The runner: failures of the user's code, single nodes, connections in variables, and random graphs."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.core.errors import DataError, FlowError, NotFound, UserCodeError
from pilothouse.flows.environment.variables import resolved_variables
from pilothouse.flows.loader import load_flow
from pilothouse.flows.results import NodeResult
from pilothouse.flows.runner import FlowRunner
from pilothouse.flows.settings import FlowSettings
from pilothouse.models.secret import Secret
from pilothouse.models.types import Connection

from .building import FakeModels, Project, llm, prompt, python, run, tool

ECHO = tool("echo", "value", "return value")


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        ("raise ValueError('bad value')", "ValueError", "bad value"),
        ("return 1 / 0", "ZeroDivisionError", "division by zero"),
        ("return {}['k']", "KeyError", "'k'"),
        ("assert False, 'no'", "AssertionError", "no"),
        ("raise SystemExit(3)", "SystemExit", "3"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt", ""),
        ("raise StopIteration", "StopIteration", ""),
        ("raise StopAsyncIteration", "StopAsyncIteration", ""),
        ("raise GeneratorExit", "GeneratorExit", ""),
        ("raise BaseException('base')", "BaseException", "base"),
        ("return f()", "RecursionError", "recursion"),
        ("import asyncio; raise asyncio.CancelledError", "CancelledError", ""),
        (
            "class E(Exception):\n        def __str__(self): raise ValueError\n    raise E",
            "E",
            "without a readable message",
        ),
        ("raise ExceptionGroup('many', [ValueError('one'), TypeError('two')])", "ExceptionGroup", "many"),
        ("return value", "NameError", "value"),
    ],
)
def test_whatever_a_tool_raises_is_in_the_result(project: Project, body: str, kind: str, message: str) -> None:
    path = project.flow(
        [python("f"), python("after", "echo.py", inputs={"value": "${f.output}"})],
        files={"f.py": tool("f", "", body), "echo.py": ECHO},
    )
    result = run(path)
    assert result.status == "failed"
    assert result.outputs == {}
    assert result.error is not None
    assert (result.error.type, result.error.node) == (kind, "f")
    assert message in result.error.message
    assert [node.status for node in result.nodes] == ["failed"]
    assert result.nodes[0].error == result.error


@pytest.mark.parametrize("body", ["raise ValueError('bad')", "raise SystemExit(3)", "raise StopIteration"])
def test_an_async_tool_likewise(project: Project, body: str) -> None:
    source = tool("f", "", body).replace("def f", "async def f")
    result = run(project.flow([python("f")], files={"f.py": source}))
    assert result.error is not None
    assert result.error.node == "f"


def test_a_traceback_shows_the_users_files_and_none_of_ours(project: Project) -> None:
    files = {
        "f.py": tool("f", "value", "return helper.deep(value)", head="import helper"),
        "helper.py": "def deep(value):\n    try:\n        return value['a']\n    except KeyError as error:\n        raise RuntimeError('nothing there') from error\n",
    }
    result = run(project.flow([python("f", inputs={"value": {"b": 1}})], files=files))
    assert result.error is not None
    trace = result.error.traceback or ""
    assert trace.count("f.py") >= 1
    assert "return value['a']" in trace
    assert "KeyError: 'a'" in trace
    assert "direct cause" in trace
    assert trace.rstrip().endswith("RuntimeError: nothing there")
    assert "pilothouse/flows" not in trace
    assert "concurrent/futures" not in trace


def test_an_endless_traceback_is_cut_at_its_beginning(project: Project) -> None:
    body = "raise ValueError('x' * 100_000)"
    result = run(project.flow([python("f")], files={"f.py": tool("f", "", body)}))
    assert result.error is not None
    assert len(result.error.traceback or "") < 30_000


@pytest.mark.parametrize("reference", ["${f.output.missing}", "${f.output[9]}"])
def test_a_path_that_leads_nowhere_fails_the_reading_node_or_the_line(project: Project, reference: str) -> None:
    nodes = [python("f", "echo.py", inputs={"value": {"k": 1}}), python("g", "echo.py", inputs={"value": reference})]
    result = run(project.flow(nodes, files={"echo.py": ECHO}))
    assert result.error is not None
    assert (result.error.type, result.error.node, result.error.traceback) == ("FlowError", "g", None)
    outputs = run(project.flow(nodes[:1], outputs={"o": reference}, files={"echo.py": ECHO}))
    assert outputs.status == "failed"
    assert outputs.error is not None
    assert (outputs.error.type, outputs.error.node) == ("FlowError", None)


def test_outputs_come_from_nodes_inputs_paths_and_literals(project: Project) -> None:
    path = project.flow(
        [python("f", "echo.py", inputs={"value": {"a": [1, {"b": 2}]}})],
        inputs={"x": "int"},
        outputs={
            "node": "${f}",
            "path": "${f.output.a[1].b}",
            "input": "${inputs.x}",
            "older": "${flow.x}",
            "literal": "same",
        },
        files={"echo.py": ECHO},
    )
    assert run(path, {"x": 3}).outputs == {
        "node": {"a": [1, {"b": 2}]},
        "path": 2,
        "input": 3,
        "older": 3,
        "literal": "same",
    }


@pytest.mark.parametrize(
    "text", ["", "'; DROP TABLE--", "{{ 7 * 7 }}", "${inputs.x}", "\x00\x1b[31m", "a" * 100_000, "\u202eevil", "\ud800"]
)
def test_hostile_text_passes_through_unchanged(project: Project, text: str) -> None:
    nodes = [prompt("p", inputs={"x": "${inputs.x}"}), python("f", "echo.py", inputs={"value": "${p.output}"})]
    path = project.flow(
        nodes, inputs={"x": "string"}, outputs={"o": "${f.output}"}, files={"echo.py": ECHO, "p.jinja2": "{{ x }}"}
    )
    assert run(path, {"x": text}).outputs == {"o": text}


def test_a_method_of_a_class_is_a_tool_with_its_constructors_inputs(project: Project) -> None:
    source = (
        "from pilothouse import tool\nclass Counter:\n    def __init__(self, start: int, step: int = 1):\n        self.count = start\n        self.step = step\n"
        "    @tool\n    def add(self, value: int) -> int:\n        self.count += value * self.step\n        return self.count\n"
    )
    node = python("add", inputs={"start": "10", "value": "${inputs.x}"})
    path = project.flow([node], inputs={"x": "int"}, outputs={"o": "${add.output}"}, files={"add.py": source})
    runner = FlowRunner(load_flow(path)).open()
    assert [runner.run_line_sync({"x": 1}).outputs["o"] for _ in range(2)] == [11, 12]


def one_node(project: Project, name: str, inputs: dict[str, Any], **options: Any) -> NodeResult:
    nodes = [
        python("first", "echo.py", inputs={"value": "${inputs.x}"}),
        python(
            "second",
            "pair.py",
            inputs={"a": "${first.output.part}", "b": "${inputs.x}"},
            activate={"when": "${first.output}", "is": 1},
        ),
        python("total", "echo.py", inputs={"value": "${second.output}"}, aggregation=True),
    ]
    files = {"echo.py": ECHO, "pair.py": tool("pair", "a, b", "return [a, b]")}
    path = project.flow(nodes, inputs={"x": {"type": "int", "default": 7}}, files=files)

    async def go() -> NodeResult:
        async with FlowRunner(load_flow(path), **options) as runner:
            return await runner.run_node(name, inputs)

    return asyncio.run(go())


@pytest.mark.parametrize(
    ("name", "inputs", "expected"),
    [
        ("first", {}, 7),
        ("first", {"x": 1}, 1),
        ("first", {"inputs.x": 2}, 2),
        ("first", {"value": 3}, 3),
        ("second", {"first.output": {"part": "p"}}, ["p", 7]),
        ("second", {"first.output.part": "q", "inputs.x": 1}, ["q", 1]),
        ("second", {"a": "r", "b": 0}, ["r", 0]),
        ("total", {"second.output": 5}, [5]),
    ],
)
def test_one_node_runs_alone_on_what_it_is_given(
    project: Project, name: str, inputs: dict[str, Any], expected: Any
) -> None:
    result = one_node(project, name, inputs)
    assert (result.status, result.output) == ("completed", expected)


def test_a_node_alone_says_what_it_is_missing(project: Project) -> None:
    with pytest.raises(DataError, match=r"\$\{first\.output\.part\}") as caught:
        one_node(project, "second", {})
    assert "first.output.part=<value>" in str(caught.value)
    with pytest.raises(NotFound, match="did you mean 'first'"):
        one_node(project, "frist", {})


BOX = {
    "box": Connection(name="box", type="custom", configs={"url": "http://u"}, secrets={"key": Secret("hidden-secret")})
}


def test_environment_variables_may_read_connections(project: Project) -> None:
    path = project.flow(
        [python("f", "echo.py", inputs={"value": 1})],
        files={"echo.py": ECHO},
        environment_variables={"A": "${box.url}", "B": "${box.key}", "C": "plain", "D": {"x": 1}},
    )
    flow = load_flow(path)
    assert resolved_variables(flow, FakeModels(connections=BOX)) == {
        "A": "http://u",
        "B": "hidden-secret",
        "C": "plain",
        "D": '{"x": 1}',
    }
    wrong = load_flow(
        project.flow([python("f", "echo.py", inputs={"value": 1})], environment_variables={"A": "${box.ulr}"})
    )
    with pytest.raises(FlowError, match="'ulr'") as caught:
        resolved_variables(wrong, FakeModels(connections=BOX))
    assert "did you mean 'url'?" in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_environment_variables_are_set_before_the_code_is_imported(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PILOTHOUSE_TEST_A", "0")
    reading = "import os\n\nfrom pilothouse import tool\n\nSEEN = os.environ['PILOTHOUSE_TEST_A']\n\n\n@tool\ndef f() -> str:\n    return SEEN\n"
    path = project.flow(
        [python("f")],
        outputs={"o": "${f.output}"},
        files={"f.py": reading},
        environment_variables={"PILOTHOUSE_TEST_A": "1"},
    )
    runner = FlowRunner(load_flow(path)).open()
    assert runner.run_line_sync({}).outputs == {"o": "1"}
    runner.close()


def test_a_model_that_is_not_there_is_said_before_any_line(project: Project) -> None:
    models = FakeModels()
    models.missing.add("small")
    path = project.flow([llm("ask", inputs={"model": "small"})], files={"ask.jinja2": "user:\nx\n"})
    with pytest.raises(NotFound, match="not pulled"):
        FlowRunner(load_flow(path), models=models).open()


def test_a_runner_knows_how_many_lines_its_models_serve(project: Project) -> None:
    models = FakeModels()
    path = project.flow([llm("ask")], files={"ask.jinja2": "user:\nx\n"})
    assert FlowRunner(load_flow(path), models=models).open().slots is None
    models.places = 4
    assert FlowRunner(load_flow(path), models=models).open().slots == 4


def test_opening_twice_opens_once_and_a_closed_runner_leaves_nothing(project: Project, tmp_path: Path) -> None:
    (tmp_path / "echo.py").write_text(ECHO)
    path = project.flow(
        [python("echo", inputs={"value": 1})], outputs={"o": "${echo.output}"}, additional_includes=["../echo.py"]
    )
    runner = FlowRunner(load_flow(path))
    assert runner.open() is runner.open()
    assert runner.run_line_sync({}).outputs == {"o": 1}
    runner.close()
    runner.close()


def test_a_closed_runner_runs_nothing_more_in_threads(project: Project) -> None:
    runner = FlowRunner(load_flow(project.flow([python("echo", inputs={"value": 1})], files={"echo.py": ECHO}))).open()
    runner.close()
    with pytest.raises(RuntimeError, match="closed"):
        asyncio.run(runner.run_line({}))


def test_a_constructor_that_fails_is_the_users_failure_when_the_flow_is_opened(project: Project) -> None:
    source = (
        "from pilothouse import tool\nclass C:\n    def __init__(self, n: int):\n        raise ValueError(n)\n"
        "    @tool\n    def f(self):\n        return 1\n"
    )
    path = project.flow([python("f", inputs={"n": 5})], files={"f.py": source})
    with pytest.raises(UserCodeError, match="'C' cannot be made: ValueError: 5") as caught:
        FlowRunner(load_flow(path)).open()
    assert "f.py" in caught.value.traceback


def test_a_tool_that_its_file_takes_away_again_is_told(project: Project) -> None:
    path = project.flow([python("f")], files={"f.py": tool("f", "", "return 1") + "del f\n"})
    with pytest.raises(FlowError, match="does not define 'f'"):
        FlowRunner(load_flow(path)).open()


def test_ctrl_c_in_a_tool_of_the_main_thread_goes_through(project: Project) -> None:
    path = project.flow([python("f")], files={"f.py": tool("f", "", "raise KeyboardInterrupt")})
    with pytest.raises(KeyboardInterrupt):
        FlowRunner(load_flow(path)).open().run_line_sync({})


def test_an_input_that_is_nested_too_deep_fails_its_line(project: Project) -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    path = project.flow(
        [python("f", "echo.py", inputs={"value": "${inputs.x}"})],
        inputs={"x": "list"},
        files={"echo.py": ECHO},
        message_format="openai-vision",
    )
    result = run(path, {"x": deep})
    assert result.error is not None
    assert "nested too deep" in result.error.message


def test_a_tool_that_outlives_its_loop_disturbs_nobody(project: Project) -> None:
    files = {"f.py": tool("f", "", "import threading; threading.Event().wait(0.2)")}
    runner = FlowRunner(load_flow(project.flow([python("f")], files=files)), settings=FlowSettings(line_timeout=0.01))
    result = asyncio.run(runner.run_line({}))
    assert result.error is not None
    assert result.error.type == "Timeout"
    for thread in threading.enumerate():
        if thread.name.startswith("tool-"):
            thread.join(0.3)


def test_models_are_needed_only_by_flows_that_use_them(project: Project) -> None:
    path = project.flow([llm("ask")], files={"ask.jinja2": "user:\nhi\n"})
    with pytest.raises(FlowError, match="no models are at hand"):
        FlowRunner(load_flow(path)).open()


@st.composite
def graphs(draw: st.DrawFn) -> list[tuple[int, list[int], int | None]]:
    """Nodes that read earlier ones; some have an activate condition."""
    count = draw(st.integers(1, 9))
    found = []
    for index in range(count):
        reads = draw(st.lists(st.integers(0, index - 1), max_size=3, unique=True)) if index else []
        condition = draw(st.one_of(st.none(), st.integers(0, 3))) if index else None
        found.append((index, reads, condition))
    return found


@settings(max_examples=40, deadline=None)
@given(graphs(), st.randoms(use_true_random=False))
def test_any_graph_gives_the_same_in_threads_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, graph: list[tuple[int, list[int], int | None]], shuffle: Any
) -> None:
    nodes = []
    for index, reads, condition in graph:
        inputs = {f"v{place}": f"${{n{place}.output}}" for place in reads} | {"own": index}
        more = {"activate": {"when": f"${{n{index - 1}.output}}", "is": condition}} if condition is not None else {}
        nodes.append(python(f"n{index}", "total.py" if index % 3 else "late.py", inputs=inputs, **more))
    shuffle.shuffle(nodes)
    body = "return sum(value or 0 for value in values.values()) % 4"
    files = {
        "total.py": tool("total", "**values", body),
        "late.py": tool("late", "**values", body).replace("def late", "async def late"),
    }
    project = Project(tmp_path_factory.mktemp("graph") / "flow")
    path = project.flow(nodes, outputs={f"o{index}": f"${{n{index}.output}}" for index, *_ in graph}, files=files)
    assert run(path).outputs == expected(graph)


def expected(graph: list[tuple[int, list[int], int | None]]) -> dict[str, int | None]:
    """The rules, written down a second time and as simply as they can be."""
    values: dict[int, int | None] = {}
    bypassed: set[int] = set()
    for index, reads, condition in graph:
        if condition is not None:
            is_bypassed = index - 1 in bypassed or values[index - 1] != condition
        else:
            is_bypassed = bool(reads) and all(place in bypassed for place in reads)
        if is_bypassed:
            bypassed.add(index)
        values[index] = None if is_bypassed else (index + sum(values[place] or 0 for place in reads)) % 4
    return {f"o{index}": value for index, value in values.items()}
