"""The figures that ship with the detectors are the ones that they have."""

from __future__ import annotations

import pytest

from pilothouse.evaluation.suites.measured import RATES
from pilothouse.evaluation.suites.table import SUITES

from .measuring import recount


def test_the_shipped_figures_are_counted_anew() -> None:
    assert recount() == RATES


@pytest.mark.parametrize("rate", RATES, ids=lambda rate: f"{rate.detector}, {rate.error}, {rate.texts}")
def test_every_figure_has_its_n_and_an_interval_that_holds_it(rate: object) -> None:
    interval = rate.interval  # type: ignore[attr-defined]
    assert interval.low <= rate.count / rate.n <= interval.high  # type: ignore[attr-defined]


def test_wrong_alarms_are_few_wherever_they_were_counted() -> None:
    assert all(rate.count / rate.n <= 0.02 for rate in RATES if rate.error == "wrong alarms")


def test_a_suite_names_detectors_that_were_measured() -> None:
    measured = {rate.detector for rate in RATES}
    assert {name for suite in SUITES.values() for name in suite.detectors} == measured
