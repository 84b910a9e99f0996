"""What pairs say of a difference: test, interval and least detectable effect, by the kind of the metric.

=========  ==============================  ==================================  ==============================
metric     test                            interval of the difference          least detectable effect
=========  ==============================  ==================================  ==============================
rate       McNemar, exact                  Tango's score                       exact power of McNemar's test
mean       paired permutation              paired BCa bootstrap                power of the paired t-test
quantile   paired bootstrap                paired percentile bootstrap         from the bootstrap's error
labels     paired permutation              paired BCa bootstrap                from the bootstrap's error
sums       paired permutation              paired BCa bootstrap                from the bootstrap's error
=========  ==============================  ==================================  ==============================

With clusters whole clusters are swapped and drawn (a rate then has a clustered t interval). A mean over fewer than 20
or more than 5,000 pairs has Student's interval (below, resampling is too narrow; above, it only costs), and above
also his test. The bootstrap of a quantile is careful: it cries wolf in about 1 % of comparisons where 5 % would be
accepted, and its detectable effect is found with more than the stated power (`tests/evaluation/simulations.py`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from pilothouse.evaluation.aggregate import joined, quantile_of
from pilothouse.evaluation.observations import values
from pilothouse.evaluation.pairs import Pairs
from pilothouse.evaluation.statistics import power
from pilothouse.evaluation.statistics.arrays import FloatArray
from pilothouse.evaluation.statistics.bootstrap import Bootstrap, bootstrap, bootstrap_quantile
from pilothouse.evaluation.statistics.intervals import deviation, mean_interval, paired_rate_interval, standard_error
from pilothouse.evaluation.statistics.special import t_tail
from pilothouse.evaluation.statistics.tests import least_discordant, mcnemar, paired_permutation
from pilothouse.evaluation.types import Interval, Metric, Procedure
from pilothouse.evaluation.units import Units, units_of

_FEW_PAIRS = 20
_MANY_PAIRS = 5_000
_BEYOND_QUANTILE = 5
"""Pairs that must lie beyond a quantile before its difference is tested: 10 in all for a median, 100 for p95."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What the pairs say of the difference; the fields are those of `Comparison`."""

    test: str
    p_value: float | None
    interval: Interval | None = None
    mde: float | None = None
    discordant: tuple[int, int] | None = None
    note: str | None = None


def findings(metric: Metric, pairs: Pairs, how: Procedure, alpha: float) -> Findings:
    """Return what at least one pair says of the difference; ``alpha`` is the level of the detectable effect."""
    match metric.kind:
        case "rate":
            return _of_rate(metric, pairs, how, alpha)
        case "mean":
            return _of_mean(metric, pairs, how, alpha)
        case "quantile":
            return _of_quantile(metric, pairs, how, alpha)
        case "labels" | "sums":
            return _of_units(_units(metric, pairs), how, alpha)


def _units(metric: Metric, pairs: Pairs) -> Units:
    return units_of(metric, [pairs.baseline, pairs.candidate], pairs.groups)


def _of_rate(metric: Metric, pairs: Pairs, how: Procedure, alpha: float) -> Findings:
    before, after = values(pairs.baseline), values(pairs.candidate)
    lost, gained = int((before > after).sum()), int((after > before).sum())
    if pairs.groups is not None:
        return replace(_of_mean(metric, pairs, how, alpha), discordant=(lost, gained))
    outcome = mcnemar(lost, gained)
    return Findings(
        test=outcome.method,
        p_value=outcome.p_value,
        interval=paired_rate_interval(lost, gained, pairs.n, how.level),
        mde=power.detectable_rate_difference(pairs.n, (lost + gained) / pairs.n, alpha, how.power),
        discordant=(lost, gained),
        note=_too_few(lost + gained, alpha),
    )


def _of_mean(metric: Metric, pairs: Pairs, how: Procedure, alpha: float) -> Findings:
    gaps = values(pairs.candidate) - values(pairs.baseline)
    student = mean_interval(gaps, how.level, clusters=pairs.groups)
    if pairs.groups is not None:
        return replace(_of_units(_units(metric, pairs), how, alpha), interval=student)
    mde = power.detectable_mean_difference(pairs.n, deviation(gaps), alpha, how.power)
    if pairs.n > _MANY_PAIRS:
        return Findings("paired t", _student_p(gaps), student, mde)
    found = replace(_of_units(_units(metric, pairs), how, alpha), mde=mde)
    return replace(found, interval=student) if pairs.n < _FEW_PAIRS else found


def _of_quantile(metric: Metric, pairs: Pairs, how: Procedure, alpha: float) -> Findings:
    q = quantile_of(metric)
    sides = (values(pairs.baseline), values(pairs.candidate))
    drawn = bootstrap_quantile(sides, q, pairs.groups, level=how.level, resamples=how.resamples, seed=how.seed)
    needed = math.ceil(_BEYOND_QUANTILE / min(q, 1.0 - q))
    few = f"only {pairs.n} pairs: a comparison of this quantile needs {needed}" if pairs.n < needed else None
    return Findings(
        test="paired bootstrap",
        p_value=None if few else drawn.p_value,
        interval=drawn.interval,
        mde=_by_error(drawn, alpha, how),
        note=joined(few, drawn.note),
    )


def _of_units(units: Units, how: Procedure, alpha: float) -> Findings:
    drawn = bootstrap(
        units.joined, units.counts, units.difference, level=how.level, resamples=how.resamples, seed=how.seed
    )
    first, second = units.sides
    outcome = paired_permutation(
        first, second, units.counts, units.statistic, resamples=how.permutations, seed=how.seed
    )
    return Findings(
        test=outcome.method,
        p_value=outcome.p_value,
        interval=drawn.interval,
        mde=_by_error(drawn, alpha, how),
        note=joined(_too_few(outcome.differing, alpha), drawn.note),
    )


def _by_error(drawn: Bootstrap, alpha: float, how: Procedure) -> float | None:
    return power.detectable_by_error(drawn.standard_error, alpha, how.power) if drawn.standard_error else None


def _student_p(gaps: FloatArray) -> float:
    error = standard_error(gaps)
    return t_tail(float(gaps.mean()) / error, len(gaps) - 1) if error else float(not gaps.any())


def _too_few(differing: int, alpha: float) -> str | None:
    needed = least_discordant(alpha)
    return f"only {differing} pairs differ: p < {alpha:.3g} needs {needed}" if differing < needed else None
