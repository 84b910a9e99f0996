"""Columns of the data become slices: by size, at edges, by value."""

from __future__ import annotations

from typing import Any

from pilothouse.datasets.types import Row
from pilothouse.evaluation.slices.cutting import cut
from pilothouse.evaluation.slices.types import Cut, SliceBy


def by(way: SliceBy, **columns: list[Any]) -> Cut:
    rows = [
        Row(id=f"r{i}", number=i, data=dict(zip(columns, values, strict=True)))
        for i, values in enumerate(zip(*columns.values(), strict=True))
    ]
    return cut(rows, [way])[0]


def counts(found: Cut) -> dict[str, int]:
    return {label: list(found.of.values()).count(place) for place, label in enumerate(found.labels)}


def test_numbers_are_cut_into_parts_of_equal_size() -> None:
    found = by(SliceBy(column="n", bins=4), n=list(range(1, 101)))
    assert counts(found) == {"1 to 25": 25, "over 25 to 50": 25, "over 50 to 75": 25, "over 75 to 100": 25}


def test_ties_stay_together_so_that_parts_may_be_fewer() -> None:
    assert counts(by(SliceBy(column="n", bins=4), n=[0] * 60 + [1, 2, 3, 4, 5, 6, 7, 8])) == {
        "0 to 0": 60,
        "over 0 to 8": 8,
    }


def test_edges_belong_to_the_part_below_and_few_numbers_are_values() -> None:
    found = by(SliceBy(column="age", edges=(65, 18)), age=[18, 19, 65, 66, None, float("nan")])
    assert counts(found) == {"up to 18": 1, "over 18 to 65": 2, "over 65": 1, "(none)": 2}
    assert counts(by(SliceBy(column="n"), n=[3, 10, 3])) == {"3": 2, "10": 1}


def test_numbers_may_be_written_as_texts_but_codes_are_values() -> None:
    assert counts(by(SliceBy(column="n", bins=2), n=["1", "2", "-3.5", "1e2", ""])) == {
        "-3.5 to 1": 2,
        "over 1 to 100": 2,
        "(none)": 1,
    }
    assert counts(by(SliceBy(column="n", bins=2), n=["007", "012", "100"])) == {"007": 1, "012": 1, "100": 1}


def test_texts_and_booleans_are_cut_by_value_and_rare_ones_are_other() -> None:
    found = by(SliceBy(column="t"), t=[f"v{i % 30:02}" for i in range(57)] + [True, "", "v00"])
    assert counts(found)["other"] == 59 - 3 - 2 * 19
    assert (len(found.labels), counts(found)["(none)"], found.note) == (22, 1, None)
    assert counts(by(SliceBy(column="t"), t=[True, False, True])) == {"true": 2, "false": 1}


def test_prose_says_that_it_is_no_column_to_slice_by() -> None:
    found = by(SliceBy(column="t"), t=[f"text {i}" for i in range(500)])
    assert found.note == "500 different values: all but 20 are in 'other'"


def test_edges_of_texts_are_not_used_and_it_says_so() -> None:
    found = by(SliceBy(column="t", edges=(1.0,)), t=["a", 2])
    assert "no numbers" in str(found.note)


def test_columns_are_crossed_where_they_occur_together() -> None:
    way = SliceBy(cross=("t", SliceBy(column="n", edges=(5,))))
    found = by(way, t=["a", "a", "b", "b"], n=[1, 9, 1, 2])
    assert (found.by, counts(found)) == ("t x n", {"a, up to 5": 1, "a, over 5": 1, "b, up to 5": 2})


def test_a_column_without_values_is_one_slice() -> None:
    assert counts(by(SliceBy(column="t"), t=[None, None])) == {"(none)": 2}
