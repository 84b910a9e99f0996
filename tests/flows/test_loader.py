"""Loading: what a flow file may say, and how each mistake in it is told with file, line and cure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pilothouse.core.errors import FlowError, NotFound
from pilothouse.flows.loader import find_flow_file, load_flow
from pilothouse.flows.types import LiteralValue, Reference

from .building import Project, llm, prompt, python, tool, write

ECHO = {"echo.py": tool("echo", "value", "return value")}

WHOLE = """
$schema: https://example.org/Flow.schema.json
id: my_flow
name: whole
display_name: A whole flow
description: Every key there is.
type: evaluation
language: python
message_format: openai-vision
tags:
  team: a
  year: 2026
environment:
  python_requirements_txt: requirements.txt
  image: python:3.11
environment_variables:
  PLAIN: text
  NUMBER: 3
  OBJECT: {a: 1}
  LIST: [1, two]
inputs:
  question:
    type: string
    default: hi
    description: What to ask.
    is_chat_input: true
  history:
    type: list
    is_chat_history: true
  mode:
    type: STRING
    enum: [a, b]
outputs:
  answer:
    type: string
    reference: ${echo.output}
    description: What came back.
    evaluation_only: false
    is_chat_output: true
nodes:
- name: echo
  type: python
  source:
    type: code
    path: echo.py
  inputs:
    value: ${inputs.question}
  comment: says it again
  enable_cache: true
