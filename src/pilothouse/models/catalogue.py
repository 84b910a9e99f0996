"""The catalogue of hosted models: context window and price of the day, from `genai-prices`."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec import Struct

from pilothouse.models.prices import PROVIDERS

if TYPE_CHECKING:  # types alone: the package takes half a second of CPU to import
    from genai_prices.types import TieredPrices


class CatalogueModel(Struct, frozen=True, kw_only=True):
    """A hosted model.

    Attributes:
        provider: Who serves it.
        id: How requests name it.
        name: How people name it.
        context: Most tokens of input; None where unknown.
        input_price: US dollars for a million tokens read, at its lowest tier; None where unknown.
        output_price: The same for tokens written.
        deprecated: Whether the provider is about to withdraw it.
    """

    provider: str
    id: str
    name: str
    context: int | None
    input_price: Decimal | None
    output_price: Decimal | None
    deprecated: bool


def search(at: datetime, *, text: str = "", provider: str | None = None) -> list[CatalogueModel]:
    """Return hosted models, by provider and id.

    Args:
        at: The moment whose prices count.
        text: What the id or name must contain, in any case.
        provider: Whose models; a name of OpenTelemetry's or of `genai-prices`.
    """
    from genai_prices import data_snapshot

    wanted = PROVIDERS.get(provider, provider) if provider else None
    found: list[CatalogueModel] = []
    for source in data_snapshot.get_snapshot().providers:
        if wanted not in (None, source.id):
            continue
        for model in source.models:
            if text.lower() not in f"{model.id} {model.name or ''}".lower():
                continue
            prices = model.get_prices(at.astimezone(UTC)) if model.prices else None
            found.append(
                CatalogueModel(
                    provider=source.id,
                    id=model.id,
                    name=model.name or model.id,
                    context=model.context_window,
                    input_price=_base(prices.input_mtok) if prices else None,
                    output_price=_base(prices.output_mtok) if prices else None,
                    deprecated=bool(model.deprecated),
                )
            )
    return sorted(found, key=lambda model: (model.provider, model.id))


def providers() -> list[str]:
    """Return the names of all providers in the catalogue."""
    from genai_prices import data_snapshot

    return sorted(source.id for source in data_snapshot.get_snapshot().providers)


def _base(price: Decimal | TieredPrices | None) -> Decimal | None:
    return price if isinstance(price, Decimal) or price is None else price.base
