"""Order and cycles."""

from __future__ import annotations

from itertools import permutations

import pytest
from tests.flows.building import Project, python, run, tool

from pilothouse.core.errors import FlowError
from pilothouse.flows.dag.graph import dependencies, ordered
from pilothouse.flows.dag.references import parse_value
from pilothouse.flows.drawing import draw, levels
from pilothouse.flows.loader import load_flow
from pilothouse.flows.types import Activate, Node, ToolSource


def node(name: str, *reads: str, when: str | None = None) -> Node:
    return Node(
        name=name,
        type="python",
        source=ToolSource(path="x.py"),
        inputs={f"i{number}": parse_value(text, "") for number, text in enumerate(reads)},
        activate=Activate(when=parse_value(when, ""), expected=1) if when else None,
        where=f"flow.dag.yaml:{name}",
    )


@pytest.mark.parametrize("order", list(permutations("abcd")))
def test_the_order_in_the_file_does_not_matter(order: tuple[str, ...]) -> None:
    nodes = {
        "a": node("a"),
        "b": node("b", "${a}"),
        "c": node("c", "${a.output}"),
        "d": node("d", "${b}", "${c.output.x}"),
    }
    names = [item.name for item in ordered([nodes[name] for name in order])]
    assert names[0] == "a"
    assert names[-1] == "d"


def test_independent_nodes_keep_the_order_of_the_file() -> None:
    assert [item.name for item in ordered([node("z"), node("a"), node("m", "${z}")])] == ["z", "a", "m"]


def test_an_activate_condition_is_a_dependency() -> None:
    assert dependencies(node("a", "${b}", "${b.output.x}", when="${c.output}")) == ("b", "c")
    assert [item.name for item in ordered([node("a", when="${c}"), node("c")])] == ["c", "a"]


@pytest.mark.parametrize(
    ("nodes", "path"),
    [
        ([node("a", "${a}")], "a -> a"),
        ([node("a", "${b}"), node("b", "${a}")], "a -> b -> a"),
        (
            [node("s"), node("a", "${s}", "${c}"), node("b", "${a}"), node("c", "${b}"), node("t", "${c}")],
            "a -> c -> b -> a",
        ),
        ([node("a", when="${b}"), node("b", "${a}")], "a -> b -> a"),
    ],
)
def test_a_cycle_is_shown_as_a_path(nodes: list[Node], path: str) -> None:
    with pytest.raises(FlowError) as caught:
        ordered(nodes)
    assert path in caught.value.message
    assert caught.value.where == "flow.dag.yaml:a"


def test_a_cyclic_flow_is_refused_at_load(project: Project) -> None:
    files = {"echo.py": tool("echo", "value", "return value")}
    nodes = [
        python("a", "echo.py", inputs={"value": "${b.output}"}),
        python("b", "echo.py", inputs={"value": "${a.output}"}),
    ]
    project.flow(nodes, files=files)
    with pytest.raises(FlowError, match="a -> b -> a"):
        load_flow(project.folder)


def test_a_flow_written_backwards_runs(project: Project) -> None:
    files = {"add.py": tool("add", "value", "return value + 1")}
    nodes = [
        python(f"n{number}", "add.py", inputs={"value": f"${{n{number - 1}.output}}"}) for number in range(9, 0, -1)
    ]
    nodes.append(python("n0", "add.py", inputs={"value": "${inputs.x}"}))
    result = run(project.flow(nodes, inputs={"x": "int"}, outputs={"o": "${n9.output}"}, files=files), {"x": 0})
    assert result.outputs == {"o": 10}
    assert [item.node for item in result.nodes] == [f"n{number}" for number in range(10)]


def test_the_drawing_shows_levels_variants_and_conditions(project: Project) -> None:
    files = {"echo.py": tool("echo", "value", "return value")}
    nodes = [
        python("left", "echo.py", inputs={"value": "${inputs.x}"}),
        python("right", "echo.py", inputs={"value": 1}),
        python("join", "echo.py", inputs={"value": "${left.output}"}, activate={"when": "${right.output}", "is": 1}),
        python("count", "echo.py", inputs={"value": "${left.output}"}, aggregation=True),
    ]
    flow = load_flow(project.flow(nodes, inputs={"x": "int"}, files=files))
    assert [[item.name for item in level] for level in levels(flow)] == [["left", "right"], ["join"], ["count"]]
    drawn = draw(flow)
    assert drawn.index("left") < drawn.index("join") < drawn.index("count")
    assert "if ${right.output} is 1" in drawn
    assert "python · aggregation" in drawn
    assert len(draw(flow, 12).splitlines()[0]) < len(drawn.splitlines()[0])
