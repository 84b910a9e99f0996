"""Mapping of columns onto inputs, and the join of several sources."""

from typing import Any

import pytest

from pilothouse.core.errors import DataError
from pilothouse.datasets.mapping import ColumnMapping, default_mapping, join
from pilothouse.datasets.types import Row

LINE: dict[str, dict[str, Any]] = {
    "data": {"text": "hello", "a.b": "dotted", "a": {"b": "nested", "c": [{"d": 1}]}, "none": None},
    "run.inputs": {"text": "in"},
    "run.outputs": {"label": "spam", "detail": {"score": 0.5}},
}


def applied(value: Any, line: dict[str, dict[str, Any]] = LINE) -> Any:
    return ColumnMapping.parse({"x": value, "always": "${data.text}"}).apply(line)["x"]


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("${data.text}", "hello"),
        ("${run.inputs.text}", "in"),
        ("${run.outputs.label}", "spam"),
        ("${run.outputs.detail.score}", 0.5),
        ("${data.a.b}", "dotted"),  # a column of that name goes before the path
        ("${data.a.c.0.d}", 1),
        ("${data.a}", {"b": "nested", "c": [{"d": 1}]}),
        ("${data.none}", None),
    ],
)
def test_references(reference: str, expected: Any) -> None:
    assert applied(reference) == expected


@pytest.mark.parametrize(
    "value", ["text", "", "a ${data.text}", "${data.text} ", "$data.text", 7, None, ["${data.text}"]]
)
def test_everything_else_is_a_literal(value: Any) -> None:
    assert applied(value) == value


def test_the_shortest_source_comes_first() -> None:
    mapping = ColumnMapping.parse({"x": "${a.b.c}"}, sources=("a", "a.b"))

    assert mapping.apply({"a": {"b.c": 1}, "a.b": {"c": 2}}) == {"x": 1}
    assert mapping.apply({"a": {"other": 1}, "a.b": {"c": 2}}) == {"x": 2}


def test_literals_alone_are_refused() -> None:
    with pytest.raises(DataError, match="every value of the mapping is a literal"):
        ColumnMapping.parse({"a": "x", "b": 1})


def test_a_flow_without_inputs_needs_no_mapping() -> None:
    assert ColumnMapping.parse({}).apply(LINE) == {}


@pytest.mark.parametrize(
    "reference", ["${dta.text}", "${run.output.label}", "${inputs.x}", "${data}", "${data.}", "${text}"]
)
def test_a_source_that_does_not_exist(reference: str) -> None:
    with pytest.raises(DataError, match="names no source") as caught:
        ColumnMapping.parse({"question": reference})
    assert "'question'" in caught.value.message
    assert reference in caught.value.message
    assert "${run.outputs.column}" in str(caught.value.expected)


def test_the_nearest_source_is_named() -> None:
    with pytest.raises(DataError, match=r"did you mean 'run\.outputs'"):
        ColumnMapping.parse({"x": "${run.output.label}"})


def test_a_missing_column_names_row_and_nearest_column() -> None:
    mapping = ColumnMapping.parse({"question": "${data.txt}"})

    with pytest.raises(DataError) as caught:
        mapping.apply(LINE, where="row 17")
    assert caught.value.where == "row 17"
    assert "'question'" in caught.value.message
    assert "'txt'" in caught.value.message
    assert caught.value.expected == "did you mean 'text'?"


def test_a_missing_step_inside_a_value() -> None:
    with pytest.raises(DataError, match=r"'a\.c\.9'"):
        applied("${data.a.c.9}")


def test_a_default_applies_where_the_key_is_absent_but_not_where_it_is_null() -> None:
    mapping = ColumnMapping.parse({"x": "${data.x}", "y": "${data.y}"})

    assert mapping.apply({"data": {"x": 1, "y": None}}, optional={"y"}) == {"x": 1, "y": None}
    assert mapping.apply({"data": {"x": 1}}, optional={"y"}) == {"x": 1}
    with pytest.raises(DataError):
        mapping.apply({"data": {"y": 1}}, optional={"y"})


def test_a_line_without_the_source() -> None:
    with pytest.raises(DataError, match=r"no run\.outputs"):
        ColumnMapping.parse({"x": "${run.outputs.label}"}).apply({"data": {"label": 1}})


def test_an_input_with_a_default_is_never_mapped_by_itself() -> None:
    assert default_mapping({"text": False, "tone": True}) == {"text": "${data.text}"}


def rows(*ids: str) -> list[Row]:
    return [Row(id=row_id, number=number, data={"v": f"{row_id}!"}) for number, row_id in enumerate(ids)]


def test_join_is_by_id_and_says_what_it_drops() -> None:
    joined = join({"data": rows("a", "b", "c"), "run.outputs": rows("c", "d", "a")})

    assert [(row.id, row.number) for row in joined.rows] == [("a", 0), ("c", 2)]
    assert joined.rows[1].line == {"data": {"v": "c!"}, "run.outputs": {"v": "c!"}}
    assert joined.dropped == {"data": ("b",), "run.outputs": ("d",)}


def test_a_join_of_nothing() -> None:
    assert join({}).rows == ()
