"""The five bypass rules of prompt flow, in their order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.flows.building import FakeModels, Project, llm, prompt, python, run, tool

from pilothouse.flows.loader import load_flow
from pilothouse.flows.results import LineResult
from pilothouse.flows.runner import FlowRunner

FILES = {
    "echo.py": tool("echo", "value", "return value"),
    "default.py": tool("default", "a='no a', b='no b'", "return [a, b]"),
    "both.py": tool("both", "a, b", "return [a, b]"),
}


def when(reference: str, value: Any) -> dict[str, Any]:
    return {"when": reference, "is": value}


def statuses(result: LineResult) -> dict[str, str]:
    return {node.node: node.status for node in result.nodes}


def flow(project: Project, *nodes: dict[str, Any], **outputs: str) -> Path:
    return project.flow(list(nodes), inputs={"x": "object"}, outputs=outputs, files=FILES)


@pytest.mark.parametrize(
    ("expected", "given", "runs"),
    [
        (1, 1, True),
        (1, 2, False),
        (1, 1.0, True),
        (True, True, True),
        (True, "true", True),  # an object input reads text as JSON
        ("a", "a", True),
        ("a", "A", False),
        (None, None, True),
        ([1, 2], [1, 2], True),
        ({"a": 1}, {"a": 1}, True),
        (1, True, True),  # plain equality of Python
        ("1", 1, False),
    ],
)
def test_rule_1_runs_if_and_only_if_the_values_are_equal(
    project: Project, expected: Any, given: Any, runs: bool
) -> None:
    path = flow(
        project,
        python("a", "echo.py", inputs={"value": "ran"}, activate=when("${inputs.x}", expected)),
        o="${a.output}",
    )
    result = run(path, {"x": given})
    assert statuses(result) == {"a": "completed" if runs else "bypassed"}
    assert result.outputs == {"o": "ran" if runs else None}
    assert result.status == "completed"


def test_rule_1_bypasses_when_the_node_of_the_condition_was_bypassed(project: Project) -> None:
    path = flow(
        project,
        python("a", "echo.py", inputs={"value": 1}, activate=when("${inputs.x}", 1)),
        python("b", "echo.py", inputs={"value": 1}, activate=when("${a.output}", None)),
    )
    assert statuses(run(path, {"x": 2})) == {"a": "bypassed", "b": "bypassed"}


def test_rule_1_alone_decides_even_when_all_inputs_were_bypassed(project: Project) -> None:
    path = flow(
        project,
        python("a", "echo.py", inputs={"value": 1}, activate=when("${inputs.x}", 1)),
        python("b", "both.py", inputs={"a": "${a.output}", "b": "${a.output}"}, activate=when("${inputs.x}", 2)),
        o="${b.output}",
    )
    result = run(path, {"x": 2})
    assert statuses(result) == {"a": "bypassed", "b": "completed"}
    assert result.outputs == {"o": [None, None]}


def test_rule_2_bypasses_a_node_whose_references_were_all_bypassed(project: Project) -> None:
    path = flow(
        project,
        python("a", "echo.py", inputs={"value": 1}, activate=when("${inputs.x}", 1)),
        python("b", "both.py", inputs={"a": "${a.output}", "b": "${inputs.x}"}),
        python("c", "echo.py", inputs={"value": "${b.output}"}),
        python("d", "echo.py", inputs={"value": "${inputs.x}"}),
        python("e", "echo.py", inputs={"value": 5}),
    )
    assert statuses(run(path, {"x": 2})) == {
        "a": "bypassed",
        "b": "bypassed",
        "c": "bypassed",
        "d": "completed",
        "e": "completed",
    }


def test_rule_2_runs_a_node_of_which_one_reference_was_not_bypassed(project: Project) -> None:
    path = flow(
        project,
        python("a", "echo.py", inputs={"value": 1}, activate=when("${inputs.x}", 1)),
        python("b", "echo.py", inputs={"value": "b"}),
        python("c", "both.py", inputs={"a": "${a.output}", "b": "${b.output}"}),
        o="${c.output}",
    )
    result = run(path, {"x": 2})
    assert result.outputs == {"o": [None, "b"]}
    assert any("'a' of node 'c' is null: node 'a' was bypassed" in note for note in result.notes)


def test_rule_3_leaves_out_an_input_whose_parameter_has_a_default(project: Project) -> None:
    path = flow(
        project,
        python("a", "echo.py", inputs={"value": 1}, activate=when("${inputs.x}", 1)),
        python("b", "echo.py", inputs={"value": "b"}),
        python("c", "default.py", inputs={"a": "${a.output}", "b": "${b.output}"}),
        o="${c.output}",
    )
    result = run(path, {"x": 2})
    assert result.outputs == {"o": ["no a", "b"]}
    assert result.notes == ()
    assert run(path, {"x": 1}).outputs == {"o": [1, "b"]}


def test_rule_3_holds_for_paths_into_the_bypassed_output(project: Project) -> None:
    path = flow(
        project,
        python("a", "echo.py", inputs={"value": {"k": 1}}, activate=when("${inputs.x}", 1)),
        python("b", "both.py", inputs={"a": "${a.output.k}", "b": "${inputs.x}"}, activate=when("${inputs.x}", 2)),
        o="${b.output}",
        p="${a.output.k}",
    )
    assert run(path, {"x": 2}).outputs == {"o": [None, 2], "p": None}


def test_rule_3_for_templates_and_parameters_of_a_model(project: Project) -> None:
    models = FakeModels()
    nodes = [
        python("a", "echo.py", inputs={"value": 1}, activate=when("${inputs.x}", 1)),
        prompt("p", inputs={"a": "${a.output}", "x": "${inputs.x}"}, activate=when("${inputs.x}", 2)),
        llm("ask", inputs={"temperature": "${a.output}", "q": "${p.output}"}),
    ]
    files = {**FILES, "p.jinja2": "[{{ a }}]", "ask.jinja2": "user:\n{{ q }}\n"}
    path = project.flow(nodes, inputs={"x": "object"}, outputs={"o": "${ask.output}"}, files=files)
    result = run(path, {"x": 2}, models=models)
    assert result.outputs == {"o": "[None]"}
    assert models.fake.requests[0].temperature is None
    assert [note for note in result.notes if "'temperature'" in note] == []


def test_rule_4_an_output_of_a_bypassed_node_is_null_with_a_note(project: Project) -> None:
    path = flow(project, python("a", "echo.py", inputs={"value": 1}, activate=when("${inputs.x}", 1)), o="${a.output}")
    result = run(path, {"x": 2})
    assert result.outputs == {"o": None}
    assert result.notes == ("the output 'o' is null: node 'a' was bypassed",)


def test_rule_5_a_condition_waits_for_its_node(project: Project) -> None:
    path = flow(
        project,
        python("late", "echo.py", inputs={"value": "${slow.output}"}),
        python("a", "echo.py", inputs={"value": "ran"}, activate=when("${late.output.go}", True)),
        python("slow", "echo.py", inputs={"value": "${inputs.x}"}),
        o="${a.output}",
    )
    assert run(path, {"x": {"go": True}}).outputs == {"o": "ran"}
    assert run(path, {"x": {"go": False}}).outputs == {"o": None}


def test_two_ways_join_again(project: Project) -> None:
    path = flow(
        project,
        python("yes", "echo.py", inputs={"value": "yes"}, activate=when("${inputs.x}", True)),
        python("no", "echo.py", inputs={"value": "no"}, activate=when("${inputs.x}", False)),
        python("join", "default.py", inputs={"a": "${yes.output}", "b": "${no.output}"}),
        o="${join.output}",
    )
    assert run(path, {"x": True}).outputs == {"o": ["yes", "no b"]}
    assert run(path, {"x": False}).outputs == {"o": ["no a", "no"]}


def test_the_same_rules_hold_where_lines_run_in_one_thread(project: Project) -> None:
    path = flow(
        project,
        python("a", "echo.py", inputs={"value": 1}, activate=when("${inputs.x}", 1)),
        python("b", "echo.py", inputs={"value": "${a.output}"}),
        o="${b.output}",
    )
    runner = FlowRunner(load_flow(path)).open()
    assert runner.is_sync
    assert statuses(runner.run_line_sync({"x": 2})) == {"a": "bypassed", "b": "bypassed"}
    assert runner.run_line_sync({"x": 1}).outputs == {"o": 1}


@pytest.mark.parametrize("reference", ["${a.output.missing}", "${a.output[3]}"])
def test_a_condition_that_leads_nowhere_fails_the_node(project: Project, reference: str) -> None:
    path = flow(
        project,
        python("a", "echo.py", inputs={"value": {"k": 1}}),
        python("b", "echo.py", inputs={"value": 1}, activate=when(reference, 1)),
    )
    result = run(path, {"x": 1})
    assert result.error is not None
    assert (result.error.node, result.error.type) == ("b", "FlowError")
    assert reference in result.error.message


def test_a_comparison_that_raises_is_the_users_failure(project: Project) -> None:
    odd = tool(
        "odd",
        "",
        "return Odd()",
        head="class Odd:\n    def __eq__(self, other):\n        raise RuntimeError('never equal')\n    __hash__ = None",
    )
    nodes = [python("odd"), python("b", "echo.py", inputs={"value": 1}, activate=when("${odd.output}", 1))]
    result = run(project.flow(nodes, files={**FILES, "odd.py": odd}))
    assert result.error is not None
    assert (result.error.type, result.error.node) == ("RuntimeError", "b")
