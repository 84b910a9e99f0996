"""What single factors of an experiment do: the levels of its arms, and their effects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pilothouse.core.canonical import canonical_json
from pilothouse.evaluation.factors import Effect, main_effects
from pilothouse.evaluation.types import Metric, Procedure, ScoredRow
from pilothouse.experiments.types import Variant


def effects_of(
    variants: Sequence[Variant], metric: Metric, scored: Mapping[str, Sequence[ScoredRow]], how: Procedure
) -> tuple[Effect, ...]:
    """Return what every factor does in the primary metric; nothing where the arms are no full grid of several."""
    return main_effects(metric, scored, levels_of(variants), how)


def levels_of(variants: Sequence[Variant]) -> dict[str, dict[str, str]]:
    """Return arm -> factor -> level; settings that always change together are one factor."""
    factors: dict[tuple[int, ...], dict[str, list[str]]] = {}
    for name in dict.fromkeys(key for variant in variants for key in variant.content):
        values = [_text(variant.content[name]) if name in variant.content else "–" for variant in variants]
        order = list(dict.fromkeys(values))
        factors.setdefault(tuple(order.index(value) for value in values), {})[name] = values
    return {
        variant.name: {
            " and ".join(together): ", ".join(values[place] for values in together.values())
            for together in factors.values()
        }
        for place, variant in enumerate(variants)
    }


def _text(value: object) -> str:
    return value if isinstance(value, str) else canonical_json(value).decode()
