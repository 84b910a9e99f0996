"""Agreement of raters, and the truth behind a judge's verdicts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from pilothouse.evaluation.statistics.agreement import cohen_kappa, krippendorff_alpha, rates, true_rate
from pilothouse.evaluation.statistics.intervals import wilson

# Krippendorff (2011), "Computing Krippendorff's alpha-reliability", example C: four observers, twelve units.
RATINGS = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
]
UNITS: list[list[float | None]] = [list(unit) for unit in zip(*RATINGS, strict=True)]


@pytest.mark.parametrize(("level", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_is_the_published_one(level: Any, published: float) -> None:
    assert krippendorff_alpha(UNITS, level) == pytest.approx(published, abs=0.0005)


def test_alpha_of_perfect_agreement_of_chance_and_of_nothing() -> None:
    assert krippendorff_alpha([[1, 1], [2, 2], [3, 3]]) == pytest.approx(1.0)
    rng = np.random.default_rng(5)
    by_chance = krippendorff_alpha(rng.integers(0, 3, size=(4000, 3)).tolist(), "ordinal")
    assert by_chance == pytest.approx(0.0, abs=0.03)
    assert krippendorff_alpha([[1, 2], [2, 1]]) == pytest.approx(-0.5)
    for nothing in ([], [[1.0]], [[1.0, None]], [[2.0, 2.0], [2.0, 2.0]]):
        assert krippendorff_alpha(nothing) is None


grades = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=2, max_size=40)


@given(grades, st.sampled_from([("none", None), ("linear", "linear"), ("quadratic", "quadratic")]))
def test_kappa_is_scikit_learns(pairs: list[tuple[int, int]], weights: Any) -> None:
    first, second = ([pair[side] for pair in pairs] for side in (0, 1))
    found = cohen_kappa(first, second, weights[0])
    if len({*first, *second}) < 2:
        assert found is None
        return
    assert found == pytest.approx(cohen_kappa_score(first, second, weights=weights[1]), abs=1e-9)


def test_sensitivity_and_specificity() -> None:
    found = rates([True, True, True, False, False], [True, True, False, False, True])
    assert found == {"sensitivity": (2, 3, wilson(2, 3)), "specificity": (1, 2, wilson(1, 2))}


def test_the_true_rate_takes_the_judges_errors_out() -> None:
    value, interval = true_rate(380, 1000, sensitivity=(90, 100), specificity=(80, 100))
    assert value == pytest.approx((0.38 + 0.8 - 1) / 0.7)
    assert interval is not None
    assert interval.low < 0.18 / 0.7 < interval.high
    # A perfect judge leaves what Wilson says, a little wider for the calibration.
    value, interval = true_rate(30, 100, sensitivity=(5000, 5000), specificity=(5000, 5000))
    plain = wilson(30, 100)
    assert value == pytest.approx(0.3)
    assert interval is not None
    assert plain is not None
    assert (interval.low, interval.high) == pytest.approx((plain.low, plain.high), abs=0.01)


def test_lang_and_reiczigels_interval_by_their_formula_written_out() -> None:
    """n = 200 with 60 positive, 45 of 50, 70 of 75, in plain arithmetic (z = 1.959963984540054)."""
    z2 = 3.841458820694124
    p, se, sp = (60 + z2 / 2) / (200 + z2), 46 / 52, 71 / 77
    youden = se + sp - 1
    point = (p + sp - 1) / youden
    shift = 2 * z2 * (point * se * (1 - se) / 52 - (1 - point) * sp * (1 - sp) / 77)
    spread = (p * (1 - p) / (200 + z2) + point**2 * se * (1 - se) / 52 + (1 - point) ** 2 * sp * (1 - sp) / 77) ** 0.5
    _, interval = true_rate(60, 200, sensitivity=(45, 50), specificity=(70, 75))
    assert interval is not None
    assert interval.low == pytest.approx(point + shift - z2**0.5 * spread / youden, abs=1e-9)
    assert interval.high == pytest.approx(point + shift + z2**0.5 * spread / youden, abs=1e-9)


def test_a_judge_without_skill_or_calibration_tells_nothing() -> None:
    assert true_rate(0, 0, sensitivity=(1, 1), specificity=(1, 1)) == (None, None)
    assert true_rate(5, 9, sensitivity=(0, 0), specificity=(1, 1)) == (None, None)
    value, interval = true_rate(50, 100, sensitivity=(20, 50), specificity=(20, 50))
    assert value is None
    assert interval is not None
    assert (interval.low, interval.high) == (0.0, 1.0)


def test_the_estimate_stays_a_share() -> None:
    assert true_rate(1, 100, sensitivity=(90, 100), specificity=(80, 100))[0] == 0.0
    assert true_rate(100, 100, sensitivity=(90, 100), specificity=(80, 100))[0] == 1.0
