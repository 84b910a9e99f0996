"""Golden bills: worked out by hand from price lists, in nano-dollars."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from genai_prices import data_snapshot
from genai_prices.types import (
    ClauseEquals,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    Provider,
    StartDateConstraint,
    Tier,
    TieredPrices,
    TimeOfDateConstraint,
)
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.models.rates.card import RateCard, own_rate
from pilothouse.models.rates.compilation import Tiers, compile_rate
from pilothouse.models.rates.moments import moment_ns
from pilothouse.models.rates.rate import FOREVER
from pilothouse.models.settings import Price
from pilothouse.models.types import Usage

DAY = 86_400 * 10**9
NOON = moment_ns(datetime(2026, 11, 20, 12, tzinfo=UTC))

FULL = Price(
    model="m",
    input=3.0,
    output=15.0,
    cached_input=0.3,
    cache_write=3.75,
    cache_write_long=6.0,
    audio_input=40.0,
    audio_output=80.0,
    image_input=5.0,
    image_output=30.0,
    reasoning=20.0,
    image=0.04,
    characters=15.0,
    second=0.0001,
    search=0.002,
    request=0.01,
)


@pytest.mark.parametrize(
    ("usage", "nano"),
    [
        (Usage(), 10_000_000),
        (Usage(input_tokens=1_000, output_tokens=100), 3_000_000 + 1_500_000 + 10_000_000),
        (Usage(input_tokens=1_000, cached_input_tokens=900), 300_000 + 270_000 + 10_000_000),
        (
            Usage(input_tokens=1_000, cache_write_tokens=200, cache_write_long_tokens=300, cached_input_tokens=400),
            100 * 3_000 + 200 * 3_750 + 300 * 6_000 + 400 * 300 + 10_000_000,
        ),
        (Usage(output_tokens=100, reasoning_tokens=80), 20 * 15_000 + 80 * 20_000 + 10_000_000),
        (
            Usage(input_tokens=100, audio_input_tokens=60, output_tokens=50, audio_output_tokens=40),
            40 * 3_000 + 60 * 40_000 + 10 * 15_000 + 40 * 80_000 + 10_000_000,
        ),
        (
            Usage(input_tokens=100, audio_input_tokens=60, cached_input_tokens=50, cached_audio_tokens=20),
            10 * 3_000 + 40 * 40_000 + 50 * 300 + 10_000_000,
        ),
        (
            Usage(input_tokens=100, image_input_tokens=60, output_tokens=50, image_output_tokens=50),
            40 * 3_000 + 60 * 5_000 + 50 * 30_000 + 10_000_000,
        ),
        (
            Usage(images=2, characters=1_000, milliseconds=1_500, searches=3),
            80_000_000 + 15_000_000 + 150_000 + 6_000_000 + 10_000_000,
        ),
    ],
)
def test_a_bill_by_hand(usage: Usage, nano: int) -> None:
    assert own_rate(FULL).cost(usage) == nano
    assert own_rate(FULL).dollars(usage) == Decimal(nano) / 10**9


@pytest.mark.parametrize(
    "usage",
    [
        Usage(output_tokens=1),
        Usage(images=1),
        Usage(characters=1),
        Usage(milliseconds=1),
        Usage(searches=1),
        Usage(input_tokens=5, cached_input_tokens=6),
        Usage(input_tokens=5, cached_input_tokens=3, cache_write_tokens=3),
        Usage(input_tokens=-1),
    ],
)
def test_what_has_no_price_or_contradicts_itself_is_unknown_and_never_zero(usage: Usage) -> None:
    rate = own_rate(Price(model="m", input=1.0, cached_input=0.1, cache_write=2.0))
    assert rate.cost(usage) is None
    assert rate.dollars(usage) is None


def test_a_part_without_a_price_costs_what_its_whole_costs() -> None:
    rate = own_rate(Price(model="m", input=1.0, output=2.0, cache_write=3.0))
    usage = Usage(
        input_tokens=100,
        cached_input_tokens=10,
        cache_write_long_tokens=20,
        audio_input_tokens=30,
        output_tokens=10,
        audio_output_tokens=5,
    )
    assert rate.cost(usage) == 80 * 1_000 + 20 * 3_000 + 10 * 2_000


def test_a_cost_is_rounded_once_half_to_even() -> None:
    rate = own_rate(Price(model="m", input=0.0005, output=0.0003))  # half a nano-dollar, three tenths
    costs = [rate.cost(Usage(input_tokens=tokens)) for tokens in (1, 2, 3, 5)]
    assert costs == [0, 1, 2, 2]
    assert rate.cost(Usage(input_tokens=1, output_tokens=1)) == 1


def test_above_a_size_all_tokens_cost_the_tiers_price() -> None:
    prices = {
        "input_mtok": Tiers(Fraction(1), ((200_000, Fraction(2)),)),
        "output_mtok": Tiers(Fraction(10), ((200_000, Fraction(15)),)),
    }
    rate = compile_rate(prices, name="x", valid_from_ns=0, valid_until_ns=FOREVER)
    assert rate.cost(Usage(input_tokens=200_000, output_tokens=10)) == 200_000 * 1_000 + 10 * 10_000
    assert rate.cost(Usage(input_tokens=200_001, output_tokens=10)) == 200_001 * 2_000 + 10 * 15_000
    assert rate.bound(200_000, 10) == 200_000 * 1_000 + 10 * 10_000
    assert rate.bound(200_001, 10) == 200_001 * 2_000 + 10 * 15_000


counts = st.integers(0, 10**6)


@given(counts, counts, counts, counts, counts, counts, st.integers(0, 400_000), st.booleans())
def test_no_call_costs_more_than_its_bound(
    text: int, cached: int, write: int, audio: int, out: int, thoughts: int, start: int, cheaper: bool
) -> None:
    prices = {
        "input_mtok": Tiers(Fraction(3), ((start, Fraction(1 if cheaper else 6)),)),
        "cache_read_mtok": Tiers(Fraction(3, 10)),
        "cache_write_mtok": Tiers(Fraction(15, 4)),
        "input_audio_mtok": Tiers(Fraction(40)),
        "cache_audio_read_mtok": Tiers(Fraction(1)),
        "output_mtok": Tiers(Fraction(7, 3)),
        "output_reasoning_mtok": Tiers(Fraction(1, 7)),
        "requests_kcount": Tiers(Fraction(1, 3)),
    }
    rate = compile_rate(prices, name="x", valid_from_ns=0, valid_until_ns=FOREVER)
    usage = Usage(
        input_tokens=text + cached + write + audio,
        cached_input_tokens=cached,
        cache_write_tokens=write,
        audio_input_tokens=audio,
        output_tokens=out + thoughts,
        reasoning_tokens=thoughts,
    )
    cost = rate.cost(usage)
    assert cost is not None
    assert cost <= rate.bound(usage.input_tokens, usage.output_tokens)


def test_own_prices_win_from_their_day_on_and_are_named_by_it() -> None:
    card = RateCard([Price(model="gpt-4o-mini", input=1.0, output=1.0, since=date(2026, 11, 21))])
    before, after = card.rate("openai", "gpt-4o-mini", NOON), card.rate("openai", "gpt-4o-mini", NOON + DAY)
    assert before is not None
    assert after is not None
    assert before.id.startswith("genai-prices-")
    assert before.valid_until_ns == moment_ns(datetime(2026, 11, 21, tzinfo=UTC)) == after.valid_from_ns
    assert after.id.startswith("own-")
    assert after.id.endswith("@2026-11-21")
    assert card.rate("openai", "gpt-4o-mini", NOON) == before, "going back in time finds the older price again"


def test_two_own_prices_of_one_day_have_two_names() -> None:
    assert own_rate(Price(model="m", input=1.0)).id != own_rate(Price(model="m", input=2.0)).id


def test_a_rate_is_compiled_once_while_it_holds() -> None:
    card = RateCard()
    assert card.rate("openai", "gpt-4o-mini", NOON) is card.rate("openai", "gpt-4o-mini", NOON + 1)
    assert card.rate("openai", "no-such-model", NOON) is None


def install(monkeypatch: pytest.MonkeyPatch, prices: Any) -> RateCard:
    model = ModelInfo(id="m", match=ClauseEquals("m"), prices=prices)
    provider = Provider(id="mine", name="Mine", api_pattern="x", models=[model])
    monkeypatch.setattr(
        data_snapshot, "_custom_snapshot", data_snapshot.DataSnapshot(providers=[provider], from_auto_update=False)
    )
    return RateCard()


def test_a_price_of_a_time_of_day_is_followed_across_midnight(monkeypatch: pytest.MonkeyPatch) -> None:
    night = TimeOfDateConstraint(
        start_time=datetime(2026, 1, 1, 22, tzinfo=UTC).timetz(), end_time=datetime(2026, 1, 1, 6, tzinfo=UTC).timetz()
    )
    card = install(
        monkeypatch,
        [
            ConditionalPrice(prices=ModelPrice(input_mtok=Decimal(4))),
            ConditionalPrice(constraint=night, prices=ModelPrice(input_mtok=Decimal(1))),
        ],
    )
    hours = {5: 1_000, 6: 4_000, 12: 4_000, 21: 4_000, 22: 1_000, 23: 1_000, 24: 1_000, 29: 1_000, 30: 4_000}
    for hour, nano in hours.items():
        rate = card.rate("mine", "m", NOON + (hour - 12) * 3_600 * 10**9)
        assert rate is not None
        assert (hour, rate.cost(Usage(input_tokens=1))) == (hour, nano)
    noon = card.rate("mine", "m", NOON)
    assert noon is not None
    assert (noon.valid_from_ns, noon.valid_until_ns) == (NOON - 6 * DAY // 24, NOON + 10 * DAY // 24)
    assert noon.id.endswith("@2026-11-20T06:00Z")


def test_published_tiers_and_dates_are_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    tiers = TieredPrices(base=Decimal(1), tiers=[Tier(start=100, price=Decimal(2))])
    card = install(
        monkeypatch,
        [
            ConditionalPrice(prices=ModelPrice(input_mtok=tiers)),
            ConditionalPrice(
                constraint=StartDateConstraint(start_date=date(2026, 11, 20)), prices=ModelPrice(input_mtok=Decimal(5))
            ),
        ],
    )
    old, new = card.rate("mine", "m", NOON - DAY), card.rate("mine", "m", NOON)
    assert old is not None
    assert new is not None
    assert (old.cost(Usage(input_tokens=100)), old.cost(Usage(input_tokens=101))) == (100_000, 202_000)
    assert new.cost(Usage(input_tokens=101)) == 505_000
    assert new.id.endswith("@2026-11-20")


def test_what_a_usage_does_not_count_makes_a_model_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    card = install(monkeypatch, ModelPrice(input_mtok=Decimal(1), input_document_kpages=Decimal(1)))
    assert card.rate("mine", "m", NOON) is None


def test_own_prices_alone_never_load_the_catalogue() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from pilothouse.models.rates.card import RateCard; from pilothouse.models.settings import Price;"
        "assert RateCard([Price(model='m', input=1.0)]).rate('p', 'm', 5); assert 'genai_prices' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
