"""Literal inputs in the types of the tool's parameters, and flow inputs in their declared types."""

from __future__ import annotations

import inspect
from enum import Enum
from typing import Any, List, Optional, Union  # noqa: UP035 - the older forms must be understood too

import pytest
from tests.flows.building import FakeModels, Project, python, run, tool

from pilothouse.core.errors import ConnectionFault, FlowError
from pilothouse.flows.loader import load_flow
from pilothouse.flows.nodes.literals import CONVERTERS, kind_of, kind_of_text
from pilothouse.flows.runner import FlowRunner
from pilothouse.models.secret import Secret
from pilothouse.models.types import Connection

EMPTY = inspect.Parameter.empty


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("annotation", "default", "kind"),
    [
        (int, EMPTY, "int"),
        (float, EMPTY, "double"),
        (bool, EMPTY, "bool"),
        (str, EMPTY, "string"),
        (list, EMPTY, "list"),
        (dict, EMPTY, "object"),
        (list[str], EMPTY, "object"),
        (List[str], EMPTY, "object"),  # noqa: UP006
        (Optional[int], EMPTY, "int"),  # noqa: UP045
        (int | None, EMPTY, "int"),
        (Union[int, str], EMPTY, "object"),  # noqa: UP007
        (int | str, EMPTY, "object"),
        (Colour, EMPTY, "string"),
        (Any, EMPTY, "object"),
        (EMPTY, EMPTY, "object"),
        (EMPTY, 3, "int"),
        (EMPTY, 1.5, "double"),
        (EMPTY, True, "bool"),
        (EMPTY, "x", "string"),
        (EMPTY, [], "list"),
        (EMPTY, None, "object"),
        (type("Secret", (str,), {}), EMPTY, "other"),
        (type("FilePath", (str,), {}), EMPTY, "other"),
    ],
)
def test_the_kind_of_a_parameter(annotation: Any, default: Any, kind: str) -> None:
    assert kind_of(annotation, default) == kind


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("int", "int"),
        ("'float'", "double"),
        ("str | None", "string"),
        ("Optional[list]", "list"),
        ("typing.Optional[bool]", "bool"),
    ],
)
def test_the_kind_of_an_annotation_in_text(text: str, kind: str) -> None:
    assert kind_of_text(text) == kind


@pytest.mark.parametrize("text", ["", "dict", "list[str]", "int | str", "Thing", "Optional[Thing]"])
def test_annotations_that_text_does_not_settle(text: str) -> None:
    assert kind_of_text(text) is None


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("int", "256", 256),
        ("int", " 7 ", 7),
        ("int", 3.0, 3),
        ("double", "0.5", 0.5),
        ("double", 2, 2.0),
        ("bool", "True", True),
        ("bool", "FALSE", False),
        ("bool", True, True),
        ("string", 5, "5"),
        ("string", True, "True"),
        ("string", None, None),
        ("list", "[1, 2]", [1, 2]),
        ("list", [1], [1]),
        ("object", '{"a": 1}', {"a": 1}),
        ("object", "256", 256),
        ("object", "not json", "not json"),
        ("object", None, None),
    ],
)
def test_values_are_brought_to_their_kind(kind: str, value: Any, expected: Any) -> None:
    made = CONVERTERS[kind](value)
    assert made == expected
    assert type(made) is type(expected)


