"""Prices: exact, asked for seldom, unknown never means zero."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from pilothouse.experiments.runs.engine.pricing import Tariffs
from pilothouse.models.types import Usage

NOW = datetime(2026, 5, 1, tzinfo=UTC)


class Catalogue:
    """Linear below 128,000 input tokens, double above; one model has a fee for each call, one is unknown."""

    def __init__(self) -> None:
        self.asked = 0

    def price(self, _provider: str, model: str, usage: Usage, _at: datetime) -> Decimal | None:
        self.asked += 1
        if model == "unknown":
            return None
        rate = Decimal("0.15") / 1_000_000 * (2 if usage.input_tokens > 128_000 else 1)
        fresh = usage.input_tokens - usage.cached_input_tokens
        tokens = fresh * rate + usage.cached_input_tokens * rate / 2 + usage.output_tokens * rate * 4
        return tokens + (Decimal("0.001") if model == "fee" else 0)


def test_costs_equal_the_catalogue_and_the_catalogue_is_asked_a_few_times_only() -> None:
    catalogue = Catalogue()
    tariffs = Tariffs(catalogue.price, NOW)
    usages = [Usage(input_tokens=100 + n, cached_input_tokens=n % 50, output_tokens=n) for n in range(500)]
    costs = [tariffs.cost("p", "m", usage) for usage in usages]
    assert catalogue.asked == 4
    assert costs == [catalogue.price("p", "m", usage, NOW) for usage in usages]


def test_long_calls_are_priced_by_the_catalogue() -> None:
    catalogue = Catalogue()
    tariffs = Tariffs(catalogue.price, NOW)
    long = Usage(input_tokens=200_000, output_tokens=10)
    assert tariffs.cost("p", "m", Usage(input_tokens=10)) == catalogue.price("p", "m", Usage(input_tokens=10), NOW)
    assert tariffs.cost("p", "m", long) == catalogue.price("p", "m", long, NOW)


def test_a_price_that_is_not_per_token_is_asked_for_each_time() -> None:
    catalogue = Catalogue()
    tariffs = Tariffs(catalogue.price, NOW)
    for tokens in (5, 10, 5000):
        usage = Usage(input_tokens=tokens)
        assert tariffs.cost("p", "fee", usage) == catalogue.price("p", "fee", usage, NOW)


def test_an_unknown_price_stays_unknown_and_is_asked_for_once() -> None:
    catalogue = Catalogue()
    tariffs = Tariffs(catalogue.price, NOW)
    assert [tariffs.cost("p", "unknown", Usage(input_tokens=n)) for n in (1, 2, 300_000)] == [None, None, None]
    assert catalogue.asked == 1
