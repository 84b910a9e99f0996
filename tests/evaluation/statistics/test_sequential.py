"""Confidence sequences: their formulas, their decisions, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize

from pilothouse.evaluation.statistics.sequential import AsymptoticSequence, BettingSequence, decide
from pilothouse.evaluation.types import Interval

SIZES = [0.98 / 2**k for k in range(8)]


def filled(values: list[float], **options: object) -> BettingSequence:
    sequence = BettingSequence(**options)  # type: ignore[arg-type]
    sequence.add(np.array(values))
    return sequence


def test_the_wealth_is_the_mean_over_bets_of_their_products() -> None:
    values = [0.2, 0.9, 0.9, 0.5, 1.0, 0.0]
    m = 0.4
    bets = [size / m for size in SIZES] + [-size / (1 - m) for size in SIZES]
    wealth = sum(math.prod(1 + bet * (x - m) for x in values) for bet in bets) / len(bets)
    assert filled(values, bounds=(0.0, 1.0)).log_wealth(m) == pytest.approx(math.log(wealth))


def test_of_paired_rates_only_discordant_pairs_bear_evidence() -> None:
    pairs = [1.0, -1.0, 1.0, 1.0]
    alone, among = filled(pairs), filled([*pairs, *[0.0] * 500])
    assert among.log_wealth(0.0) == pytest.approx(alone.log_wealth(0.0))
    ratios = [(1 + s) ** 3 * (1 - s) for s in SIZES] + [(1 - s) ** 3 * (1 + s) for s in SIZES]
    assert alone.p_value() == pytest.approx(min(1.0, len(ratios) / sum(ratios)))


def test_the_expected_wealth_is_one_if_the_mean_is_true() -> None:
    outcomes = [(g, n - g) for n in (6,) for g in range(7)]
    chance = [math.comb(6, g) / 64 for g, _ in outcomes]
    wealth = [math.exp(filled([1.0] * g + [-1.0] * b).log_wealth(0.0)) for g, b in outcomes]
    assert sum(c * w for c, w in zip(chance, wealth, strict=True)) == pytest.approx(1.0)


def test_the_interval_ends_where_the_wealth_crosses_its_bar() -> None:
    rng = np.random.default_rng(1)
    sequence = filled(rng.choice([-1.0, 0.0, 1.0], p=[0.1, 0.6, 0.3], size=300).tolist())
    found, value = sequence.interval(), sequence.value
    assert found is not None
    assert value is not None
    assert found.low < value < found.high
    bar = math.log(20.0)
    for end, outer in ((found.low, -0.999), (found.high, 0.999)):
        crossing = optimize.brentq(lambda m: sequence.log_wealth(m) - bar, value, outer)
        assert end == pytest.approx(crossing, abs=1e-6)


def test_the_order_and_the_size_of_looks_do_not_change_the_wealth() -> None:
    rng = np.random.default_rng(2)
    values = rng.random(200)
    whole, parts = filled(values.tolist(), bounds=(0.0, 1.0)), BettingSequence(bounds=(0.0, 1.0))
    for start in range(0, 200, 17):
        parts.add(rng.permutation(values)[:0] if start == 17 else values[start : start + 17])
    parts.add(values[17:34])
    assert parts.log_wealth(0.3) == pytest.approx(whole.log_wealth(0.3))


def test_an_end_never_moves_outward_and_few_rows_say_nothing() -> None:
    rng = np.random.default_rng(3)
    sequence, lows, highs = BettingSequence(), [], []
    assert (sequence.interval(), sequence.value) == (None, None)
    for _ in range(40):
        sequence.add(rng.choice([-1.0, 0.0, 1.0], size=5))
        found = sequence.interval()
        assert found is not None
        lows.append(found.low)
        highs.append(found.high)
    assert lows == sorted(lows)
    assert highs == sorted(highs, reverse=True)
    assert highs[0] - lows[0] > 1.7


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_all_or_nothing_has_an_interval_that_shrinks_to_the_end(share: float) -> None:
    sequence = filled([share] * 200, bounds=(0.0, 1.0))
    found = sequence.interval()
    assert found is not None
    assert abs(found.high - found.low) < 0.05
    assert share in (found.low, found.high)


def test_values_beyond_the_bounds_are_refused() -> None:
    for value in (1.5, -2.0, math.nan):
        with pytest.raises(ValueError, match="outside"):
            filled([0.0, value])


def test_the_asymptotic_sequence_is_its_formula_and_waits_for_enough_rows() -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(1.0, 2.0, size=400)
    sequence = AsymptoticSequence(tightest=500)
    for start in range(0, 400, 50):
        sequence.add(values[start : start + 50])
        assert (sequence.interval() is None) == (start < 50)
    found = sequence.interval()
    rho2 = (-2 * math.log(0.05) + math.log(1 - 2 * math.log(0.05))) / 500
    scale = 400 * rho2 + 1
    reach = values.std(ddof=1) * math.sqrt(2 * scale / (400**2 * rho2) * math.log(math.sqrt(scale) / 0.05))
    assert found is not None
    assert (found.low, found.high) == pytest.approx((values.mean() - reach, values.mean() + reach))
    constant = AsymptoticSequence(least=2)
    constant.add(np.ones(50))
    assert constant.interval() is None


def between(low: float, high: float) -> Interval:
    return Interval(low=low, high=high, level=0.95, method="x")


def test_decisions() -> None:
    assert decide(None, margin=1.0) == "open"
    assert decide(between(0.01, 0.2)) == "better"
    assert decide(between(0.01, 0.2), better="lower") == "worse"
    assert decide(between(-0.2, -0.01)) == "worse"
    assert decide(between(-0.02, 0.02), margin=0.02) == "no relevant difference"
    assert decide(between(-0.02, 0.021), margin=0.02) == decide(between(-0.02, 0.02)) == "open"
