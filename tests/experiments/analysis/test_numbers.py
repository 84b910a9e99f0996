"""How sums of money read."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pilothouse.experiments.analysis import numbers


@pytest.mark.parametrize(
    ("value", "unpriced", "text"),
    [
        (None, 0, "$0"),
        (None, 2, "unknown"),
        ("0", 0, "$0.00"),
        ("0.5", 0, "$0.50"),
        ("0.000123", 0, "$0.000123"),
        ("1.5", 0, "$1.50"),
        ("12345.678", 0, "$12,345.68"),
        ("0.3", 1, "at least $0.30"),
    ],
)
def test_money(value: str | None, unpriced: int, text: str) -> None:
    assert numbers.money(None if value is None else Decimal(value), unpriced) == text


def test_a_sum_too_small_to_show_is_not_nothing() -> None:
    assert numbers.money(Decimal("0.0000001")) == "<$0.000001"
