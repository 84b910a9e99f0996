"""Labels of pairs, written down or drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import numpy as np

from pilothouse.evaluation.annotation.order import first_side
from pilothouse.evaluation.annotation.preference import preference_of
from pilothouse.evaluation.annotation.types import Label

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def votes(scores: Sequence[Sequence[float]]) -> list[Label]:
    return [
        Label(place=place, reviewer=str(who), value=value, first=first_side(7, str(who), place), created_at=NOW)
        for place, said in enumerate(scores)
        for who, value in enumerate(said)
    ]


def no_difference(rng: np.random.Generator, items: int, reviewers: int) -> list[Label]:
    """Reviewers who mostly agree on an item, of sides that are equally good over all items; a tenth are ties."""
    leaning = rng.random(items) < 0.5
    return votes(
        [
            [
                0.5 if rng.random() < 0.1 else float(lean if rng.random() < 0.8 else rng.random() < 0.5)
                for _ in range(reviewers)
            ]
            for lean in leaning
        ]
    )


def preference_errs(items: int, reviewers: int) -> Callable[[np.random.Generator], bool]:
    return lambda rng: preference_of(no_difference(rng, items, reviewers)).verdict != "inconclusive"
