"""What calls cost, at the price of a look-up per model instead of one per call."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from msgspec import Struct

from pilothouse.models.types import Usage

Price = Callable[[str, str, Usage, datetime], Decimal | None]

#: Below this many tokens no known provider changes its price per token (the first steps are at 128,000).
_STEP = 100_000
_PROBE = 10_000


class _Rates(Struct, frozen=True):
    """US dollars per token."""

    input: Decimal
    cached_input: Decimal
    output: Decimal

    def cost(self, usage: Usage) -> Decimal:
        fresh = usage.input_tokens - usage.cached_input_tokens
        return fresh * self.input + usage.cached_input_tokens * self.cached_input + usage.output_tokens * self.output


class Tariffs:
    """Prices of calls at one moment.

    A price is asked for with three probes per model, and the rates are used only if they give the very price that
    the catalogue gives for the first call; a model with any other kind of price is asked for each time.

    Args:
        price: `ModelService.price`.
        at: The moment whose prices count.
    """

    def __init__(self, price: Price, at: datetime) -> None:
        self._price = price
        self._at = at
        self._rates: dict[tuple[str, str], _Rates | None] = {}
        self._unknown: set[tuple[str, str]] = set()

    def cost(self, provider: str, model: str, usage: Usage) -> Decimal | None:
        """Return the US dollars of one call, or None when its price is not known."""
        key = (provider, model)
        if key in self._unknown:
            return None
        if key not in self._rates:
            self._rates[key] = self._learn(provider, model, usage)
        rates = self._rates[key]
        if rates is not None and usage.input_tokens + usage.output_tokens < _STEP:
            return rates.cost(usage)
        return None if key in self._unknown else self._price(provider, model, usage, self._at)

    def _learn(self, provider: str, model: str, usage: Usage) -> _Rates | None:
        exact = self._price(provider, model, usage, self._at)
        if exact is None:
            self._unknown.add((provider, model))
            return None
        probes = (
            Usage(input_tokens=_PROBE),
            Usage(input_tokens=_PROBE, cached_input_tokens=_PROBE),
            Usage(output_tokens=_PROBE),
        )
        prices = [self._price(provider, model, probe, self._at) for probe in probes]
        known = [price for price in prices if price is not None]
        if len(known) < len(probes):
            return None
        rates = _Rates(*(price / _PROBE for price in known))
        return rates if rates.cost(usage) == exact else None
