"""What calls cost in dollars: prices of your own first, then published ones, at the moment of the call."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from pilothouse.models.rates.card import RateCard
from pilothouse.models.rates.moments import moment_ns
from pilothouse.models.settings import Price
from pilothouse.models.types import Usage


class PriceBook:
    """Prices of calls in US dollars.

    Args:
        own: Prices of your own; they win.
    """

    def __init__(self, own: Iterable[Price] = ()) -> None:
        self._rates = RateCard(own)

    def price(self, provider: str, model: str, usage: Usage, at: datetime) -> Decimal | None:
        """Return what a call cost, or None where that is not known: never 0 for want of a price.

        Cached tokens are billed at their own price in place of the full one, reasoning as output; tiers, dates and
        times of day are those of `genai-prices`. A model on your own machine has no price: it costs energy, which
        nobody measured here.

        Args:
            provider: Who served it, by OpenTelemetry's name.
            model: The model, best as the response names it.
            usage: Its tokens.
            at: When the call was made, aware.
        """
        rate = self._rates.rate(provider, model, moment_ns(at))
        return None if rate is None else rate.dollars(usage)
