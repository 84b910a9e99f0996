"""Prices that providers publish, as `genai-prices` collects them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from functools import cache
from importlib import metadata
from typing import TYPE_CHECKING, Final

from pilothouse.models.rates.compilation import UNITS, Tiers, compile_rate
from pilothouse.models.rates.moments import day_ns, moment, named_since
from pilothouse.models.rates.rate import FOREVER, Rate

if TYPE_CHECKING:  # types alone: the package takes half a second of CPU to import
    from genai_prices.types import ConditionalPrice, ModelInfo, ModelPrice

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

_UNCOUNTED: Final = frozenset(
    {
        "input_document_kpages",
        "input_annotated_document_kpages",
        "input_gpixels",
        "input_text_messages_kcount",
        "output_audio_hours",
    }
)
"""What a usage does not count: the cost of a model that is billed by it is not known."""

_SHORTEST: Final = {("groq", "whisper-large-v3"): 10_000, ("groq", "whisper-large-v3-turbo"): 10_000}


def load() -> None:
    """Load the catalogue: half a second of CPU, once in a process."""
    from genai_prices import data_snapshot

    data_snapshot.get_snapshot()


def published_rate(provider: str, model: str, at_ns: int) -> Rate | None:
    """Return the published price of a model at a moment; None where there is none.

    Args:
        provider: By OpenTelemetry's name, or that of `genai-prices`.
        model: As requests or answers name it.
        at_ns: The moment.
    """
    if provider in UNPRICED or not model:
        return None
    known = PROVIDERS.get(provider, provider)
    found = _find(known, model)
    if found is None or not found.prices:
        return None
    listed = _listed(found.get_prices(moment(at_ns)))
    if listed is None:
        return None
    since, until = _span(found.prices, at_ns)
    return compile_rate(
        listed,
        name=f"genai-prices-{_version()}@{named_since(since)}",
        valid_from_ns=since,
        valid_until_ns=until,
        least_milliseconds=_SHORTEST.get((known, found.id), 0),
    )


def _find(provider: str, model: str) -> ModelInfo | None:
    from genai_prices import data_snapshot

    snapshot = data_snapshot.get_snapshot()
    # An exact name only: the package itself takes any name that contains a provider's for that provider.
    if all(known.id != provider for known in snapshot.providers):
        return None
    try:
        return snapshot.find_provider_model(model, None, provider, None)[1]
    except LookupError:
        return None


def _listed(prices: ModelPrice) -> dict[str, Tiers] | None:
    """Return a price list by the names of `UNITS`; None where something has a price that a usage does not count."""
    from genai_prices.types import TieredPrices

    listed: dict[str, Tiers] = {}
    for name, price in prices.__dict__.items():
        if price is None:
            continue
        if name in _UNCOUNTED:
            return None
        if name not in UNITS:
            continue  # a part that a usage does not tell apart: it has the price of its whole
        if isinstance(price, TieredPrices):
            steps = tuple((tier.start, Fraction(tier.price)) for tier in price.tiers)
            listed[name] = Tiers(Fraction(price.base), steps)
        else:
            listed[name] = Tiers(Fraction(price))
    return listed or None


def _span(prices: ModelPrice | list[ConditionalPrice], at_ns: int) -> tuple[int, int]:
    """Return the moments between which no condition of a price changes around ``at_ns``."""
    changes = {0, FOREVER}
    if isinstance(prices, list):
        today = moment(at_ns).date()
        for price in prices:
            changes.update(_changes(price, today))
    return max(change for change in changes if change <= at_ns), min(change for change in changes if change > at_ns)


def _changes(price: ConditionalPrice, today: date) -> list[int]:
    from genai_prices.types import StartDateConstraint

    constraint = price.constraint
    if constraint is None:
        return []
    if isinstance(constraint, StartDateConstraint):
        return [day_ns(constraint.start_date)]
    days = [today + timedelta(days=shift) for shift in (-1, 0, 1)]
    return [_time_ns(day, edge) for day in days for edge in (constraint.start_time, constraint.end_time)]


def _time_ns(day: date, edge: time) -> int:
    """Return the moment at which it is ``edge`` (UTC, where it names no zone) on ``day``."""
    since = datetime.combine(day, edge if edge.tzinfo else edge.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
    return since // timedelta(microseconds=1) * 1_000


@cache
def _version() -> str:
    return metadata.version("genai-prices")
