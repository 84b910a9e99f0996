from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from pilothouse.evaluation.statistics.corrections import benjamini_hochberg, holm

P_VALUES = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=20)


@pytest.mark.parametrize("count", [1, 2, 3, 8, 20])
def test_holm_is_that_of_statsmodels(count: int) -> None:
    p_values = [*np.random.default_rng(count).uniform(size=count) ** 3]
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1], abs=1e-9)


@given(P_VALUES)
def test_benjamini_hochberg_is_that_of_scipy(p_values: list[float]) -> None:
    assert benjamini_hochberg(p_values) == pytest.approx(stats.false_discovery_control(p_values), abs=1e-9)


@given(P_VALUES, st.randoms())
def test_properties(p_values: list[float], random: object) -> None:
    order = list(range(len(p_values)))
    random.shuffle(order)  # type: ignore[attr-defined]
    for correct in (holm, benjamini_hochberg):
        adjusted = correct(p_values)
        assert all(p <= q <= 1.0 for p, q in zip(p_values, adjusted, strict=True))
        ranked = sorted(zip(p_values, adjusted, strict=True))
        assert [q for _, q in ranked] == sorted(q for _, q in ranked)
        assert correct([p_values[i] for i in order]) == [adjusted[i] for i in order]
    assert all(b <= h for b, h in zip(benjamini_hochberg(p_values), holm(p_values), strict=True))


def test_empty_and_single() -> None:
    assert holm([]) == benjamini_hochberg([]) == []
    assert holm([0.03]) == benjamini_hochberg([0.03]) == [0.03]
