"""Simulations of confidence sequences: the truth is left out at no look, and nothing costs more rows than is said.

The ordinary tests run them small; `python -m tests.evaluation.sequential.simulations 20` with 20 times the trials, and
prints how many rows it takes to decide beside the fixed number that an ordinary test needs.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

import numpy as np

from pilothouse.evaluation.statistics.power import required_pairs
from pilothouse.evaluation.statistics.sequential import AsymptoticSequence, BettingSequence, decide

from ..simulations import Simulation, Trial, table

Draw = Callable[[np.random.Generator, int], np.ndarray]


def pairs(gained: float, lost: float) -> Draw:
    """Differences of right-or-wrong pairs."""
    return lambda rng, n: rng.choice([-1.0, 0.0, 1.0], p=[lost, 1.0 - lost - gained, gained], size=n)


def alarms(draw: Draw, n: int, mean: float = 0.0, alpha: float = 0.05) -> Trial:
    """Looks after every row: is the true mean ever ruled out?"""
    bar = -math.log(alpha)

    def trial(rng: np.random.Generator) -> bool:
        sequence = BettingSequence(1.0 - alpha)
        for value in draw(rng, n):
            sequence.add(np.array([value]))
            if (value or mean) and sequence.log_wealth(mean) >= bar:
                return True
        return False

    return trial


def leaves_out(draw: Draw, n: int, every: int, mean: float) -> Trial:
    """Is the truth outside of the interval at any look?"""

    def trial(rng: np.random.Generator) -> bool:
        values, sequence = draw(rng, n), BettingSequence()
        for start in range(0, n, every):
            sequence.add(values[start : start + every])
            found = sequence.interval()
            assert found is not None
            if not found.low - 1e-9 <= mean <= found.high + 1e-9:
                return True
        return False

    return trial


def family_alarms(arms: int, n: int) -> Trial:
    """Arms that are all as good as the baseline, each at alpha / arms, with looks after every row."""
    single = alarms(pairs(0.15, 0.15), n, alpha=0.05 / arms)
    return lambda rng: any(single(rng) for _ in range(arms))


def asymptotic_leaves_out(draw: Draw, n: int, every: int, mean: float, least: int = 100) -> Trial:
    def trial(rng: np.random.Generator) -> bool:
        values, sequence = draw(rng, n), AsymptoticSequence(least=least)
        for start in range(0, n, every):
            sequence.add(values[start : start + every])
            found = sequence.interval()
            if found is not None and not found.low <= mean <= found.high:
                return True
        return False

    return trial


def finds(gained: float, lost: float, n: int, every: int) -> Trial:
    draw = pairs(gained, lost)
    return lambda rng: rows_until(draw(rng, n), every, None)[1] == "better"


def agrees(discordance: float, margin: float, n: int, every: int) -> Trial:
    """Two equal arms: is it found that they do not differ by more than the margin?"""
    draw = pairs(discordance / 2, discordance / 2)
    return lambda rng: rows_until(draw(rng, n), every, margin)[1] == "no relevant difference"


def rows_until(values: np.ndarray, every: int, margin: float | None) -> tuple[int, str]:
    """Return at which row the sequence decides, and what."""
    sequence = BettingSequence()
    for start in range(0, len(values), every):
        sequence.add(values[start : start + every])
        decision = decide(sequence.interval(), margin=margin)
        if decision != "open":
            return sequence.n, decision
    return len(values), "open"


SIMULATIONS = (
    Simulation("false alarms: pairs, 20 % differ, every row of 600", alarms(pairs(0.1, 0.1), 600), 60, 0.0, 0.05),
    Simulation("false alarms: pairs, 4 % differ, every row of 600", alarms(pairs(0.02, 0.02), 600), 60, 0.0, 0.05),
    Simulation("false alarms: 3 arms, Bonferroni, every row of 300", family_alarms(3, 300), 30, 0.0, 0.05),
    Simulation("left out at some look: pairs, +0.1, 40 looks", leaves_out(pairs(0.2, 0.1), 1000, 25, 0.1), 50, 0.0, 0.05),
    Simulation(
        "left out at some look: scores from 0 to 1, 10 looks",
        leaves_out(lambda rng, n: rng.beta(2.0, 1.0, size=n) - rng.beta(1.0, 1.0, size=n), 200, 20, 2 / 3 - 1 / 2),
        15, 0.0, 0.05,
    ),
    Simulation(
        "left out at some look: asymptotic, normal", asymptotic_leaves_out(lambda r, n: r.normal(size=n), 2000, 20, 0.0),
        400, 0.0, 0.05,
    ),
    Simulation(
        "left out at some look: asymptotic, log-normal differences",
        asymptotic_leaves_out(lambda r, n: r.lognormal(size=n) - r.lognormal(size=n), 2000, 20, 0.0),
        400, 0.0, 0.05,
    ),
    Simulation(
        "left out at some look: asymptotic, exponential",
        asymptotic_leaves_out(lambda r, n: r.exponential(size=n), 2000, 20, 1.0), 400, 0.0, 0.05,
    ),
    Simulation("power: +0.1, 20 % differ, twice the fixed rows", finds(0.15, 0.05, 2 * 168, 25), 30, 0.8, 1.0),
    Simulation("equal arms, 5 % differ, margin 0.05, 1,000 rows", agrees(0.05, 0.05, 1000, 50), 20, 0.9, 1.0),
)  # fmt: skip


def sample_sizes(trials: int) -> None:
    """Print the rows that a sequence takes to decide, beside those that McNemar's test needs for a power of 0.8."""
    rng = np.random.default_rng(2024)
    print("differ  difference  fixed n  mean rows  median  found by 2 x fixed n")
    for discordance, difference in ((0.1, 0.05), (0.2, 0.05), (0.2, 0.1), (0.3, 0.1), (0.3, 0.2)):
        fixed = required_pairs(difference, discordance)
        assert fixed is not None
        draw = pairs((discordance + difference) / 2, (discordance - difference) / 2)
        rows = np.array([rows_until(draw(rng, 4 * fixed), 10, None)[0] for _ in range(trials)])
        print(
            f"{discordance:>6}  {difference:>10}  {fixed:>7}  {rows.mean():>9.0f}  {np.median(rows):>6.0f}"
            f"  {(rows <= 2 * fixed).mean():>20.2f}",
            flush=True,
        )


if __name__ == "__main__":
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    sample_sizes(5 * times)
    sys.exit(table(SIMULATIONS, times))
