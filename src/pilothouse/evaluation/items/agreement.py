"""How far evaluators agree with one another on the same answers, and where they contradict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from pilothouse.evaluation.items.types import Contradiction, EvaluatorPair
from pilothouse.evaluation.observations import observe
from pilothouse.evaluation.statistics.arrays import FloatArray
from pilothouse.evaluation.statistics.bootstrap import bootstrap, jackknife
from pilothouse.evaluation.statistics.resampling import distinct
from pilothouse.evaluation.statistics.special import two_sided_z
from pilothouse.evaluation.types import Interval, Metric, Procedure, ScoredRow

MOST_EVALUATORS = 6
_MANY_UNITS = 2_000
_LEAST_ANSWERS = 10


class _Answer(NamedTuple):
    """One answer that both judged, by goodness and as they said it."""

    item: str
    arm: str
    id: str
    good: tuple[float, float]
    said: tuple[float, float]


def evaluator_pairs(
    metrics: Sequence[Metric],
    runs: Mapping[str, Sequence[ScoredRow]],
    how: Procedure,
    *,
    line_of: Callable[[ScoredRow], str] = lambda row: row.id,
    most: int = 10,
) -> tuple[EvaluatorPair, ...]:
    """Return every two evaluators that judge answers; time and tokens are measured, and no opinion.

    Args:
        metrics: All metrics; of each evaluator the first that gives single rows a value is taken.
        runs: Arm's name -> scored rows.
        how: Level, resamples and seed of the intervals.
        line_of: The row of the data that a scored row belongs to.
        most: Contradictions at most in each list.
    """
    chosen: dict[str, Metric] = {}
    for metric in metrics:
        if metric.kind in {"rate", "mean"} and metric.unit is None:
            chosen.setdefault(metric.evaluator, metric)
    used = list(chosen.values())[:MOST_EVALUATORS]
    seen = {
        (metric.name, arm): {id_: entry.value for id_, entry in observe(metric, rows, "exclude").entries.items()}
        for metric in used
        for arm, rows in runs.items()
    }
    found: list[EvaluatorPair] = []
    for first, second in combinations(used, 2):
        answers = [
            _Answer(line_of(row), arm, row.id, (_good(a, first), _good(b, second)), (a, b))
            for arm, rows in runs.items()
            for row in rows
            if (a := seen[first.name, arm].get(row.id)) is not None
            and (b := seen[second.name, arm].get(row.id)) is not None
        ]
        if answers:
            found.append(_pair(first, second, answers, how, most))
    return tuple(found)


def _good(value: float, metric: Metric) -> float:
    if metric.kind == "rate":
        return value if metric.better == "higher" else 1.0 - value
    return value if metric.better == "higher" else -value


def _pair(first: Metric, second: Metric, answers: Sequence[_Answer], how: Procedure, most: int) -> EvaluatorPair:
    x, y = np.array([answer.good for answer in answers], dtype=np.float64).T
    binary = first.kind == second.kind == "rate"
    features = _cells(x, y) if binary else _moments(_scaled(x), _scaled(y))
    numbers: dict[str, int] = {}
    places = np.array([numbers.setdefault(answer.item, len(numbers)) for answer in answers], dtype=np.int64)
    units = np.zeros((len(numbers), features.shape[1]))
    np.add.at(units, places, features)
    statistic = _kappa if binary else _correlation
    value = float(statistic(units.sum(axis=0)[None, :])[0])
    known = np.isfinite(value)
    return EvaluatorPair(
        first=first.name,
        second=second.name,
        measure="kappa" if binary else "correlation",
        value=value if known else None,
        interval=_interval(units, statistic, value, how) if known and len(numbers) >= _LEAST_ANSWERS else None,
        n=len(answers),
        items=len(numbers),
        contradictions=_contradictions(answers, np.abs(x - y) if binary else np.abs(_scaled(x) - _scaled(y)), most),
    )


def _interval(
    units: FloatArray, statistic: Callable[[FloatArray], FloatArray], value: float, how: Procedure
) -> Interval | None:
    kinds, counts = distinct(units)
    if len(kinds) <= _MANY_UNITS:
        return bootstrap(kinds, counts, statistic, level=how.level, resamples=how.resamples, seed=how.seed).interval
    # Over many different items resampling only costs: the jackknife gives the same error.
    left_out, n = jackknife(kinds, counts, statistic), int(counts.sum())
    error = float(np.sqrt((n - 1) / n * (counts @ (left_out - np.average(left_out, weights=counts)) ** 2)))
    reach = two_sided_z(how.level) * error
    return Interval(low=max(-1.0, value - reach), high=min(1.0, value + reach), level=how.level, method="jackknife")


def _contradictions(answers: Sequence[_Answer], gaps: FloatArray, most: int) -> tuple[Contradiction, ...]:
    order: list[int] = [place for place in np.argsort(-gaps, kind="stable").tolist()[:most] if gaps[place] > 0.0]
    found = [answers[place] for place in order]
    return tuple(Contradiction(id=a.id, arm=a.arm, first=a.said[0], second=a.said[1]) for a in found)


def _scaled(values: FloatArray) -> FloatArray:
    spread = float(values.std())
    return (values - values.mean()) / spread if spread > 0.0 else values - values.mean()


def _cells(x: FloatArray, y: FloatArray) -> FloatArray:
    """Return (n, 4): both good, only the first, only the second, neither."""
    return np.stack([x * y, x * (1.0 - y), (1.0 - x) * y, (1.0 - x) * (1.0 - y)], axis=1)


def _kappa(sums: FloatArray) -> FloatArray:
    """Return Cohen's kappa from (m, 4) sums of cells; NaN where both always say the same one thing."""
    both, first, second, neither = sums.T
    n = sums.sum(axis=1)
    agreed = (both + neither) / n
    chance = ((both + first) * (both + second) + (neither + first) * (neither + second)) / n**2
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(chance < 1.0, (agreed - chance) / (1.0 - chance), np.nan)


def _moments(x: FloatArray, y: FloatArray) -> FloatArray:
    return np.stack([np.ones(len(x)), x, y, x * x, y * y, x * y], axis=1)


def _correlation(sums: FloatArray) -> FloatArray:
    """Return Pearson's correlation from (m, 6) sums; NaN where one side does not vary."""
    n, x, y, xx, yy, xy = sums.T
    spread = (xx - x * x / n) * (yy - y * y / n)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(spread > 1e-18, np.clip((xy - x * y / n) / np.sqrt(spread), -1.0, 1.0), np.nan)
