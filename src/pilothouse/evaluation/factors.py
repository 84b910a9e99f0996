"""What one factor of a full grid does on average over all others: every row of every arm tells of it.

A row's value at a level is its mean over all arms of that level, so a factor is compared within rows, by all
answers of the grid. Yates's main effect, with paired tests in place of an analysis of variance: rows differ far more
than arms do, and their values are not normal. An average hides how factors depend on each other: the arms show it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from msgspec import Struct, structs

from pilothouse.evaluation.compare import compare, correct
from pilothouse.evaluation.observations import Entry, observe
from pilothouse.evaluation.types import Comparison, Metric, Procedure, Score, ScoredRow

Levels = Mapping[str, str]
"""Factor -> the arm's level of it."""


class Effect(Struct, frozen=True, kw_only=True):
    """One level of a factor against its first level, averaged over the levels of all other factors.

    Attributes:
        factor: The factor.
        level: The level.
        base: The first level of the factor.
        comparison: The difference; corrected over all levels of all factors.
        left_out: Rows without a value in some arm: they cannot be averaged.
    """

    factor: str
    level: str
    base: str
    comparison: Comparison
    left_out: int = 0


def main_effects(
    metric: Metric,
    runs: Mapping[str, Sequence[ScoredRow]],
    arms: Mapping[str, Levels],
    procedure: Procedure | None = None,
) -> tuple[Effect, ...]:
    """Return the main effect of every level but the first of each factor; none where the arms are no full grid.

    Args:
        metric: A rate or a mean; other figures are no means of rows.
        runs: Arm -> its scored rows.
        arms: Arm -> its levels; the order of arms is that of the levels.
        procedure: How.
    """
    how = procedure or Procedure()
    factors = _factors(arms)
    if metric.kind not in {"rate", "mean"} or not _is_grid(arms, factors):
        return ()
    seen = {arm: observe(metric, runs[arm], how.failures).entries for arm in arms}
    every = set[str]().union(*seen.values())
    ids = sorted(every.intersection(*seen.values()))
    mean = structs.replace(metric, kind="mean", category=None, worst=None)
    family = sum(len(levels) - 1 for levels in factors.values())
    places: list[tuple[str, str, str]] = []
    drafts: list[Comparison] = []
    for factor, levels in factors.items():
        rows = {
            level: _averaged(mean, [seen[arm] for arm, own in arms.items() if own[factor] == level], ids)
            for level in levels
        }
        base = levels[0]
        for level in levels[1:]:
            places.append((factor, level, base))
            drafts.append(compare(mean, rows[base], rows[level], how, names=(base, level), family=family))
    settled = correct(drafts, how.correction)
    return tuple(
        Effect(factor=factor, level=level, base=base, comparison=item, left_out=len(every) - len(ids))
        for (factor, level, base), item in zip(places, settled, strict=True)
    )


def _factors(arms: Mapping[str, Levels]) -> dict[str, list[str]]:
    """Return the factors that vary, each with its levels in the order of the arms."""
    found: dict[str, dict[str, None]] = {}
    for levels in arms.values():
        for factor, level in levels.items():
            found.setdefault(factor, {})[level] = None
    return {factor: list(levels) for factor, levels in found.items() if len(levels) > 1}


def _is_grid(arms: Mapping[str, Levels], factors: Mapping[str, Sequence[str]]) -> bool:
    """Return whether the arms are every combination of at least two factors, each once."""
    if len(factors) < 2 or len(arms) != math.prod(map(len, factors.values())):
        return False
    combinations = {tuple(levels.get(factor) for factor in factors) for levels in arms.values()}
    return len(combinations) == len(arms) and not any(None in combination for combination in combinations)


def _averaged(metric: Metric, arms: Sequence[Mapping[str, Entry]], ids: Sequence[str]) -> list[ScoredRow]:
    score = Score(name=metric.score, evaluator=metric.evaluator)
    return [
        ScoredRow(
            id=id_,
            scores=(structs.replace(score, value=math.fsum(arm[id_].value for arm in arms) / len(arms)),),
            cluster=arms[0][id_].cluster,
        )
        for id_ in ids
    ]
