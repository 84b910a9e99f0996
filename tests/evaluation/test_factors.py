"""Main effects of a grid: against a regression on all answers, and under the null."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from pilothouse.evaluation.compare import compare
from pilothouse.evaluation.factors import main_effects
from pilothouse.evaluation.types import Metric, Procedure, Score, ScoredRow

RATE = Metric(name="right", evaluator="e", score="s", kind="rate", worst=0.0, bounds=(0.0, 1.0))
GRID = {
    f"{prompt}-{k}": {"prompt": prompt, "k": k, "model": "one"}
    for prompt, k in itertools.product(["plain", "shots"], ["1", "4", "9"])
}


def rows(values: np.ndarray) -> list[ScoredRow]:
    return [
        ScoredRow(id=f"r{n:03d}", scores=(Score(name="s", evaluator="e", value=bool(value)),))
        for n, value in enumerate(values)
    ]


def drawn(rng: np.random.Generator, effect: float, n: int = 150) -> dict[str, np.ndarray]:
    """Rows of unlike difficulty; more text costs `effect` at each step, the prompt does nothing."""
    ease = rng.uniform(0.2, 0.8, n)
    return {
        name: rng.random(n) < ease - effect * {"1": 0, "4": 1, "9": 2}[levels["k"]] for name, levels in GRID.items()
    }


def test_an_effect_is_the_difference_of_the_means_over_all_arms() -> None:
    values = drawn(np.random.default_rng(5), 0.15)
    found = main_effects(RATE, {name: rows(own) for name, own in values.items()}, GRID)

    assert [(item.factor, item.level, item.base) for item in found] == [
        ("prompt", "shots", "plain"),
        ("k", "4", "1"),
        ("k", "9", "1"),
    ]
    for item in found:
        sides = [
            np.concatenate([own for name, own in values.items() if GRID[name][item.factor] == level])
            for level in (item.level, item.base)
        ]
        assert item.comparison.difference.value == pytest.approx(sides[0].mean() - sides[1].mean(), abs=1e-12)
        assert item.comparison.n_pairs == 150
        assert item.comparison.correction == "holm, 3 comparisons"
    assert [item.comparison.verdict for item in found] == ["inconclusive", "worse", "worse"]


def test_the_whole_grid_tells_more_than_two_arms_of_it() -> None:
    runs = {name: rows(own) for name, own in drawn(np.random.default_rng(6), 0.08).items()}
    whole = main_effects(RATE, runs, GRID)[1].comparison.difference.interval
    pair = compare(RATE, runs["plain-1"], runs["plain-4"]).difference.interval

    assert whole is not None
    assert pair is not None
    # Two arms a level in place of one: narrower by about the root of two.
    assert (pair.high - pair.low) / (whole.high - whole.low) == pytest.approx(2**0.5, rel=0.15)


def test_what_is_no_grid_has_no_main_effects() -> None:
    runs = {name: rows(own) for name, own in drawn(np.random.default_rng(7), 0.0, 20).items()}
    one_factor = {name: levels for name, levels in GRID.items() if name in {"plain-1", "plain-4", "shots-1"}}
    assert main_effects(RATE, runs, one_factor) == ()
    assert main_effects(RATE, runs, {"plain-1": GRID["plain-1"], "plain-4": GRID["plain-4"]}) == ()
    assert main_effects(Metric(name="f1", kind="labels", statistic="macro_f1"), runs, GRID) == ()


def test_a_row_without_a_value_in_one_arm_is_left_out_of_all() -> None:
    runs = {name: rows(own) for name, own in drawn(np.random.default_rng(8), 0.0, 40).items()}
    runs["plain-1"][3] = ScoredRow(id="r003", scores=(Score(name="s", evaluator="e", state="abstained"),))
    found = main_effects(RATE, runs, GRID)

    assert {(item.left_out, item.comparison.n_pairs) for item in found} == {(1, 39)}


def test_false_alarms_over_the_family_stay_below_alpha() -> None:
    rng = np.random.default_rng(11)
    how = Procedure(resamples=200, permutations=199)
    alarms = 0
    for _ in range(100):
        values = drawn(rng, 0.0, 60)
        found = main_effects(RATE, {name: rows(own) for name, own in values.items()}, GRID, how)
        alarms += any(item.comparison.verdict != "inconclusive" for item in found)
    # 5 expected of 100; 12 or more happen once in 200 such tests when the rate is 5 %.
    assert alarms < 12