@pytest.mark.parametrize(
    ("kind", "value"),
    [("int", "3.7"), ("int", 3.7), ("int", None), ("int", "x"), ("int", []), ("double", "x"), ("double", None), ("bool", "yes"), ("bool", 1), ("bool", None), ("list", "a"), ("list", {}), ("list", None), ("list", "{}")],
)  # fmt: skip
def test_values_that_are_not_of_the_kind_are_refused(kind: str, value: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        CONVERTERS[kind](value)


def called(project: Project, parameters: str, inputs: dict[str, Any], head: str = "", **options: Any) -> Any:
    source = tool("f", parameters, "values = dict(locals()); return values", head=head)
    result = run(
        project.flow([python("f", inputs=inputs)], outputs={"o": "${f.output}"}, files={"f.py": source}), **options
    )
    assert result.error is None, result.error
    return result.outputs["o"]


@pytest.mark.parametrize(
    ("parameters", "inputs", "expected"),
    [
        ("n: int", {"n": "256"}, {"n": 256}),
        ("n: 'int'", {"n": "256"}, {"n": 256}),
        ("x: float = 1.0", {"x": "0.5"}, {"x": 0.5}),
        ("b: bool", {"b": "true"}, {"b": True}),
        ("s: str", {"s": 5}, {"s": "5"}),
        ("items: list", {"items": "[1]"}, {"items": [1]}),
        ("anything", {"anything": "256"}, {"anything": 256}),
        ("anything", {"anything": "text"}, {"anything": "text"}),
        ("n: int = 3", {"n": None}, {"n": 3}),
        ("n: int = 3", {"n": ""}, {"n": 3}),
        ("s: str = 'd'", {"s": ""}, {"s": "d"}),
        ("n: int = 3", {}, {"n": 3}),
        ("n: int = 3", {"n": 0}, {"n": 0}),
        ("b: bool = True", {"b": False}, {"b": False}),
        ("**rest", {"a": "1", "b": [2]}, {"rest": {"a": "1", "b": [2]}}),
        ("data: dict", {"data": {"a": {"b": 1}}}, {"data": {"a": {"b": 1}}}),
    ],
)
def test_a_tool_gets_its_literals_in_their_types(
    project: Project, parameters: str, inputs: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert called(project, parameters, inputs) == expected


def test_annotations_that_name_nothing_are_read_as_text(project: Project) -> None:
    assert called(project, "n: 'int', x: 'Nowhere' = None", {"n": "5"})["n"] == 5


def test_a_literal_list_is_each_lines_own(project: Project) -> None:
    source = tool("f", "items: list, x: int", "items.append(x); return items")
    path = project.flow(
        [python("f", inputs={"items": [0], "x": "${inputs.x}"})],
        inputs={"x": "int"},
        outputs={"o": "${f.output}"},
        files={"f.py": source},
    )
    runner = FlowRunner(load_flow(path)).open()
    assert [runner.run_line_sync({"x": x}).outputs["o"] for x in (1, 2)] == [[0, 1], [0, 2]]


@pytest.mark.parametrize(
    ("declared", "value", "expected"),
    [
        ("int", "5", 5),
        ("double", 5, 5.0),
        ("bool", "false", False),
        ("string", 5, "5"),
        ("string", None, None),
        ("list", "[1]", [1]),
        ("object", '{"a": 1}', {"a": 1}),
        ("object", "plain", "plain"),
        ("string", "2026-01-02", "2026-01-02"),
        ("object", {"when": "2026-01-02", "n": None, "i": 1}, {"when": "2026-01-02", "n": None, "i": 1}),
        ("secret", 5, 5),
    ],
)
def test_a_flow_input_is_brought_to_its_type(project: Project, declared: str, value: Any, expected: Any) -> None:
    path = project.flow(
        [python("f", inputs={"v": "${inputs.x}"})],
        inputs={"x": declared},
        outputs={"o": "${f.output}"},
        files={"f.py": tool("f", "v", "return v")},
    )
    result = run(path, {"x": value})
    assert result.outputs == {"o": expected}
    assert result.inputs == {"x": expected}


@pytest.mark.parametrize(
    ("declared", "value"),
    [("int", "five"), ("int", None), ("int", 1.5), ("bool", "yes"), ("list", "a"), ("double", "x")],
)
def test_a_flow_input_of_another_type_fails_the_line_and_says_so(project: Project, declared: str, value: Any) -> None:
    path = project.flow(
        [python("f", inputs={"v": "${inputs.x}"})], inputs={"x": declared}, files={"f.py": tool("f", "v", "return v")}
    )
    result = run(path, {"x": value})
    assert result.status == "failed"
    assert result.error is not None
    assert result.error.type == "DataError"
    assert f"not of the type {declared}" in result.error.message
    assert result.nodes == ()
    assert result.inputs == {"x": value}


def test_defaults_apply_to_absent_inputs_only_and_null_is_no_default(project: Project) -> None:
    inputs = {
        "a": {"type": "int", "default": "3"},
        "b": {"type": "int", "default": None},
        "h": {"type": "list", "is_chat_history": True},
    }
    nodes = [python("f", inputs={"a": "${inputs.a}", "h": "${inputs.h}"})]
    path = project.flow(
        nodes, inputs=inputs, outputs={"o": "${f.output}"}, files={"f.py": tool("f", "a, h", "return [a, h]")}
    )
    assert run(path, {"b": 1}).outputs == {"o": [3, []]}
    missing = run(path, {"a": 1})
    assert missing.error is not None
    assert "no value for the input 'b'" in missing.error.message


def test_inputs_that_the_flow_does_not_declare_are_left_aside(project: Project) -> None:
    path = project.flow(
        [python("f", inputs={"v": "${inputs.x}"})], inputs={"x": "int"}, files={"f.py": tool("f", "v", "return v")}
    )
    assert run(path, {"x": 1, "other": 2}).inputs == {"x": 1}


HEAD = "class CustomConnection: ...\nclass AzureOpenAIConnection: ...\nclass Connection: ..."
MODELS = {"box": Connection(name="box", type="custom", configs={"url": "u"}, secrets={"key": Secret("hidden-secret")})}


@pytest.mark.parametrize(
    "annotation",
    [
        "CustomConnection",
        "'CustomConnection'",
        "Connection",
        "CustomConnection | None",
        "AzureOpenAIConnection | CustomConnection",
    ],
)
def test_a_connection_typed_parameter_gets_the_connection(project: Project, annotation: str) -> None:
    source = tool("f", f"conn: {annotation}", "return [conn.configs['url'], conn.get('key')]", head=HEAD)
    path = project.flow([python("f", inputs={"conn": "box"})], outputs={"o": "${f.output}"}, files={"f.py": source})
    assert run(path, models=FakeModels(connections=MODELS)).outputs == {"o": ["u", "***"]}


def test_a_connection_of_another_type_is_refused_when_the_flow_is_opened(project: Project) -> None:
    source = tool("f", "conn: AzureOpenAIConnection", "return 1", head=HEAD)
    path = project.flow([python("f", inputs={"conn": "box"})], files={"f.py": source})
    with pytest.raises(ConnectionFault, match="is of the type custom") as caught:
        FlowRunner(load_flow(path), models=FakeModels(connections=MODELS)).open()
    assert "azure_open_ai" in str(caught.value)
    assert "flow.dag.yaml:" in str(caught.value.where)


def test_an_unknown_connection_is_refused_when_the_flow_is_opened(project: Project) -> None:
    source = tool("f", "conn: CustomConnection", "return 1", head=HEAD)
    path = project.flow([python("f", inputs={"conn": "nowhere"})], files={"f.py": source})
    with pytest.raises(ConnectionFault, match="nowhere"):
        FlowRunner(load_flow(path), models=FakeModels()).open()
    with pytest.raises(FlowError, match="no connections are at hand"):
        FlowRunner(load_flow(path)).open()


def test_what_a_tool_raises_is_recorded_without_the_secrets_of_its_connection(project: Project) -> None:
    body = "raise ValueError(f'GET http://host/?key={conn.get(\"key\")} failed')"
    source = tool("f", "conn: CustomConnection", body, head=HEAD)
    path = project.flow([python("f", inputs={"conn": "box"})], files={"f.py": source})
    error = run(path, models=FakeModels(connections=MODELS)).error
    assert error is not None
    assert error.message == "GET http://host/?key=*** failed"
    assert error.traceback is not None
    assert "line" in error.traceback
    assert "hidden-secret" not in error.traceback


def test_a_fingerprint_follows_the_connection_but_holds_no_secret(project: Project) -> None:
    source = tool("f", "conn: CustomConnection", "return 1", head=HEAD)
    loaded = load_flow(project.flow([python("f", inputs={"conn": "box"})], files={"f.py": source}))

    def fingerprint(**changes: Any) -> str:
        connection = Connection(name="box", type="custom", **{"configs": {"url": "u"}, "secrets": {}, **changes})
        return FlowRunner(loaded, models=FakeModels(connections={"box": connection})).node_fingerprint("f")

    assert fingerprint() == fingerprint(secrets={"key": Secret("another-secret")})
    assert fingerprint() != fingerprint(configs={"url": "elsewhere"})