"""


def refused(project: Project, text: str, files: dict[str, str] | None = None) -> FlowError:
    project.text(text, {**ECHO, **(files or {})})
    with pytest.raises(FlowError) as caught:
        load_flow(project.folder)
    return caught.value


def test_every_key_is_read(project: Project) -> None:
    flow = load_flow(project.text(WHOLE, ECHO))
    assert (flow.kind, flow.name, flow.type, flow.language) == ("dag", "whole", "evaluation", "python")
    assert (flow.display_name, flow.description) == ("A whole flow", "Every key there is.")
    assert flow.message_format == "openai-vision"
    assert flow.tags == {"team": "a", "year": "2026"}
    assert flow.environment.python_requirements_txt == "requirements.txt"
    assert flow.environment.image == "python:3.11"
    question = flow.inputs["question"]
    assert (question.type, question.default, question.has_default, question.is_chat_input) == (
        "string",
        "hi",
        True,
        True,
    )
    assert flow.inputs["history"].is_chat_history
    assert flow.inputs["mode"].type == "string"
    assert flow.inputs["mode"].enum == ("a", "b")
    assert flow.outputs["answer"].is_chat_output
    node = flow.nodes[0]
    assert (node.comment, node.enable_cache, node.aggregation, node.api) == ("says it again", True, False, "chat")
    assert flow.folder == project.folder
    assert flow.notes == ()


def test_environment_variables_that_are_no_text_become_json(project: Project) -> None:
    flow = load_flow(project.text(WHOLE, ECHO))
    assert flow.environment_variables == {"PLAIN": "text", "NUMBER": "3", "OBJECT": '{"a": 1}', "LIST": '[1, "two"]'}


def test_everything_knows_its_line(project: Project) -> None:
    flow = load_flow(project.text(WHOLE, ECHO))
    lines = flow.path.read_text().splitlines()

    def at(text: str) -> str:
        return f"{flow.path}:{lines.index(text) + 1}"

    assert flow.inputs["question"].where == at("  question:")
    assert flow.outputs["answer"].where == at("  answer:")
    assert flow.outputs["answer"].reference.where == at("    reference: ${echo.output}")
    assert flow.nodes[0].where == at("- name: echo")
    assert flow.nodes[0].inputs["value"].where == at("    value: ${inputs.question}")


def test_a_flow_without_a_name_has_that_of_its_folder(project: Project) -> None:
    assert load_flow(project.flow([python("echo", inputs={"value": 1})], files=ECHO)).name == "flow"


@pytest.mark.parametrize("name", ["flow.dag.yaml", "flow.dag.yml"])
def test_a_flow_is_found_by_folder_and_by_file(tmp_path: Path, name: str) -> None:
    write(tmp_path, {name: "nodes: []"})
    assert find_flow_file(tmp_path) == tmp_path / name
    assert find_flow_file(tmp_path / name) == tmp_path / name


def test_a_place_without_a_flow_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"flow\.dag\.yaml"):
        load_flow(tmp_path)
    with pytest.raises(NotFound, match="no such flow"):
        load_flow(tmp_path / "nowhere")
    write(tmp_path, {"notes.txt": "x"})
    with pytest.raises(FlowError, match="not a flow"):
        load_flow(tmp_path / "notes.txt")


def test_two_flows_in_one_folder_are_not_chosen_between(tmp_path: Path) -> None:
    write(tmp_path, {"flow.dag.yaml": "nodes: []", "flow.flex.yaml": "entry: a:b"})
    with pytest.raises(FlowError, match=r"flow\.dag\.yaml and flow\.flex\.yaml"):
        load_flow(tmp_path)


BROKEN = {
    "no yaml": ("nodes: [", None, "not YAML", ""),
    "duplicate key": ("inputs:\n  x: {type: string}\n  x: {type: int}", 3, "stands twice", ""),
    "unknown key of the flow": ("nodez: []", 1, "unknown key 'nodez'", "did you mean 'nodes'?"),
    "unknown key of an input": ("inputs:\n  x:\n    typ: string", 3, "unknown key 'typ'", "did you mean 'type'?"),
    "unknown key of a node": ("nodes:\n- name: a\n  typ: python", 3, "unknown key 'typ'", "did you mean 'type'?"),
    "unknown type of an input": ("inputs:\n  x:\n    type: strng", 3, "'strng' is not known", "did you mean 'string'?"),
    "input without type": ("inputs:\n  x:\n    default: 1", 2, "'x' has no type", "type: string"),
    "inputs as a list": ("inputs:\n- x", 1, "inputs is not a mapping", "key: value"),
    "nodes as a mapping": ("nodes:\n  a: 1", 1, "nodes is not a list", "- name"),
    "no nodes": ("inputs: {}", None, "no nodes", "at least one node"),
    "node without name": ("nodes:\n- type: python", 2, "no name", "name:"),
    "node without type": ("nodes:\n- name: a\n  source: {path: echo.py}", 2, "has no type", "python"),
    "unknown type of a node": ("nodes:\n- name: a\n  type: pyton\n  source: {path: echo.py}", 3, "'pyton'", "python"),
    "csharp node": ("nodes:\n- name: a\n  type: csharp\n  source: {path: a.cs}", 3, "C# flows cannot be run", "rewrite"),
    "csharp flow": ("language: csharp\nnodes: []", 1, "C# flows cannot be run", "rewrite"),
    "node without source": ("nodes:\n- name: a\n  type: python", 2, "has no source", "path: file.py"),
    "source without path": ("nodes:\n- name: a\n  type: python\n  source: {type: code}", 4, "has no path", "path:"),
    "package without tool": ("nodes:\n- name: a\n  type: python\n  source: {type: package}", 4, "no tool", "tool:"),
    "unknown type of source": ("nodes:\n- name: a\n  type: python\n  source: {type: cod}", 4, "'cod'", "code"),
    "flag that is a word": ("nodes:\n- name: a\n  type: python\n  source: {path: echo.py}\n  aggregation: yes", 5, "'yes'", "true or false"),
    "unknown api": ("nodes:\n- name: a\n  type: llm\n  source: {path: a.jinja2}\n  api: chatt", 5, "'chatt'", "chat"),
    "unknown key of a source": ("nodes:\n- name: a\n  type: python\n  source: {pth: echo.py}", 4, "'pth'", "path"),
}  # fmt: skip


@pytest.mark.parametrize("text", BROKEN, ids=str)
def test_a_broken_file_is_refused_with_its_line_and_a_cure(project: Project, text: str) -> None:
    content, line, message, cure = BROKEN[text]
    error = refused(project, content)
    assert message in str(error)
    assert cure in str(error)
    if line is not None:
        assert error.where == f"{project.folder / 'flow.dag.yaml'}:{line}"


def test_a_missing_source_names_the_nearest_file(project: Project) -> None:
    project.flow([python("echo", "ecko.py", inputs={"value": 1})], files=ECHO)
    with pytest.raises(FlowError) as caught:
        load_flow(project.folder)
    assert "ecko.py" in str(caught.value)
    assert "did you mean 'echo.py'?" in str(caught.value)
    assert str(caught.value.where).endswith(":8")


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("${inputs.txt}", "did you mean 'text'?"),
        ("${inputs.text.part}", "a flow input is read as a whole"),
        ("${ecko.output}", "did you mean 'echo'?"),
        ("${}", "known:"),
    ],
)
def test_a_reference_to_nothing_names_the_nearest(project: Project, value: str, hint: str) -> None:
    project.flow(
        [python("echo", inputs={"value": 1}), python("two", "echo.py", inputs={"value": value})],
        inputs={"text": "string"},
        files=ECHO,
    )
    with pytest.raises(FlowError, match="does not exist") as caught:
        load_flow(project.folder)
    assert hint in str(caught.value)
    assert value in str(caught.value)


def test_two_nodes_of_one_name_are_refused(project: Project) -> None:
    error = refused(
        project,
        """
        nodes:
        - {name: a, type: python, source: {path: echo.py}, inputs: {value: 1}}
        - {name: a, type: python, source: {path: echo.py}, inputs: {value: 2}}
        """,
    )
    assert "two nodes have the name 'a'" in str(error)
    assert str(error.where).endswith(":3")
    assert "flow.dag.yaml:2" in error.message


@pytest.mark.parametrize(
    ("activate", "message"),
    [
        ({"when": "${inputs.x}"}, "has no 'is'"),
        ({"is": 1}, "has no 'when'"),
        ({"when": "${inputs.x}", "is": 1, "or": 2}, "unknown key 'or'"),
        ({"when": "${inputs.y}", "is": 1}, "does not exist"),
        ({"when": "inputs.x", "is": 1}, "never changes"),
        ("${inputs.x}", "activate is not a mapping"),
    ],
)
def test_a_wrong_activate_condition_is_refused(project: Project, activate: object, message: str) -> None:
    project.flow([python("echo", inputs={"value": 1}, activate=activate)], inputs={"x": "int"}, files=ECHO)
    with pytest.raises(FlowError, match=message):
        load_flow(project.folder)


@pytest.mark.parametrize("reference", [None, ""])
def test_an_empty_output_reference_is_refused(project: Project, reference: object) -> None:
    outputs = {"o": {"type": "string", "reference": reference}}
    project.flow([python("echo", inputs={"value": 1})], outputs=outputs, files=ECHO)
    with pytest.raises(FlowError, match="empty reference"):
        load_flow(project.folder)


def test_an_output_may_be_read_from_a_node_an_input_or_a_literal(project: Project) -> None:
    outputs = {"a": "${echo.output}", "b": "${inputs.x}", "c": "constant"}
    flow = load_flow(
        project.flow([python("echo", inputs={"value": 1})], inputs={"x": "int"}, outputs=outputs, files=ECHO)
    )
    assert isinstance(flow.outputs["a"].reference, Reference)
    assert isinstance(flow.outputs["b"].reference, Reference)
    assert isinstance(flow.outputs["c"].reference, LiteralValue)


def test_an_output_of_an_aggregation_node_is_left_out_with_a_note(project: Project) -> None:
    nodes = [
        python("echo", inputs={"value": 1}),
        python("sum", "echo.py", inputs={"value": "${echo.output}"}, aggregation=True),
    ]
    flow = load_flow(project.flow(nodes, outputs={"kept": "${echo.output}", "gone": "${sum.output}"}, files=ECHO))
    assert list(flow.outputs) == ["kept"]
    assert any("'gone'" in note and "aggregation" in note for note in flow.notes)


def test_a_node_of_each_line_may_not_read_an_aggregation_node(project: Project) -> None:
    nodes = [
        python("sum", "echo.py", inputs={"value": 1}, aggregation=True),
        python("after", "echo.py", inputs={"value": "${sum.output}"}),
    ]
    project.flow(nodes, files=ECHO)
    with pytest.raises(FlowError, match="cannot read the aggregation node 'sum'"):
        load_flow(project.folder)


def test_an_aggregation_node_may_not_depend_on_the_value_of_one_line(project: Project) -> None:
    nodes = [
        python("echo", inputs={"value": 1}),
        python("sum", "echo.py", inputs={"value": 1}, aggregation=True, activate={"when": "${echo.output}", "is": 1}),
    ]
    project.flow(nodes, files=ECHO)
    with pytest.raises(FlowError, match="a node of each line"):
        load_flow(project.folder)


def test_reduce_is_the_older_word_for_aggregation(project: Project) -> None:
    flow = load_flow(project.flow([python("echo", inputs={"value": 1}, reduce=True)], files=ECHO))
    assert flow.nodes[0].aggregation
    assert flow.has_aggregation


def test_the_oldest_form_of_nodes_names_an_inline_tool(project: Project) -> None:
    flow = load_flow(
        project.text(
            """
            nodes:
            - name: a
              tool: echo.py
              inputs: {value: 1}
            tools:
            - name: echo.py
              type: python
              inputs: {value: {type: [string]}}
              source: echo.py
              function: echo
            """,
            ECHO,
        )
    )
    assert (flow.nodes[0].type, flow.nodes[0].source.path) == ("python", "echo.py")


def test_text_that_only_looks_like_a_reference_is_noted(project: Project) -> None:
    flow = load_flow(
        project.flow([python("echo", inputs={"value": "see ${inputs.x}"})], inputs={"x": "int"}, files=ECHO)
    )
    assert any("'value' is taken as plain text" in note for note in flow.notes)


@pytest.mark.parametrize("api", ["chat", "completion"])
@pytest.mark.parametrize("variable", ["temperature", "max_tokens", "stop", "user", "prompt", "model"])
def test_a_template_variable_that_hides_a_parameter_is_refused(project: Project, api: str, variable: str) -> None:
    files = {"ask.jinja2": "user:\n{{ " + variable + " }}\n"}
    project.flow([llm("ask", inputs={variable: "x"}, api=api)], files=files)
    with pytest.raises(FlowError, match=f"'{variable}' has the name of a parameter of the {api} API"):
        load_flow(project.folder)


def test_the_model_name_that_an_azure_node_does_not_use_is_free(project: Project) -> None:
    node = llm("ask", inputs={"deployment_name": "d", "model": "Golf"})
    assert load_flow(project.flow([node], files={"ask.jinja2": "user:\n{{ model }}\n"})).notes == ()


def test_an_input_that_the_template_does_not_use_is_noted_with_the_nearest_name(project: Project) -> None:
    node = llm("ask", inputs={"temprature": 0, "question": "x"})
    notes = load_flow(project.flow([node], files={"ask.jinja2": "user:\n{{ question }} {{ tone }}\n"})).notes
    assert any("'temprature'" in note and "did you mean 'temperature'?" in note for note in notes)
    assert any("nothing gives 'tone'" in note for note in notes)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", "warm"),
        ("max_tokens", 1.5),
        ("n", "two"),
        ("tools", "x"),
        ("response_format", {"type": "xml"}),
        ("stream", "maybe"),
    ],
)
def test_a_parameter_of_the_wrong_type_is_refused_at_load(project: Project, name: str, value: object) -> None:
    project.flow([llm("ask", inputs={name: value})], files={"ask.jinja2": "user:\nhi\n"})
    with pytest.raises(FlowError, match=name) as caught:
        load_flow(project.folder)
    assert "flow.dag.yaml:" in str(caught.value.where)


def test_a_broken_template_is_refused_with_its_line(project: Project) -> None:
    project.flow([prompt("ask")], files={"ask.jinja2": "line one\n{{ x | }}\nlast\n"})
    with pytest.raises(FlowError) as caught:
        load_flow(project.folder)
    assert caught.value.where == f"{project.folder / 'ask.jinja2'}:2"


def test_a_custom_llm_node_needs_a_package_tool(project: Project) -> None:
    node = {"name": "a", "type": "custom_llm", "source": {"type": "code", "path": "a.jinja2"}}
    project.flow([node], files={"a.jinja2": "x"})
    with pytest.raises(FlowError, match="package_with_prompt"):
        load_flow(project.folder)


def test_loading_runs_none_of_the_flows_code(project: Project) -> None:
    boom = "raise SystemExit('executed')\n" + tool("echo", "value", "return value")
    assert (
        load_flow(project.flow([python("echo", inputs={"value": 1})], files={"echo.py": boom})).nodes[0].name == "echo"
    )


@pytest.mark.parametrize(
    "text", ["", "null", "- a", "just text", "\ufeffnodes: []", "nodes:\n- null", "inputs: 5", "? [a]\n: b"]
)
def test_hostile_files_get_a_message_and_no_traceback(project: Project, text: str) -> None:
    project.text(text)
    with pytest.raises(FlowError):
        load_flow(project.folder)


@pytest.mark.parametrize("name", ["echo.py", "notes.txt", "ask.jinja2"])
def test_a_file_that_cannot_be_read_is_named(project: Project, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    files = {**ECHO, "notes.txt": "x", "ask.jinja2": "x"}
    project.flow([python("echo", inputs={"value": 1}), prompt("ask")], files=files)
    original = Path.open

    def refuse(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == name:
            raise PermissionError(13, "Permission denied", str(path))
        return original(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(FlowError, match="Permission denied") as caught:
        load_flow(project.folder)
    assert str(caught.value.where).endswith(name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tools: {a: 1}\nnodes: []", "tools is not a list"),
        ("name: [a]\nnodes: []", "name is not a text"),
        (
            "additional_includes: x.py\nnodes: [{name: a, type: python, source: {path: x}}]",
            "additional_includes is not",
        ),
    ],
)
def test_entries_of_another_form_are_refused(project: Project, text: str, message: str) -> None:
    assert message in str(refused(project, text))


def test_a_file_that_is_no_text_gets_a_message(project: Project) -> None:
    project.folder.mkdir()
    (project.folder / "flow.dag.yaml").write_bytes(b"\xff\xfe\x00nodes")
    with pytest.raises(FlowError, match="UTF-8"):
        load_flow(project.folder)
