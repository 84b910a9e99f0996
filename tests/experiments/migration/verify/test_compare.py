"""Two values side by side: where they differ, and what the rules let pass."""

from __future__ import annotations

from typing import Any

import pytest

from pilothouse.experiments.migration.verify.compare import ABSENT, differences
from pilothouse.experiments.migration.verify.types import Rules

NAN = float("nan")


def found(there: Any, here: Any, **rules: Any) -> list[tuple[str, bool]]:
    return [(item.path, item.alike) for item in differences(there, here, Rules(**rules))]


@pytest.mark.parametrize(
    "value", [None, True, 1, "text", [1, [2]], {"a": {"b": None}}, NAN, [NAN, float("inf")], {"": {}}, 10**400]
)
def test_a_value_equals_itself(value: Any) -> None:
    assert found(value, value) == []


def test_whole_numbers_equal_their_floats_but_not_booleans() -> None:
    assert found(1, 1.0) == []
    assert found(1, True) == [("$", False)]
    assert found(0.0, False) == [("$", False)]
    assert found("1", 1) == [("$", False)]
    assert found(NAN, None) == [("$", False)]


def test_the_place_is_named() -> None:
    there = {"a": 1, "b": [{"c": 1}, 2], "gone": 0}
    here = {"a": 1, "b": [{"c": 2}], "new": 0}
    assert [item.path for item in differences(there, here, Rules())] == ["$.b[0].c", "$.b[1]", "$.gone", "$.new"]
    assert [item.here for item in differences(there, here, Rules())][1:3] == [ABSENT, ABSENT]


def test_numbers_within_the_tolerance_are_alike() -> None:
    assert found(0.1 + 0.2, 0.3) == [("$", True)]
    assert found(100.0, 100.4) == [("$", False)]
    assert found(100.0, 100.4, tolerance=0.01) == [("$", True)]
    assert found(1.0, NAN, tolerance=1.0) == [("$", False)]


def test_texts_may_differ_in_space_or_in_some_words() -> None:
    assert found("a  b\n", "a b", ignore_space=True) == [("$", True)]
    assert found("a  b\n", "a b") == [("$", False)]
    assert found("ab", "a b", ignore_space=True) == [("$", False)]
    assert found("one two three four", "one two three five", similar=0.75) == [("$", True)]
    assert found("one two three four", "one two three five", similar=0.76) == [("$", False)]


def test_long_texts_are_shown_around_what_differs() -> None:
    there, here = "x" * 500 + "left" + "y" * 500, "x" * 500 + "right" + "y" * 500
    shown = next(differences(there, here, Rules()))
    assert "left" in shown.there
    assert "right" in shown.here
    assert max(len(shown.there), len(shown.here)) < 80


def test_images_are_told_by_their_size() -> None:
    shown = next(differences({"data:image/png;base64": "ZG90"}, None, Rules()))
    assert shown.there == "an image of 3 bytes"
