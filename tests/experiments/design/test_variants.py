"""Which arms an experiment has, and what they are called."""

from __future__ import annotations

import pytest

from pilothouse.core.errors import ConfigError
from pilothouse.experiments.design.variants import expand, find

THREE = {"draft": ("a", "b", "c"), "check": ("d", "e"), "polish": ("f", "g", "h", "i")}
ONE = {"classify": ("zero", "few", "strict")}
SAME_IDS = {"draft": ("v0", "v1"), "polish": ("v0", "v1")}


def where(*keys: str | int) -> str:
    return f"experiment.yaml:{'.'.join(map(str, keys))}"


def names(space: dict[str, tuple[str, ...]], wanted: object = "all", design: str = "grid") -> list[str]:
    return [arm.name for arm in expand(space, wanted, design, where)]  # type: ignore[arg-type]


def test_three_nodes_of_3_2_and_4_variants_give_24_arms_as_a_grid_and_7_one_factor_at_a_time() -> None:
    grid = expand(THREE, "all", "grid", where)
    one_factor = expand(THREE, "all", "one-factor", where)
    assert (len(grid), len(one_factor)) == (24, 7)
    assert len({tuple(arm.choices.items()) for arm in grid}) == 24
    assert grid[0].choices == one_factor[0].choices == {"draft": "a", "check": "d", "polish": "f"}
    changed = [sum(arm.choices[node] != ids[0] for node, ids in THREE.items()) for arm in one_factor]
    assert changed == [0, 1, 1, 1, 1, 1, 1]


def test_one_node_gives_its_variants_by_their_own_names_in_either_design() -> None:
    assert names(ONE) == names(ONE, design="one-factor") == ["zero", "few", "strict"]


def test_names_are_short_where_that_is_clear_and_qualified_where_it_is_not() -> None:
    assert names(THREE)[:2] == ["a+d+f", "a+d+g"]
    assert names(THREE, design="one-factor") == ["defaults", "b", "c", "e", "g", "h", "i"]
    assert names(SAME_IDS)[1] == "draft.v0+polish.v1"
    assert names(SAME_IDS, design="one-factor") == ["defaults", "draft.v1", "polish.v1"]


def test_a_list_keeps_other_nodes_at_their_default() -> None:
    arms = expand(THREE, ["${draft.b}", "polish.g", "${polish.h}"], "grid", where)
    assert [arm.name for arm in arms] == ["g", "h"]
    assert all(arm.choices["check"] == "d" and arm.choices["draft"] == "b" for arm in arms)
    assert names(THREE, ["${draft.b}"], "one-factor") == ["a", "b"]


def test_a_flow_without_variants_has_one_arm() -> None:
    assert [arm.choices for arm in expand({}, "all", "grid", where)] == [{}]
    assert names({}) == names({}, design="one-factor") == ["default"]


def test_named_arms_are_taken_as_they_stand() -> None:
    arms = expand(THREE, {"short": {"draft": "b"}, "long": {"draft": "c", "polish": "i"}}, "grid", where)
    assert [arm.name for arm in arms] == ["short", "long"]
    assert arms[0].choices == {"draft": "b", "check": "d", "polish": "f"}


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (["${drft.b}"], ["experiment.yaml:variants.0", "no variants of a node 'drft'", "did you mean 'draft'"]),
        (["${draft.z}"], ["no variant 'z'", "known: a, b, c"]),
        (["draft"], ["'draft' names no variant", "${node.variant}"]),
        ("some", ["'some' is not a choice of variants", "all, a list"]),
        ({}, ["no variant is named"]),
        ({"x": {"draft": "b"}, "y": {"draft": "b", "check": "d"}}, ["'y' is the same variant as 'x'", "variants.y"]),
        ({"x": {"draft": "q"}}, ["experiment.yaml:variants.x.draft", "no variant 'q'"]),
    ],
)
def test_a_mistake_is_told_with_its_place_and_cure(wanted: object, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        expand(THREE, wanted, "grid", where)  # type: ignore[arg-type]
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_grid_that_explodes_is_refused() -> None:
    space = {f"n{index}": tuple("abcde") for index in range(6)}
    with pytest.raises(ConfigError, match="15,625 combinations"):
        expand(space, "all", "grid", where)
    assert len(expand(space, "all", "one-factor", where)) == 25


def test_the_baseline_is_found_by_name_or_by_its_choices() -> None:
    grid = expand(THREE, "all", "grid", where)
    assert find(grid, "b+d+f", THREE, "x").choices["draft"] == "b"
    assert find(grid, "${draft.b}", THREE, "x").name == "b+d+f"
    assert find(grid, "draft.c+polish.i", THREE, "x").name == "c+d+i"
    with pytest.raises(ConfigError, match="did you mean 'zero'"):
        find(expand(ONE, "all", "grid", where), "zerro", ONE, "x")
