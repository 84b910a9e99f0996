"""Tool calls and trajectories."""

from __future__ import annotations

from itertools import combinations, permutations
from operator import eq
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.evaluation.metrics.tool_calls import Arguments, Call, agree, parse_call, trajectory


def call(name: str, **arguments: Any) -> Call:
    return Call(name=name, arguments=arguments)


A, B, C = call("a", x=1), call("b"), call("c")


@pytest.mark.parametrize(
    ("made", "expected", "exact", "in_order", "any_order", "no_extra"),
    [
        ([A, B], [A, B], True, True, True, True),
        ([B, A], [A, B], False, False, True, True),
        ([A, C, B], [A, B], False, True, True, False),
        ([A], [A, B], False, False, False, True),
        ([A, A], [A], False, True, True, False),
        ([], [], True, True, True, True),
        ([A], [], False, True, True, False),
    ],
)
def test_shapes(
    made: list[Call], expected: list[Call], exact: bool, in_order: bool, any_order: bool, no_extra: bool
) -> None:
    found = trajectory(made, expected)
    assert (found.exact, found.in_order, found.any_order, found.no_extra) == (exact, in_order, any_order, no_extra)


def test_ratios() -> None:
    found = trajectory([A, C, call("b", y=2)], [A, B])
    assert (found.precision, found.recall, found.f1, found.arguments) == (1 / 3, 1 / 2, 2 / 5, 1 / 2)
    nothing = trajectory([], [])
    assert (nothing.precision, nothing.recall, nothing.f1, nothing.arguments) == (None, None, 1.0, None)


def test_arguments_that_may_contain_are_matched_as_well_as_can_be() -> None:
    """The greedy choice would give the only partner of the second call to the first."""
    made = [call("t", a=1, b=2), call("t", a=1)]
    assert trajectory(made, [call("t", a=1), call("t", b=2)], "contain").any_order


calls = st.lists(
    st.builds(call, st.sampled_from("ab"), x=st.sampled_from([1, 1.0, True, "1", [1], {"k": 1}])), max_size=4
)


@given(calls, calls, st.sampled_from(["equal", "ignore"]))
def test_the_matching_is_the_largest(made: list[Call], expected: list[Call], how: Arguments) -> None:
    best = max(
        sum(agree(m, e, how) for m, e in zip(order, expected, strict=False))
        for order in permutations([*made, *[call("none")] * max(0, len(expected) - len(made))])
    )
    found = trajectory(made, expected, how)
    assert found.f1 == pytest.approx(2 * best / (len(made) + len(expected)) if made or expected else 1.0)


def test_json_values_are_not_pythons() -> None:
    assert not agree(call("a", x=1), call("a", x=True), "equal")
    assert agree(call("a", x=1, y=[{"k": 2}]), call("a", y=[{"k": 2.0}], x=1.0), "equal")


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ({"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}, call("f", x=1)),
        ({"name": "f", "arguments": {"x": 1}}, call("f", x=1)),
        ({"name": "f", "arguments": ""}, call("f")),
        ("f", call("f")),
        ("", None),
        ({"name": "f", "arguments": "{"}, None),
        ({"name": "f", "arguments": "[1]"}, None),
        ({"name": 1}, None),
        (3, None),
    ],
)
def test_forms_of_a_call(given_: Any, expected: Call | None) -> None:
    assert parse_call(given_) == expected


def test_numbers_may_differ_within_a_tolerance() -> None:
    near, far = call("a", x=1.0004, y=[{"k": 100}]), call("a", x=1.01, y=[{"k": 100}])
    wanted = call("a", x=1, y=[{"k": 100.05}])
    assert agree(near, wanted, "equal", 0.001)
    assert agree(near, wanted, "contain", 0.001)
    assert not agree(near, wanted, "equal")
    assert not agree(far, wanted, "equal", 0.001)
    assert not agree(call("a", x=True), call("a", x=1), "equal", 0.5)
    found = trajectory([near, far], [wanted, wanted], tolerance=0.001)
    assert (found.recall, found.arguments) == (0.5, 0.5)


@given(calls, calls, st.sampled_from(["equal", "contain", "ignore"]))
def test_no_tolerance_changes_what_is_the_same_already(made: list[Call], expected: list[Call], how: Arguments) -> None:
    strict, loose = trajectory(made, expected, how), trajectory(made, expected, how, 0.5)
    assert (strict.exact, strict.in_order, strict.any_order) <= (loose.exact, loose.in_order, loose.any_order)
    assert strict.f1 <= loose.f1


def test_every_figure_is_that_of_trying_all_assignments() -> None:
    random = Random(4)
    for _ in range(320):
        made, expected = (
            [call(random.choice("abc"), x=random.choice([1, 2])) for _ in range(random.randint(0, 4))] for _ in range(2)
        )
        found = trajectory(made, expected)
        padded = [*made, *[call("none")] * max(0, len(expected) - len(made))]
        best = max(sum(map(eq, order, expected)) for order in permutations(padded))
        assert found.exact == (made == expected)
        assert found.in_order == any(list(part) == expected for part in combinations(made, len(expected)))
        assert (found.any_order, found.no_extra) == (best == len(expected), best == len(made))
        assert found.precision == (pytest.approx(best / len(made), abs=1e-9) if made else None)
        assert found.recall == (pytest.approx(best / len(expected), abs=1e-9) if expected else None)
