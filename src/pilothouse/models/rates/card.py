"""The rate of a model at a moment: own prices first, then published ones, each compiled once while it holds."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from fractions import Fraction
from typing import Final, Self

from msgspec.structs import replace

from pilothouse.core.canonical import digest
from pilothouse.core.services import Services
from pilothouse.models.rates.compilation import Tiers, compile_rate
from pilothouse.models.rates.moments import day_ns, moment, named_since
from pilothouse.models.rates.published import load, published_rate
from pilothouse.models.rates.rate import FOREVER, Rate
from pilothouse.models.settings import ModelSettings, Price

_MOST: Final = 8_192
_DAY: Final = 86_400_000_000_000

_OWN: Final = {
    "input": ("input_mtok", 1),
    "output": ("output_mtok", 1),
    "cached_input": ("cache_read_mtok", 1),
    "cache_write": ("cache_write_mtok", 1),
    "cache_write_long": ("cache_write_1h_mtok", 1),
    "audio_input": ("input_audio_mtok", 1),
    "audio_output": ("output_audio_mtok", 1),
    "image_input": ("input_image_mtok", 1),
    "image_output": ("output_image_mtok", 1),
    "reasoning": ("output_reasoning_mtok", 1),
    "image": ("images", 1),
    "characters": ("input_mchars", 1),
    "second": ("audio_hours", 3_600),
    "search": ("rerank_searches_kcount", 1_000),
    "request": ("requests_kcount", 1_000),
}
"""Fields of `Price`: the unit, and how many of what the field is for are in what the unit is for."""


class RateCard:
    """Rates by provider, model and moment.

    Args:
        own: Prices of your own; they win.
    """

    def __init__(self, own: Iterable[Price] = ()) -> None:
        self._own = tuple(own)
        # Unknown ones are remembered too; names come from providers' answers, so their number is bounded.
        self._rates: dict[tuple[str, str], tuple[int, int, Rate | None]] = {}

    @classmethod
    def build(cls, services: Services) -> Self:
        """Build the rate card of a project."""
        return cls(services.settings.section(ModelSettings).prices)

    def take(self, own: Iterable[Price]) -> bool:
        """Let other prices of your own hold from now on; return whether they are others. Any thread may."""
        wanted = tuple(own)
        if wanted == self._own:
            return False
        self._own = wanted
        self._rates = {}  # after the prices: whoever finds it empty compiles from them
        return True

    def warm(self, models: Iterable[tuple[str, str]] = (), at_ns: int = 0) -> None:
        """Load the published prices now, half a second of CPU, and compile what is known to be asked for.

        Best in a thread at the start: the first look-up of a model takes a millisecond or two.

        Args:
            models: Providers and models, as for ``rate``.
            at_ns: The moment, as for ``rate``.
        """
        load()
        for provider, model in models:
            self.rate(provider, model, at_ns)

    def rate(self, provider: str, model: str, at_ns: int) -> Rate | None:
        """Return what a model costs at a moment; None where that is not known.

        Args:
            provider: Who serves it, by OpenTelemetry's name.
            model: The model, best as the answer names it.
            at_ns: Nanoseconds since 1970.
        """
        rates = self._rates
        found = rates.get((provider, model))
        if found is None or not found[0] <= at_ns < found[1]:
            found = self._compiled(provider, model, at_ns)
            if len(rates) >= _MOST:
                rates.clear()
            rates[(provider, model)] = found
        return found[2]

    def _compiled(self, provider: str, model: str, at_ns: int) -> tuple[int, int, Rate | None]:
        fitting = [price for price in self._own if price.model == model and price.provider in {None, provider}]
        begins = [0, *(day_ns(price.since or date.min) for price in fitting), FOREVER]
        since, until = max(ns for ns in begins if ns <= at_ns), min(ns for ns in begins if ns > at_ns)
        today = moment(at_ns).date()
        holding = [price for price in fitting if (price.since or date.min) <= today]
        own = max(holding, key=lambda price: (price.since or date.min, price.provider is not None), default=None)
        if own is not None:
            return since, until, own_rate(own, until)
        rate = published_rate(provider, model, at_ns)
        if rate is None:
            # A published price may begin later: looked up again tomorrow.
            tomorrow = (at_ns // _DAY + 1) * _DAY
            return at_ns // _DAY * _DAY, min(until, tomorrow), None
        since, until = max(since, rate.valid_from_ns), min(until, rate.valid_until_ns)
        return since, until, replace(rate, valid_from_ns=since, valid_until_ns=until)


def own_rate(price: Price, until_ns: int = FOREVER) -> Rate:
    """Return the rate of a price of your own."""
    listed: dict[str, Tiers] = {}
    for field, (unit, many) in _OWN.items():
        value: float | None = getattr(price, field)
        if value is not None:
            # By way of its text: a float such as 0.1 is meant as the decimal one tenth.
            listed[unit] = Tiers(Fraction(str(value)) * many)
    if "cache_read_mtok" in listed and "input_audio_mtok" in listed:
        listed["cache_audio_read_mtok"] = listed["cache_read_mtok"]  # sound read from the cache is in both
    since = day_ns(price.since or date.min)
    return compile_rate(
        listed,
        # Two prices may have one date: the first characters of the digest tell them apart in the ledger.
        name=f"own-{digest(price)[:8]}@{named_since(since)}",
        valid_from_ns=since,
        valid_until_ns=until_ns,
    )
