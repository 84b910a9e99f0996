"""Tools are found, and checked against the node's inputs, without running their file."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest
from tests.flows.building import Project, python, tool

from pilothouse.core.errors import FlowError
from pilothouse.flows.loader import load_flow
from pilothouse.flows.nodes.sources import ToolSignature, read_tool


def read(tmp_path: Path, text: str) -> ToolSignature:
    path = tmp_path / "tool.py"
    path.write_text(dedent(text))
    return read_tool(path)


@pytest.mark.parametrize(
    "text",
    [
        "from pilothouse import tool\n@tool\ndef f(): ...",
        "import pilothouse as ph\n@ph.tool\ndef f(): ...",
        "import pilothouse\n@pilothouse.tool(name='x')\ndef f(): ...",
        "from pilothouse import tool as t\n@t\ndef f(): ...",
        "from pilothouse import tool\n@tool()\nasync def f(): ...",
        "from pilothouse import tool\n@staticmethod\n@tool\ndef f(): ...",
        "from pilothouse import tool\nif True:\n    @tool\n    def f(): ...",
        "from pilothouse import tool\ntry:\n    import x\nexcept ImportError:\n    x = None\n@tool\ndef f(): ...\ndef other(): ...",
    ],
)
def test_the_tool_of_a_file_is_found(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text).name == "f"


def test_its_parameters_are_read(tmp_path: Path) -> None:
    found = read(tmp_path, "@tool\ndef f(a: int, b: 'str' = 'x', *, c, d: list | None = None, **rest): ...")
    assert [(item.name, item.annotation, item.has_default) for item in found.parameters] == [
        ("a", "int", False),
        ("b", "'str'", True),
        ("c", "", False),
        ("d", "list | None", True),
    ]
    assert found.takes_any
    assert found.line == 2


def test_a_method_takes_what_its_constructor_takes_too(tmp_path: Path) -> None:
    found = read(
        tmp_path, "class C:\n    def __init__(self, url: str): ...\n    @tool\n    def f(self, text: str): ..."
    )
    assert (found.name, found.owner) == ("f", "C")
    assert [item.name for item in found.parameters] == ["url", "text"]


def test_two_tools_are_refused_with_both_lines(tmp_path: Path) -> None:
    with pytest.raises(FlowError) as caught:
        read(tmp_path, "@tool\ndef a(): ...\n\n@tool\ndef b(): ...")
    assert "a (line 2), b (line 5)" in caught.value.message
    assert str(caught.value.where).endswith("tool.py:5")
    assert "files of their own" in str(caught.value)


@pytest.mark.parametrize("text", ["def f(): ...", "", "x = 1", "def tool(): ..."])
def test_a_file_without_a_tool_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(FlowError, match="no @tool function") as caught:
        read(tmp_path, text)
    assert "from pilothouse import tool" in str(caught.value)


@pytest.mark.parametrize(("text", "line"), [("def f(:\n", 1), ("x = 1\n  y = 2\n", 2), ("\x00", None)])
def test_a_file_that_is_not_python_is_refused_with_its_line(tmp_path: Path, text: str, line: int | None) -> None:
    (tmp_path / "tool.py").write_text(text)
    with pytest.raises(FlowError, match="not Python") as caught:
        read_tool(tmp_path / "tool.py")
    assert str(caught.value.where).endswith("tool.py" if line is None else f"tool.py:{line}")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("import os\nfrom promptflow import tool\n@tool\ndef f(): ...\n", 2),
        ("from pilothouse import tool\n@tool\ndef f():\n    import promptflow.core as core\n", 4),
        ("from pilothouse import tool\nfrom .promptflow import x\nimport promptflows\n@tool\ndef f(): ...\n", None),
    ],
)
def test_the_first_import_of_prompt_flow_is_found(tmp_path: Path, text: str, line: int | None) -> None:
    assert read(tmp_path, text).promptflow == line


@pytest.mark.parametrize(
    ("parameters", "inputs", "message", "hint"),
    [
        ("text", {"text": 1, "txt": 2}, "takes no 'txt'", "did you mean 'text'?"),
        ("text, n", {"text": 1}, "does not give 'n'", "default"),
        ("text, n", {"text": None, "n": ""}, "does not give 'text', 'n'", "default"),
        ("n: int", {"n": "many"}, "is 'many', which is not of the type int", "flow.dag.yaml:10"),
        ("n: float", {"n": "x"}, "not of the type float", "flow.dag.yaml:10"),
        ("n: int", {"n": 2.5}, "2.5, which is not of the type int", "flow.dag.yaml:10"),
        ("b: bool", {"b": "perhaps"}, "not of the type bool", "flow.dag.yaml:10"),
        ("items: list", {"items": "a, b"}, "not of the type list", "flow.dag.yaml:10"),
        ("n: 'int | None' = None", {"n": "x"}, "not of the type", "flow.dag.yaml:10"),
        ("n: Optional[int]", {"n": "x"}, "not of the type", "flow.dag.yaml:10"),
    ],
)
def test_inputs_that_do_not_fit_the_tool_are_refused_at_load(
    project: Project, parameters: str, inputs: dict[str, object], message: str, hint: str
) -> None:
    project.flow([python("f", inputs=inputs)], files={"f.py": tool("f", parameters, "return 1")})
    with pytest.raises(FlowError, match=message) as caught:
        load_flow(project.folder)
    assert hint in str(caught.value)


def test_a_tool_with_any_inputs_takes_any(project: Project) -> None:
    project.flow([python("f", inputs={"a": 1, "b": 2})], files={"f.py": tool("f", "**values", "return values")})
    assert load_flow(project.folder).nodes[0].name == "f"
