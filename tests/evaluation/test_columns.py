"""Rows as columns: the same rows, in a few bytes each."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from pilothouse.evaluation.columns import RowsById, ScoredRows
from pilothouse.evaluation.types import LabelPair, Score, ScoredRow
from pilothouse.flows.results import ErrorInfo

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
SCORES = st.builds(
    Score,
    name=st.sampled_from(["a", "b"]),
    state=st.sampled_from(["ok", "abstained", "error"]),
    value=st.one_of(st.none(), st.booleans(), st.sampled_from([0.0, 1.0]), NUMBERS, st.text(max_size=3)),
    evidence=st.one_of(st.none(), st.dictionaries(st.text(max_size=2), st.integers(), max_size=2)),
    error=st.one_of(st.none(), st.just(ErrorInfo(type="E", message="m"))),
    labels=st.one_of(st.none(), st.builds(LabelPair, truth=st.text(max_size=2), prediction=st.none())),
    sums=st.lists(NUMBERS, max_size=3).map(tuple),
)
ROWS = st.lists(
    st.builds(
        ScoredRow,
        id=st.text(max_size=4),
        scores=st.lists(SCORES, max_size=3).map(tuple),
        cluster=st.one_of(st.none(), st.sampled_from(["x", "y"])),
    ),
    max_size=8,
)


def without_evidence(row: ScoredRow) -> ScoredRow:
    return structs.replace(row, scores=tuple(structs.replace(score, evidence=None) for score in row.scores))


def types(row: ScoredRow) -> list[type]:
    return [type(score.value) for score in row.scores]


@given(ROWS)
def test_columns_hold_the_rows_without_their_evidence(rows: list[ScoredRow]) -> None:
    kept, wanted = ScoredRows.of(rows), [without_evidence(row) for row in rows]
    assert list(kept) == wanted
    assert [types(row) for row in kept] == [types(row) for row in rows], "False is not 0.0"
    assert kept[1:3] == tuple(wanted[1:3])
    assert [kept[place - len(rows)] for place in range(len(rows))] == wanted


@given(ROWS, ROWS)
def test_evaluators_stand_beside_one_another(first: list[ScoredRow], second: list[ScoredRow]) -> None:
    second = [structs.replace(row, id=one.id, cluster=one.cluster) for one, row in zip(first, second, strict=False)]
    first = first[: len(second)]
    sides = [ScoredRows.of(first), ScoredRows.of(second)]
    assert sides[0].is_alike(sides[1])
    joined = [
        without_evidence(structs.replace(one, scores=one.scores + two.scores))
        for one, two in zip(first, second, strict=True)
    ]
    assert list(ScoredRows.beside(sides)) == joined


def test_there_is_no_row_beyond_the_last() -> None:
    rows = ScoredRows.of([ScoredRow(id="a", scores=())])
    for place in (1, -2):
        with pytest.raises(IndexError):
            rows[place]


def test_a_row_takes_a_few_bytes() -> None:
    rows = 20_000
    tracemalloc.start()
    try:
        kept = ScoredRows.of(
            ScoredRow(
                id=str(number),
                scores=(Score(name="flag", value=number % 3 == 0, evaluator="e"), Score(name="size", value=number / 7)),
            )
            for number in range(rows)
        )
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(kept) == rows
    assert size / rows < 60


def test_rows_are_found_by_id_in_any_order() -> None:
    rows = [ScoredRow(id=name, scores=()) for name in "abcdef"]
    found = RowsById(ScoredRows.of(rows))
    assert [found[name].id for name in "abcfdbae"] == list("abcfdbae")
    assert list(found) == list("abcdef")
    assert "z" not in found
