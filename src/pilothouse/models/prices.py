"""What calls cost: prices of your own first, then those of the package `genai-prices`, at the moment of the call."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from pilothouse.models.settings import Price
from pilothouse.models.types import Usage

if TYPE_CHECKING:  # types alone: the package takes half a second of CPU to import
    from genai_prices.types import ModelPrice

PROVIDERS: Final = {
    "azure.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "aws.bedrock": "aws",
    "gcp.gemini": "google",
    "gcp.vertex_ai": "google",
    "mistral_ai": "mistral",
    "x_ai": "x-ai",
}
"""OpenTelemetry's names of providers whose name in `genai-prices` is another."""

UNPRICED: Final = frozenset({"local", "scripted", "openai_compatible", "ollama", "vllm"})
"""Nobody sends a bill for these, yet they are not free: their price is unknown unless you give one."""

_MILLION: Final = Decimal(1_000_000)


class PriceBook:
    """Prices of calls in US dollars.

    Args:
        own: Prices of your own; they win.
    """

    def __init__(self, own: Iterable[Price] = ()) -> None:
        self._own = tuple(own)

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
        own = self._own_price(provider, model, at)
        if own is not None:
            return _bill(own, usage)
        if provider in UNPRICED or not model:
            return None
        return _catalogue_price(PROVIDERS.get(provider, provider), model, usage, at.astimezone(UTC))

    def _own_price(self, provider: str, model: str, at: datetime) -> Price | None:
        today = at.astimezone(UTC).date()
        holding = [
            price
            for price in self._own
            if price.model == model and price.provider in {None, provider} and (price.since or date.min) <= today
        ]
        return max(holding, key=lambda price: (price.since or date.min, price.provider is not None), default=None)


def _bill(price: Price, usage: Usage) -> Decimal:
    cached = price.input if price.cached_input is None else price.cached_input
    fresh = usage.input_tokens - usage.cached_input_tokens
    parts = ((fresh, price.input), (usage.cached_input_tokens, cached), (usage.output_tokens, price.output))
    # By way of its text: a float such as 0.1 is meant as the decimal one tenth.
    return sum((tokens * Decimal(str(rate)) for tokens, rate in parts), Decimal(0)) / _MILLION


def _catalogue_price(provider: str, model: str, usage: Usage, at: datetime) -> Decimal | None:
    from genai_prices import data_snapshot
    from genai_prices.types import Usage as Tokens

    snapshot = data_snapshot.get_snapshot()
    # An exact name only: the package itself takes any name that contains a provider's for that provider.
    if all(known.id != provider for known in snapshot.providers):
        return None
    try:
        _, found = snapshot.find_provider_model(model, None, provider, None)
    except LookupError:
        return None
    if not found.prices or not _covers(found.get_prices(at), usage):
        return None
    tokens = Tokens(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cached_input_tokens or None,
        output_reasoning_tokens=usage.reasoning_tokens or None,
    )
    try:
        return snapshot.calc(tokens, model, provider, None, at).total_price
    except ValueError:  # counts that contradict each other, such as more cached tokens than tokens
        return None


def _covers(price: ModelPrice, usage: Usage) -> bool:
    """Tell whether there is a price for each kind of token that was used; the package counts a missing one as 0."""
    return not (
        (usage.input_tokens and price.input_mtok is None) or (usage.output_tokens and price.output_mtok is None)
    )
