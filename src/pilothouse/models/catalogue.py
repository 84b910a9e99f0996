"""What is known of models: context window, licence, and the price of the day from `genai-prices`."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec import Struct

from pilothouse.models import local_models
from pilothouse.models.licences import licence_of
from pilothouse.models.rates.published import PROVIDERS, UNPRICED

if TYPE_CHECKING:  # types alone: the package takes half a second of CPU to import
    from genai_prices.types import ModelInfo, TieredPrices


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


class ModelFacts(Struct, frozen=True, kw_only=True):
    """What a team looks at before it chooses a model; None where it is not known.

    Attributes:
        name: ``provider/model``.
        context: Most tokens that it reads at once.
        parameters: Number of weights.
        licence: Of its weights; see `licence_of`.
        input_price: US dollars for a million tokens read, at its lowest tier.
        output_price: The same for tokens written.
    """

    name: str
    context: int | None = None
    parameters: int | None = None
    licence: str | None = None
    input_price: Decimal | None = None
    output_price: Decimal | None = None


def facts(name: str, at: datetime) -> ModelFacts:
    """Return what is known of a model.

    Args:
        name: ``provider/model``, the provider by OpenTelemetry's name.
        at: The moment whose prices count.
    """
    provider, _, model = name.partition("/")
    here = local_models.MODELS.get(model)
    if here is not None:
        return ModelFacts(name=name, context=here.context, parameters=here.parameters, licence=here.licence)
    found = None if provider in UNPRICED else _known(PROVIDERS.get(provider, provider), model)
    prices = found.get_prices(at.astimezone(UTC)) if found is not None and found.prices else None
    return ModelFacts(
        name=name,
        context=found.context_window if found is not None else None,
        licence=licence_of(model),
        input_price=_base(prices.input_mtok) if prices else None,
        output_price=_base(prices.output_mtok) if prices else None,
    )


def _known(provider: str, model: str) -> ModelInfo | None:
    from genai_prices import data_snapshot

    try:
        return data_snapshot.get_snapshot().find_provider_model(model, None, provider, None)[1]
    except LookupError:
        return None


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
