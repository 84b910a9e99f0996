from __future__ import annotations

import pytest

from .simulations import SIMULATIONS, Simulation


@pytest.mark.no_cover  # thousands of trials of lines that other tests cover: measured, they take twice as long
@pytest.mark.parametrize("simulation", SIMULATIONS, ids=[item.name for item in SIMULATIONS])
def test_the_observed_rate_is_within_its_band(simulation: Simulation) -> None:
    rate, low, high = simulation.run()
    assert low <= rate <= high
