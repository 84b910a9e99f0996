"""Simulations: do intervals cover, tests keep their level, and effects have the power that is stated?

The ordinary tests run them small; `python -m tests.evaluation.simulations 20` runs them with 20 times the trials and
prints a table. Each has a fixed seed, and passes when its observed rate is within the stated band, widened by 3.5
binomial standard errors of the trials.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from time import process_time

import numpy as np

from pilothouse.evaluation.calibration.measure import kappa_interval
from pilothouse.evaluation.compare import compare, compare_runs
from pilothouse.evaluation.metrics.classification import statistic
from pilothouse.evaluation.metrics.sums import STATISTICS
from pilothouse.evaluation.statistics.agreement import true_rate
from pilothouse.evaluation.statistics.bootstrap import bootstrap
from pilothouse.evaluation.statistics.intervals import mean_interval, paired_rate_interval, quantile_interval, wilson
from pilothouse.evaluation.statistics.power import detectable_mean_difference, detectable_rate_difference
from pilothouse.evaluation.statistics.resampling import distinct
from pilothouse.evaluation.statistics.tests import mcnemar, paired_permutation
from pilothouse.evaluation.types import Metric, Procedure

from .annotation.pairs import preference_errs
from .rows import MACRO_F1, MEDIAN, P95, RATE, labelled, scored

_ERRORS = 3.5
QUICK = Procedure(resamples=400, permutations=399)

Trial = Callable[[np.random.Generator], bool]


@dataclass(frozen=True)
class Simulation:
    """A trial that hits or misses, how often it is made in the ordinary tests, and the band its rate must lie in."""

    name: str
    trial: Trial
    trials: int
    low: float
    high: float

    def run(self, times: int = 1) -> tuple[float, float, float]:
        """Return the observed rate and the band, widened by the error of the trials."""
        trials = self.trials * times
        rng = np.random.default_rng(2024)
        rate = sum(self.trial(rng) for _ in range(trials)) / trials
        low, high = (
            bound + sign * _ERRORS * math.sqrt(max(bound * (1 - bound), 1 / trials) / trials)
            for bound, sign in ((self.low, -1), (self.high, 1))
        )
        return rate, low, high


def _covers(interval: object, truth: float) -> bool:
    return interval is not None and interval.low - 1e-12 <= truth <= interval.high + 1e-12  # type: ignore[attr-defined]


def wilson_covers(n: int, p: float) -> Trial:
    @lru_cache
    def covers(successes: int) -> bool:
        return _covers(wilson(successes, n), p)

    return lambda rng: covers(int(rng.binomial(n, p)))


def tango_covers(n: int, lost: float, gained: float) -> Trial:
    def trial(rng: np.random.Generator) -> bool:
        b, c, _ = rng.multinomial(n, [lost, gained, 1 - lost - gained])
        return _covers(paired_rate_interval(int(b), int(c), n), gained - lost)

    return trial


def quantile_covers(n: int, q: float) -> Trial:
    return lambda rng: _covers(quantile_interval(rng.exponential(size=n), q), -math.log(1 - q))


def clusters_cover(count: int, size: int, *, clustered: bool) -> Trial:
    """Rates that differ between documents: Beta(1, 1), mean 0.5, correlation 1/3 within a document."""
    groups = np.repeat(np.arange(count), size)

    def trial(rng: np.random.Generator) -> bool:
        values = (rng.random(count * size) < rng.random(count)[groups]).astype(float)
        return _covers(mean_interval(values, clusters=groups if clustered else None), 0.5)

    return trial


def bootstrap_mean_covers(n: int) -> Trial:
    """Differences of a skewed population: exponential, mean 1."""

    def trial(rng: np.random.Generator) -> bool:
        units = np.stack([rng.exponential(size=n), np.ones(n)], axis=1)
        found = bootstrap(*distinct(units), lambda sums: sums[:, 0] / sums[:, 1], resamples=400)
        return _covers(found.interval, 1.0)

    return trial


CELLS = np.array([[0.40, 0.06, 0.04], [0.06, 0.20, 0.04], [0.02, 0.04, 0.14]])
"""Joint chances of true class (rows) and prediction (columns)."""


def _sums(counts: np.ndarray) -> np.ndarray:
    return np.concatenate([np.diag(counts), counts.sum(axis=0), counts.sum(axis=1)])


def figure_covers(name: str, n: int, method: str) -> Trial:
    """Bootstrap interval of a statistic of the confusion matrix of the population `CELLS`."""
    truth = float(statistic(name)(_sums(CELLS)[None, :])[0])
    units = np.array([_sums(np.eye(9)[i].reshape(3, 3)) for i in range(9)])

    def trial(rng: np.random.Generator) -> bool:
        counts = rng.multinomial(n, CELLS.ravel())
        seen = counts > 0
        found = bootstrap(units[seen], counts[seen], statistic(name), resamples=600, method=method)  # type: ignore[arg-type]
        return _covers(found.interval, truth)

    return trial


def family_errs(n: int, p: float) -> Trial:
    """Three variants that are as good as the baseline: is any found to differ?"""

    def trial(rng: np.random.Generator) -> bool:
        hard = rng.random(n) * 0.6  # rows differ in how hard they are, so pairs are correlated
        runs = {name: scored("right", (rng.random(n) < p - 0.3 + hard).tolist()) for name in ("base", "x", "y", "z")}
        return any(found.verdict != "inconclusive" for found in compare_runs(RATE, runs, "base", QUICK))

    return trial


def macro_f1_errs(n: int) -> Trial:
    def trial(rng: np.random.Generator) -> bool:
        truth = rng.choice(3, size=n, p=CELLS.sum(axis=1))
        chances = CELLS / CELLS.sum(axis=1, keepdims=True)
        sides = [[str(rng.choice(3, p=chances[t])) for t in truth] for _ in range(2)]
        runs = [labelled([str(t) for t in truth], side) for side in sides]
        return compare(MACRO_F1, runs[0], runs[1], QUICK).verdict != "inconclusive"

    return trial


def latency_errs(n: int, metric: Metric = MEDIAN) -> Trial:
    def trial(rng: np.random.Generator) -> bool:
        length = rng.lognormal(size=n)
        sides = [scored("value", (length * rng.lognormal(0, 0.3, size=n)).tolist()) for _ in range(2)]
        return compare(metric, sides[0], sides[1], QUICK).verdict != "inconclusive"

    return trial


def clusters_err(count: int, size: int) -> Trial:
    """Two variants of which each is the better one on half of the documents."""
    documents = [f"d{i // size}" for i in range(count * size)]

    def trial(rng: np.random.Generator) -> bool:
        lean = np.repeat(rng.uniform(-0.4, 0.4, size=count), size)
        sides = [(rng.random(count * size) < 0.5 + sign * lean).tolist() for sign in (1, -1)]
        runs = [scored("right", side, documents) for side in sides]
        return compare(RATE, runs[0], runs[1], QUICK).verdict != "inconclusive"

    return trial


def true_rate_covers(n: int, truth: float, sensitivity: float, specificity: float, labelled_: int) -> Trial:
    """Verdicts of a fallible judge, calibrated on as many things of either kind."""
    said = truth * sensitivity + (1 - truth) * (1 - specificity)

    def trial(rng: np.random.Generator) -> bool:
        hits, rejections = (int(rng.binomial(labelled_, rate)) for rate in (sensitivity, specificity))
        _, interval = true_rate(
            int(rng.binomial(n, said)), n, sensitivity=(hits, labelled_), specificity=(rejections, labelled_)
        )
        return _covers(interval, truth)

    return trial


def kappa_covers(n: int, truth: float, sensitivity: float, specificity: float) -> Trial:
    agreed = truth * sensitivity + (1 - truth) * specificity
    said = truth * sensitivity + (1 - truth) * (1 - specificity)
    chance = truth * said + (1 - truth) * (1 - said)

    def trial(rng: np.random.Generator) -> bool:
        true = rng.random(n) < truth
        verdict = rng.random(n) < np.where(true, sensitivity, 1 - specificity)
        interval = kappa_interval(true.astype(float), verdict.astype(float), weighted=False, resamples=500)  # type: ignore[arg-type]
        return _covers(interval, (agreed - chance) / (1 - chance))

    return trial


def corpus_ratio_covers(n: int) -> Trial:
    """Bootstrap interval of an error rate over texts of unequal length; longer texts have more errors a word."""
    truth = 0.1 + 0.004 * (2 * 77 + 1) / 3  # sum of squares over sum of 1 .. 77

    def trial(rng: np.random.Generator) -> bool:
        words = rng.integers(1, 78, size=n)
        errors = rng.binomial(words, 0.1 + 0.004 * words)
        units = np.stack([errors, words], axis=1).astype(float)
        found = bootstrap(*distinct(units), STATISTICS["ratio"], resamples=400)
        return _covers(found.interval, truth)

    return trial


def mcnemar_finds(n: int, discordance: float) -> Trial:
    delta = detectable_rate_difference(n, discordance)
    assert delta is not None
    chances = [(discordance - delta) / 2, (discordance + delta) / 2, 1 - discordance]

    def trial(rng: np.random.Generator) -> bool:
        lost, gained, _ = rng.multinomial(n, chances)
        return mcnemar(int(lost), int(gained)).p_value < 0.05

    return trial


def permutation_finds(n: int) -> Trial:
    delta = detectable_mean_difference(n, 1.0)
    assert delta is not None
    none, one = np.stack([np.zeros(n), np.ones(n)], axis=1), np.ones(n, dtype=np.int64)

    def trial(rng: np.random.Generator) -> bool:
        second = np.stack([rng.normal(delta, size=n), np.ones(n)], axis=1)
        seed = int(rng.integers(1 << 30))
        return (
            paired_permutation(none, second, one, lambda s: s[:, 0] / s[:, 1], resamples=499, seed=seed).p_value < 0.05
        )

    return trial


SIMULATIONS = (
    Simulation("coverage: Wilson, n=60, p=0.9", wilson_covers(60, 0.9), 4000, 0.93, 0.975),
    Simulation("coverage: Wilson, n=200, p=0.5", wilson_covers(200, 0.5), 4000, 0.93, 0.97),
    Simulation("coverage: Tango, n=80", tango_covers(80, 0.08, 0.16), 800, 0.935, 0.97),
    Simulation("coverage: order statistics, p95, n=100", quantile_covers(100, 0.95), 800, 0.95, 0.985),
    Simulation("coverage: clustered t, 40 documents x 6", clusters_cover(40, 6, clustered=True), 2000, 0.93, 0.965),
    Simulation("the same without clusters: too narrow", clusters_cover(40, 6, clustered=False), 2000, 0.5, 0.86),
    Simulation("coverage: BCa mean, n=60, skewed", bootstrap_mean_covers(60), 400, 0.915, 0.96),
    Simulation("coverage: BCa accuracy, n=150", figure_covers("accuracy", 150, "bca"), 500, 0.92, 0.965),
    Simulation("coverage: percentile accuracy, n=150", figure_covers("accuracy", 150, "percentile"), 500, 0.92, 0.965),
    Simulation("coverage: BCa macro-F1, n=150", figure_covers("macro_f1", 150, "bca"), 500, 0.92, 0.965),
    Simulation("coverage: percentile macro-F1, n=150", figure_covers("macro_f1", 150, "percentile"), 500, 0.91, 0.965),
    Simulation("coverage: BCa error rate of a corpus, n=100", corpus_ratio_covers(100), 400, 0.92, 0.965),
    Simulation(
        "coverage: true rate, 20 %, judge 0.9/0.85", true_rate_covers(300, 0.2, 0.9, 0.85, 100), 2000, 0.94, 0.98
    ),
    Simulation("coverage: kappa, judge 0.85/0.9, n 120", kappa_covers(120, 0.4, 0.85, 0.9), 300, 0.92, 0.97),
    Simulation(
        "coverage: true rate, 3 %, judge 0.8/0.95", true_rate_covers(500, 0.03, 0.8, 0.95, 60), 2000, 0.94, 0.99
    ),
    Simulation("false alarms: accuracy, 3 variants, Holm, n=60", family_errs(60, 0.7), 120, 0.0, 0.05),
    Simulation("false alarms: macro-F1, n=80", macro_f1_errs(80), 150, 0.0, 0.05),
    Simulation("false alarms: median latency, n=60", latency_errs(60), 150, 0.0, 0.055),
    Simulation("false alarms: p95 latency, n=100", latency_errs(100, P95), 80, 0.0, 0.055),
    Simulation("false alarms: accuracy, 20 documents x 6", clusters_err(20, 6), 150, 0.0, 0.055),
    Simulation("false alarms: blind pairs, 3 reviewers, n=40", preference_errs(40, 3), 150, 0.0, 0.05),
    Simulation("power: McNemar at its effect, n=120", mcnemar_finds(120, 0.3), 4000, 0.79, 0.81),
    Simulation("power: permutation at the t-test's effect, n=40", permutation_finds(40), 500, 0.77, 0.82),
)


def table(simulations: Sequence[Simulation], times: int) -> int:
    """Run simulations and print a table; 1 when a rate is outside of its band."""
    failed = 0
    for simulation in simulations:
        begun = process_time()
        rate, low, high = simulation.run(times)
        inside = low <= rate <= high
        failed += not inside
        print(
            f"{'ok  ' if inside else 'FAIL'} {simulation.name:<52} {rate:.4f} in [{max(low, 0):.3f}, {min(high, 1):.3f}]"
            f"  {simulation.trials * times:>7} trials  {process_time() - begun:6.1f} s CPU",
            flush=True,
        )
    return int(failed > 0)


def names() -> Iterator[str]:
    """Yield the names, for test ids."""
    return (simulation.name for simulation in SIMULATIONS)


if __name__ == "__main__":
    sys.exit(table(SIMULATIONS, int(sys.argv[1]) if len(sys.argv) > 1 else 1))
