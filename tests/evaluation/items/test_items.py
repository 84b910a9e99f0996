"""Single rows: what they decide, which are suspect, where evaluators contradict."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from pilothouse.evaluation.items.analysis import item_report
from pilothouse.evaluation.items.types import ItemReport
from pilothouse.evaluation.types import Procedure, Score, ScoredRow

from ..rows import ACCURACY, MACRO_F1, MEAN, RATE, labelled, rights, scored

QUICK = Procedure(resamples=300)


def report(metrics: list[object], most: int = 10, **runs: list[ScoredRow]) -> ItemReport:
    found = item_report(metrics, runs, next(iter(runs)), QUICK, most=most)  # type: ignore[arg-type]
    assert found is not None
    return found


def test_rows_are_counted_by_how_many_arms_get_them_right() -> None:
    found = report([RATE], a=rights("11100"), b=rights("11010"), c=rights("10010"))
    assert (found.items, found.levels, found.all_right, found.all_wrong) == (5, (1, 1, 2, 1), 1, 1)
    assert (found.informative, [item.id for item in found.suspects]) == (3, ["r0004"])


def test_the_rows_that_decide_and_what_the_difference_would_lose_without_them() -> None:
    found = report([RATE], a=rights("1110000000"), b=rights("0111110000"))
    item = found.deciding[0]
    assert (item.items, item.differing, item.half) == (10, 4, 2)
    assert [row.id for row in item.better] == ["r0003", "r0004", "r0005"]
    assert [row.id for row in item.worse] == ["r0000"]
    without = (3 - 0) / 9
    assert (3 - 1) / 10 - item.worse[0].change == pytest.approx(without)


def test_few_rows_may_hold_half_of_a_difference_of_means() -> None:
    values = [0.0] * 20
    found = report([MEAN], a=scored("value", values), b=scored("value", [10.0, *[0.5] * 19]))
    item = found.deciding[0]
    assert (item.half, item.better[0].id, found.levels, found.all_right) == (1, "r0000", (), None)
    assert report([MEAN], a=scored("value", values), b=scored("value", values)).deciding[0].half == 0


def test_lower_is_better_turns_the_sides() -> None:
    better = msgspec.structs.replace(MEAN, better="lower")
    found = report([better], a=scored("value", [1.0, 1.0]), b=scored("value", [0.0, 2.0])).deciding[0]
    assert ([row.id for row in found.better], [row.id for row in found.worse]) == (["r0000"], ["r0001"])


def test_labels_that_all_arms_contradict_in_the_same_way_come_first() -> None:
    truth = ["x", "x", "y", "y"]
    found = report(
        [ACCURACY], a=labelled(truth, ["y", "z", "x", "y"]), b=labelled(truth, ["z", "y", "x", "y"]),
    )  # fmt: skip
    assert [(item.id, item.truth, item.answer) for item in found.suspects] == [
        ("r0002", "y", "x"), ("r0000", "x", None), ("r0001", "x", None),
    ]  # fmt: skip


def test_rows_that_better_arms_fail_have_a_negative_correlation_from_five_arms_on() -> None:
    # Arm k gets the first 2k + 2 of ten rows right; row 10 is right for the three worst only.
    runs = {f"a{k}": rights("1" * (2 * k + 2) + "0" * (8 - 2 * k) + ("1" if k < 3 else "0")) for k in range(5)}
    found = report([RATE], **runs)
    table = np.array([[float(letter) for letter in ("1" * (2 * k + 2) + "0" * (8 - 2 * k))] for k in range(5)])
    expected = np.corrcoef([1, 1, 1, 0, 0], table.mean(axis=1))[0, 1]
    assert found.discriminations[0].id == "r0010"
    assert found.discriminations[0].correlation == pytest.approx(expected)
    assert found.negative == 1
    few = report([RATE], **dict(list(runs.items())[:4]))
    assert (few.discriminations, few.negative) == ((), None)


def test_repeats_are_one_item() -> None:
    def twice(first: str, second: str) -> list[ScoredRow]:
        return [
            ScoredRow(id=f"{row.id}#{k}", scores=row.scores, cluster=row.id)
            for k, text in enumerate((first, second))
            for row in rights(text)
        ]

    runs = {"a": twice("110", "100"), "b": twice("111", "110")}
    found = item_report([RATE], runs, "a", QUICK, line_of=lambda row: row.cluster or row.id)
    assert found is not None
    assert (found.items, found.all_right, found.all_wrong, found.informative) == (3, 1, 0, 2)
    assert found.deciding[0].better[0].candidate in (1.0, 0.5)


def test_rows_without_a_value_in_some_arm_are_counted_and_left_out() -> None:
    found = report([RATE], a=rights("11A"), b=rights("10E"))
    assert (found.items, found.unmeasured) == (2, 0)
    found = report([RATE], a=rights("111"), b=rights("10E"))
    assert (found.items, found.unmeasured) == (2, 1)
    assert item_report([RATE], {"a": rights("AA")}, "a", QUICK) is None
    assert item_report([MACRO_F1], {"a": labelled(["x"], ["x"])}, "a", QUICK) is None


def judged(first: np.ndarray, second: np.ndarray) -> list[ScoredRow]:
    return [
        ScoredRow(
            id=f"r{i}",
            scores=(
                Score(name="right", evaluator="right", value=bool(a)),
                Score(name="value", evaluator="value", value=b.item()),
            ),
        )
        for i, (a, b) in enumerate(zip(first, second, strict=True))
    ]


def test_two_yes_or_no_evaluators_have_a_kappa_with_an_interval() -> None:
    rng = np.random.default_rng(1)
    first = rng.random(150) < 0.6
    second = np.where(rng.random(150) < 0.8, first, ~first)
    other = msgspec.structs.replace(RATE, name="value", evaluator="value", score="value")
    pair = report([RATE, other], a=judged(first, second)).pairs[0]
    assert (pair.measure, pair.n, pair.items) == ("kappa", 150, 150)
    assert pair.value == pytest.approx(cohen_kappa_score(first, second))
    assert pair.interval is not None
    assert pair.interval.low < float(pair.value or 0.0) < pair.interval.high
    assert all(item.first != item.second for item in pair.contradictions)


@pytest.mark.parametrize("n", [300, 2500])
def test_numbers_are_correlated_in_the_direction_of_what_is_good(n: int) -> None:
    rng = np.random.default_rng(2)
    first = rng.random(n) < 0.6
    second = rng.normal(size=n) - first * 2.0
    lower = msgspec.structs.replace(MEAN, better="lower")
    pair = report([RATE, lower], a=judged(first, second)).pairs[0]
    expected = np.corrcoef(first, -second)[0, 1]
    assert pair.value == pytest.approx(expected)
    assert pair.interval is not None
    assert pair.interval.low < expected < pair.interval.high
    assert pair.interval.high - pair.interval.low == pytest.approx(2 * 1.96 * (1 - expected**2) / n**0.5, rel=0.3)


def test_an_evaluator_that_never_varies_and_one_that_measures_time() -> None:
    rows = judged(np.ones(20), np.arange(20.0))
    assert report([RATE, MEAN], a=rows).pairs[0].value is None
    timed = msgspec.structs.replace(MEAN, unit="s")
    assert report([RATE, timed], a=rows).pairs == ()


def test_lists_are_short_however_many_rows_there_are() -> None:
    found = report([RATE], most=3, a=rights("0" * 400), b=rights("1" * 200 + "0" * 200))
    assert (len(found.suspects), found.all_wrong) == (3, 200)
    assert len(found.deciding[0].better) == 3
    assert msgspec.json.decode(msgspec.json.encode(found), type=ItemReport) == found
