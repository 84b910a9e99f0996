"""References: which strings are ones, what they lead to, and which cannot be read."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pilothouse.core.errors import FlowError
from pilothouse.flows.dag.references import follow, looks_mistaken, parse_value
from pilothouse.flows.types import LiteralValue, Reference, Step


def reference(text: str) -> Reference:
    value = parse_value(text, "flow.dag.yaml:3")
    assert isinstance(value, Reference)
    return value


@pytest.mark.parametrize(
    ("text", "source", "name", "path"),
    [
        ("${inputs.x}", "input", "x", ()),
        ("${flow.x}", "input", "x", ()),
        ("${inputs.a.b}", "input", "a.b", ()),
        ("${node}", "node", "node", ()),
        ("${node.output}", "node", "node", ()),
        ("${my node.output}", "node", "my node", ()),
        ("${node.output.a}", "node", "node", (Step("word", "a"),)),
        ("${node.output.a.b_2}", "node", "node", (Step("word", "a"), Step("word", "b_2"))),
        ("${node.output['k']}", "node", "node", (Step("key", "k"),)),
        ("${node.output['a-b c.d']}", "node", "node", (Step("key", "a-b c.d"),)),
        ("${node.output[0]}", "node", "node", (Step("index", 0),)),
        (
            "${node.output.a[12]['k'].b}",
            "node",
            "node",
            (*[Step("word", "a"), Step("index", 12)], *[Step("key", "k"), Step("word", "b")]),
        ),
        ("${node.output.größe}", "node", "node", (Step("word", "größe"),)),
    ],
)
def test_a_reference_is_read(text: str, source: str, name: str, path: tuple[Step, ...]) -> None:
    found = reference(text)
    assert (found.source, found.name, found.path, found.text) == (source, name, path, text)
    assert found.where == "flow.dag.yaml:3"


@pytest.mark.parametrize(
    "value",
    ["", "text", "$", "${", "${inputs.x", "inputs.x}", "see ${inputs.x}", "${inputs.x} and", " ${inputs.x}", "$inputs.x", 3, 2.5, True, None, ["${inputs.x}"], {"a": "${inputs.x}"}],
)  # fmt: skip
def test_only_a_whole_string_is_a_reference(value: Any) -> None:
    assert parse_value(value, "") == LiteralValue(value=value)


@pytest.mark.parametrize("text", ["${node.metrics}", "${node.outputs}", "${node.}", "${node.output_2.a}"])
def test_another_section_than_output_is_refused(text: str) -> None:
    with pytest.raises(FlowError, match="section") as caught:
        parse_value(text, "flow.dag.yaml:7")
    assert caught.value.where == "flow.dag.yaml:7"


@pytest.mark.parametrize(
    "text",
    [
        "${node.output.my-key}",
        "${node.output.a b}",
        "${node.output[x]}",
        "${node.output[-1]}",
        "${node.output..a}",
        "${node.output['a}",
    ],
)
def test_a_path_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(FlowError, match="cannot be read") as caught:
        parse_value(text, "f:1")
    assert "['my-key']" in str(caught.value)


def test_blanks_inside_the_braces_are_refused() -> None:
    with pytest.raises(FlowError, match="blanks") as caught:
        parse_value("${ inputs.x }", "f:1")
    assert "${inputs.x}" in str(caught.value)


class Thing:
    part = SimpleNamespace(size=4)

    @property
    def broken(self) -> int:
        raise ValueError("no")


@pytest.mark.parametrize(
    ("value", "text", "expected"),
    [
        ({"a": 1}, "${n.output.a}", 1),
        ({"a": {"b": [5, 6]}}, "${n.output.a.b[1]}", 6),
        ({"a b": 1}, "${n.output['a b']}", 1),
        ([{"x": 7}], "${n.output[0].x}", 7),
        ({0: "zero"}, "${n.output[0]}", "zero"),
        (Thing(), "${n.output.part.size}", 4),
        ("text", "${n.output[1]}", "e"),
        ({"keys": 3}, "${n.output.keys}", 3),
    ],
)
def test_a_path_is_followed(value: Any, text: str, expected: Any) -> None:
    assert follow(value, reference(text)) == expected


@pytest.mark.parametrize(
    ("value", "text", "hint"),
    [
        ({"total": 1}, "${n.output.totl}", "did you mean 'total'?"),
        ([1, 2], "${n.output[5]}", "a list of 2 items"),
        (3, "${n.output.x}", "a value of type int"),
        (None, "${n.output['x']}", "NoneType"),
        (Thing(), "${n.output.broken}", "Thing"),
    ],
)
def test_a_path_that_leads_nowhere_says_what_was_there(value: Any, text: str, hint: str) -> None:
    with pytest.raises(FlowError) as caught:
        follow(value, reference(text))
    assert hint in str(caught.value)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("value", "is_mistaken"), [("see ${inputs.x}", True), ("${flow.x", True), ("a $5 note", False), (5, False)]
)
def test_text_that_was_likely_meant_as_a_reference_is_noticed(value: Any, is_mistaken: bool) -> None:
    assert looks_mistaken(value) is is_mistaken
