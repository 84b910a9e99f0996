"""Compiled rates against the package they come from: every model, random usages, to the nano-dollar."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from genai_prices import data_snapshot
from genai_prices.types import ModelPrice
from genai_prices.types import Usage as Tokens

from pilothouse.models.rates.card import RateCard
from pilothouse.models.rates.moments import moment_ns
from pilothouse.models.rates.published import _UNCOUNTED, PROVIDERS, UNPRICED
from pilothouse.models.types import Usage

SNAPSHOT = data_snapshot.get_snapshot()
NOW = datetime(2026, 11, 20, 1, 0, tzinfo=UTC)
SIZES = (0, 1, 7, 130, 4_096, 127_999, 200_000, 200_001, 272_001, 1_000_003)


def moments(draw: random.Random) -> Iterator[datetime]:
    yield NOW
    yield datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=draw.randrange(3 * 365 * 86_400))


def usage(draw: random.Random) -> Usage:
    """Draw counts that do not contradict each other: parts are taken out of what is left of their whole."""
    cached, write, long, audio, text = (draw.choice(SIZES) for _ in range(5))
    cached_audio = draw.choice((0, audio))
    thoughts, sound, words = (draw.choice(SIZES) for _ in range(3))
    return Usage(
        input_tokens=cached + cached_audio + write + long + audio + text,
        cached_input_tokens=cached + cached_audio,
        cached_audio_tokens=cached_audio,
        cache_write_tokens=write,
        cache_write_long_tokens=long,
        audio_input_tokens=audio + cached_audio,
        output_tokens=thoughts + sound + words,
        reasoning_tokens=thoughts,
        audio_output_tokens=sound,
        characters=draw.choice((0, 0, 123)),
        milliseconds=draw.choice((0, 0, 3_000, 61_500)),
        searches=draw.choice((0, 0, 2)),
    )


def theirs(model: str, provider: str, used: Usage, at: datetime, price: ModelPrice) -> int | None:
    """Return what the package says; None where something was used that it has no price for (and counts as 0)."""
    priced = {name for name, value in price.__dict__.items() if value is not None}
    needs = {
        "input_mtok": used.input_tokens,
        "output_mtok": used.output_tokens,
        "input_mchars": used.characters,
        "audio_hours": used.milliseconds,
        "web_searches_kcount": used.searches,
    }
    if any(count and name not in priced for name, count in needs.items()) or not priced:
        return None
    seconds = Decimal(used.milliseconds) / 1000
    tokens: Any = Tokens(
        input_tokens=used.input_tokens,
        output_tokens=used.output_tokens,
        cache_read_tokens=used.cached_input_tokens,
        cache_write_tokens=used.cache_write_tokens + used.cache_write_long_tokens,
        cache_write_5m_tokens=used.cache_write_tokens,
        cache_write_1h_tokens=used.cache_write_long_tokens,
        input_audio_tokens=used.audio_input_tokens,
        output_audio_tokens=used.audio_output_tokens,
        cache_audio_read_tokens=used.cached_audio_tokens,
        input_image_tokens=0,
        output_image_tokens=0,
        cache_image_read_tokens=0,
        output_reasoning_tokens=used.reasoning_tokens,
        output_citation_tokens=0,
        input_video_tokens=0,
        output_video_tokens=0,
        input_characters=used.characters,
        audio_seconds=seconds,
        input_audio_seconds=seconds,
        web_searches=used.searches,
        storage_searches=0,
    )
    try:
        dollars = SNAPSHOT.calc(tokens, model, provider, None, at).total_price
    except ValueError:
        return None
    return int((dollars * 10**9).to_integral_value(ROUND_HALF_EVEN))


def test_every_model_of_the_catalogue_costs_what_the_catalogue_says() -> None:
    draw = random.Random(7)
    card = RateCard()
    compared: Counter[str] = Counter()
    wrong: list[object] = []
    for source in SNAPSHOT.providers:
        if source.id in PROVIDERS or source.id in UNPRICED:
            continue
        for listed in source.models:
            try:
                _, model = SNAPSHOT.find_provider_model(listed.id, None, source.id, None)
            except LookupError:  # an entry that its own rule does not match
                assert card.rate(source.id, listed.id, moment_ns(NOW)) is None
                compared["unreachable"] += 1
                continue
            for at in moments(draw):
                price = model.get_prices(at)
                rate = card.rate(source.id, listed.id, moment_ns(at))
                if _UNCOUNTED & {name for name, value in price.__dict__.items() if value is not None}:
                    assert rate is None, listed.id
                    continue
                for used in (usage(draw), Usage(input_tokens=draw.choice(SIZES), output_tokens=9), Usage()):
                    ours = None if rate is None else rate.cost(used)
                    expected = theirs(listed.id, source.id, used, at, price)
                    compared["known" if ours is not None else "unknown"] += 1
                    if ours != expected:
                        wrong.append((source.id, listed.id, at, used, ours, expected))
                    elif ours is not None and rate is not None and not (used.milliseconds or used.characters):
                        assert ours <= rate.bound(used.input_tokens, used.output_tokens) + 10**12 * used.searches
    assert wrong == []
    assert compared["known"] > 5_000
    assert compared["unreachable"] < 100
