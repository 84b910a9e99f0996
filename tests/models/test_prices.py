"""Prices against bills worked out by hand from the catalogue's own rates."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from genai_prices import data_snapshot
from genai_prices.types import ClauseEquals, ConditionalPrice, ModelInfo, ModelPrice, Provider, StartDateConstraint

from pilothouse.models import catalogue
from pilothouse.models.prices import PriceBook
from pilothouse.models.settings import Price
from pilothouse.models.types import Usage

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MILLION = Decimal(1_000_000)


def rates(provider: str, model: str) -> Any:
    _, found = data_snapshot.get_snapshot().find_provider_model(model, None, provider, None)
    return found.get_prices(NOON)


def test_a_call_costs_what_its_tokens_cost() -> None:
    price = rates("openai", "gpt-4o-mini")
    usage = Usage(input_tokens=1000, output_tokens=200)
    expected = (1000 * price.input_mtok + 200 * price.output_mtok) / MILLION
    assert PriceBook().price("openai", "gpt-4o-mini", usage, NOON) == expected > 0


def test_cached_tokens_are_billed_at_their_price_in_place_of_the_full_one() -> None:
    price = rates("openai", "gpt-4o-mini")
    usage = Usage(input_tokens=1000, cached_input_tokens=600, output_tokens=1)
    expected = (400 * price.input_mtok + 600 * price.cache_read_mtok + price.output_mtok) / MILLION
    assert PriceBook().price("openai", "gpt-4o-mini", usage, NOON) == expected


def test_reasoning_is_part_of_the_output_and_not_billed_twice() -> None:
    plain = Usage(input_tokens=10, output_tokens=500)
    thinking = Usage(input_tokens=10, output_tokens=500, reasoning_tokens=450)
    book = PriceBook()
    assert book.price("openai", "o3-mini", thinking, NOON) == book.price("openai", "o3-mini", plain, NOON)


def test_a_dated_model_name_and_an_azure_deployment_of_it_are_found() -> None:
    usage = Usage(input_tokens=1000, output_tokens=10)
    book = PriceBook()
    assert book.price("openai", "gpt-4o-2024-08-06", usage, NOON) == book.price("openai", "gpt-4o", usage, NOON)
    assert book.price("azure.ai.openai", "gpt-4o-2024-08-06", usage, NOON) is not None


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "no-such-model"),
        ("no-such-provider", "gpt-4o"),
        ("my-openai-proxy", "gpt-4o"),
        ("openai_compatible", "gpt-4o"),
        ("local", "smollm2-135m-instruct"),
        ("scripted", "gpt-4o"),
        ("openai", ""),
    ],
)
def test_an_unknown_price_is_unknown_and_never_zero(provider: str, model: str) -> None:
    assert PriceBook().price(provider, model, Usage(input_tokens=5), NOON) is None


def test_counts_that_contradict_each_other_have_no_price() -> None:
    usage = Usage(input_tokens=5, cached_input_tokens=50)
    assert PriceBook().price("openai", "gpt-4o-mini", usage, NOON) is None


def test_nothing_used_costs_nothing() -> None:
    assert PriceBook().price("openai", "gpt-4o-mini", Usage(), NOON) == 0


@pytest.fixture
def one_model(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put a catalogue of one model in place of the real one."""

    def install(prices: Any) -> None:
        model = ModelInfo(id="m", match=ClauseEquals("m"), prices=prices)
        provider = Provider(id="mine", name="Mine", api_pattern="x", models=[model])
        snapshot = data_snapshot.DataSnapshot(providers=[provider], from_auto_update=False)
        monkeypatch.setattr(data_snapshot, "_custom_snapshot", snapshot)

    return install


def test_a_model_that_has_no_price_for_what_was_used_is_unknown(one_model: Any) -> None:
    one_model(ModelPrice(input_mtok=Decimal(1)))
    book = PriceBook()
    assert book.price("mine", "m", Usage(input_tokens=5), NOON) == Decimal(5) / MILLION
    assert book.price("mine", "m", Usage(input_tokens=5, output_tokens=1), NOON) is None
    one_model([])
    assert PriceBook().price("mine", "m", Usage(input_tokens=5), NOON) is None


def test_the_price_is_that_of_the_day_of_the_call(one_model: Any) -> None:
    since = StartDateConstraint(start_date=date(2026, 3, 1))
    one_model(
        [
            ConditionalPrice(prices=ModelPrice(input_mtok=Decimal(4))),
            ConditionalPrice(constraint=since, prices=ModelPrice(input_mtok=Decimal(2))),
        ]
    )
    usage, book = Usage(input_tokens=1_000_000), PriceBook()
    assert book.price("mine", "m", usage, NOON - timedelta(days=1)) == 4
    assert book.price("mine", "m", usage, NOON) == 2
    still_february = datetime(2026, 3, 1, 1, tzinfo=timezone(timedelta(hours=5)))
    assert book.price("mine", "m", usage, still_february) == 4


def test_a_price_of_ones_own_wins_exactly() -> None:
    book = PriceBook([Price(model="gpt-4o-mini", input=0.1, output=0.2, cached_input=0.05)])
    usage = Usage(input_tokens=1000, cached_input_tokens=400, output_tokens=10, reasoning_tokens=5)
    assert book.price("openai", "gpt-4o-mini", usage, NOON) == Decimal("0.000082")
    assert book.price("local", "gpt-4o-mini", usage, NOON) == Decimal("0.000082")


def test_without_a_cached_price_cached_tokens_cost_the_full_one() -> None:
    book = PriceBook([Price(model="m", input=1.0, output=1.0)])
    assert book.price("x", "m", Usage(input_tokens=10, cached_input_tokens=10), NOON) == Decimal("0.00001")


def test_of_several_the_latest_day_that_has_come_holds_and_the_provider_must_fit() -> None:
    book = PriceBook(
        [
            Price(model="m", input=1.0, output=0.0),
            Price(model="m", input=2.0, output=0.0, since=date(2026, 2, 1)),
            Price(model="m", input=3.0, output=0.0, since=date(2026, 4, 1)),
            Price(model="m", input=9.0, output=0.0, since=date(2026, 2, 2), provider="other"),
        ]
    )
    usage = Usage(input_tokens=1_000_000)
    assert book.price("local", "m", usage, NOON) == 2
    assert book.price("local", "m", usage, NOON - timedelta(days=60)) == 1
    assert book.price("local", "m", usage, NOON + timedelta(days=60)) == 3
    assert book.price("other", "m", usage, NOON) == 9


def test_the_catalogue_is_searched_by_provider_and_text() -> None:
    found = catalogue.search(NOON, provider="openai", text="4O-MINI")
    assert found
    assert {model.provider for model in found} == {"openai"}
    mini = next(model for model in found if model.id == "gpt-4o-mini")
    assert mini.context == 128_000
    assert mini.input_price is not None
    assert catalogue.search(NOON, provider="azure.ai.openai")
    assert catalogue.search(NOON, text="no such model at all") == []
    assert "openai" in catalogue.providers()


def test_every_model_of_the_catalogue_can_be_listed() -> None:
    found = catalogue.search(NOON)
    assert len(found) > 1000
    assert found == sorted(found, key=lambda model: (model.provider, model.id))
