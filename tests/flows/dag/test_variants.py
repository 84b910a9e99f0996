"""Variants: which one a run takes, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from tests.flows.building import Project, python, run, tool

from pilothouse.core.errors import FlowError, UserError
from pilothouse.flows.dag.variants import chosen, parse_variant
from pilothouse.flows.loader import load_flow
from pilothouse.flows.runner import FlowRunner

FILES = {
    "plus.py": tool("plus", "value, by=1", "return value + by"),
    "times.py": tool("times", "value", "return value * 10"),
}


def body(path: str, **inputs: Any) -> dict[str, Any]:
    return {"node": {"type": "python", "source": {"path": path}, "inputs": {"value": "${inputs.x}", **inputs}}}


def flow(project: Project, **variants: Any) -> Any:
    first = {
        "default_variant_id": "one",
        "variants": {"one": body("plus.py"), "two": body("plus.py", by=2), "ten": body("times.py")},
    }
    return project.flow(
        [{"name": "first", "use_variants": True}, python("second", "plus.py", inputs={"value": "${first.output}"})],
        inputs={"x": "int"},
        outputs={"o": "${second.output}"},
        files=FILES,
        node_variants=variants or {"first": first},
    )


@pytest.mark.parametrize(
    ("choice", "expected"), [({}, 7), ({"first": "one"}, 7), ({"first": "two"}, 8), ({"first": "ten"}, 51)]
)
def test_the_chosen_variant_runs_and_others_are_at_default(
    project: Project, choice: dict[str, str], expected: int
) -> None:
    assert run(flow(project), {"x": 5}, variants=choice).outputs == {"o": expected}


def test_any_type_of_node_may_have_variants(project: Project) -> None:
    prompt = {"node": {"type": "prompt", "source": {"path": "say.jinja2"}, "inputs": {"value": "${inputs.x}"}}}
    variants = {"default_variant_id": "text", "variants": {"text": prompt, "number": body("plus.py")}}
    path = project.flow(
        [{"name": "first", "use_variants": True}],
        inputs={"x": "int"},
        outputs={"o": "${first.output}"},
        files={**FILES, "say.jinja2": "x is {{ value }}"},
        node_variants={"first": variants},
    )
    assert run(path, {"x": 5}).outputs == {"o": "x is 5"}
    assert run(path, {"x": 5}, variants={"first": "number"}).outputs == {"o": 6}


def test_the_flow_knows_what_is_in_use(project: Project) -> None:
    loaded = load_flow(flow(project))
    assert loaded.variants == {"first": "one"}
    assert loaded.nodes[0].variant == "one"
    picked = chosen(loaded, {"first": "ten"})
    assert picked.variants == {"first": "ten"}
    assert picked.node("first") != loaded.node("first")
    assert chosen(picked, {}).node("first") == picked.node("first")


@pytest.mark.parametrize(
    ("choice", "message", "hint"),
    [
        ({"frist": "one"}, "no node 'frist'", "did you mean 'first'?"),
        ({"first": "tow"}, "no variant 'tow'", "did you mean 'two'?"),
        ({"second": "one"}, "does not use variants", "use_variants: true"),
    ],
)
def test_an_unknown_choice_names_the_nearest(project: Project, choice: dict[str, str], message: str, hint: str) -> None:
    loaded = load_flow(flow(project))
    with pytest.raises(FlowError, match=message) as caught:
        FlowRunner(loaded, variants=choice)
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${a.b}", ("a", "b")),
        ("'${a.b}'", ("a", "b")),
        ('"${a.b.c}"', ("a", "b.c")),
        (" ${my node.v 1} ", ("my node", "v 1")),
    ],
)
def test_the_command_line_form(text: str, expected: tuple[str, str]) -> None:
    assert parse_variant(text) == expected


@pytest.mark.parametrize("text", ["a.b", "${a}", "${.b}", "${a.b", "", "$a.b"])
def test_another_form_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="does not name a variant"):
        parse_variant(text)


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        ({"first": {"variants": {"one": body("plus.py")}}}, "is missing"),
        ({"first": {"default_variant_id": "onne", "variants": {"one": body("plus.py")}}}, "did you mean 'one'"),
        ({"first": {"default_variant_id": "one", "variants": {}}}, "has no variants"),
        ({"first": {"default_variant_id": "one", "variants": {"one": {}}}}, "has no node"),
        ({"first": {"default_variant_id": "one", "variants": {"one": body("nowhere.py")}}}, "does not exist"),
        (
            {"frist": {"default_variant_id": "one", "variants": {"one": body("plus.py")}}},
            "node_variants has none for it",
        ),
        ({"first": {"default": "one", "variants": {"one": body("plus.py")}}}, "unknown key 'default'"),
    ],
)
def test_broken_variants_are_refused_at_load(project: Project, variants: dict[str, Any], message: str) -> None:
    path = flow(project, **variants)
    with pytest.raises(FlowError, match=message):
        load_flow(path)


def test_a_variant_that_is_not_the_default_is_checked_at_load_too(project: Project) -> None:
    bad = body("plus.py", value="${nothing.output}")
    path = flow(project, first={"default_variant_id": "one", "variants": {"one": body("plus.py"), "bad": bad}})
    with pytest.raises(FlowError, match="names a node that does not exist"):
        load_flow(path)


def test_variants_of_a_node_that_does_not_exist_are_refused(project: Project) -> None:
    one = {"default_variant_id": "one", "variants": {"one": body("plus.py")}}
    path = flow(project, first=one, firsst=one)
    with pytest.raises(FlowError, match="'firsst', which does not exist"):
        load_flow(path)


def test_variants_that_the_node_does_not_use_are_noted(project: Project) -> None:
    one = {"default_variant_id": "one", "variants": {"one": body("plus.py")}}
    path = flow(project, first=one, second=one)
    assert any("does not say `use_variants: true`" in note for note in load_flow(path).notes)


def test_keys_beside_use_variants_are_noted_as_without_effect(project: Project) -> None:
    one = {"default_variant_id": "one", "variants": {"one": body("plus.py")}}
    nodes = [{"name": "first", "use_variants": True, "activate": {"when": "${inputs.x}", "is": 1}}]
    path = project.flow(nodes, inputs={"x": "int"}, files=FILES, node_variants={"first": one})
    assert any("'activate'" in note and "variant" in note for note in load_flow(path).notes)


def test_a_choice_that_closes_a_cycle_is_refused(project: Project) -> None:
    back = {"node": {"type": "python", "source": {"path": "plus.py"}, "inputs": {"value": "${second.output}"}}}
    path = flow(project, first={"default_variant_id": "one", "variants": {"one": body("plus.py"), "back": back}})
    loaded = load_flow(path)
    with pytest.raises(FlowError, match="first -> second -> first"):
        chosen(loaded, {"first": "back"})
