"""Simulations of gates: how often does each rule fail where nothing is wrong, and does it find what is?

The ordinary tests run them small; `python -m tests.experiments.gates.simulations 20` with 20 times the trials. A rule's
false failures are counted at its boundary (the true value is the limit itself) or where baseline and candidate are the
same system; noise is the same system asked again.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from pilothouse.evaluation.types import Metric, Procedure, Score, ScoredRow
from pilothouse.experiments.gates.decide import decide
from pilothouse.experiments.gates.snapshots import MEASURER
from pilothouse.experiments.gates.types import Candidate, Decision, Snapshot, Spent
from pilothouse.experiments.rules import Flips, Gate, Limit, Margin

from ...evaluation.simulations import Simulation, Trial, table

QUICK = Procedure(resamples=300, permutations=299)
RIGHT = Metric(name="right", evaluator="e", score="right", kind="rate", worst=0.0, bounds=(0.0, 1.0))
LEVEL = Metric(name="level", evaluator="e", score="level", kind="mean")
FULL = Metric(name="full", evaluator="e", score="full", kind="rate", worst=0.0, bounds=(0.0, 1.0))
METRICS = (RIGHT, LEVEL, FULL)


def snapshot(repeats: int = 1, **columns: Sequence[object]) -> Snapshot:
    """A run of rows with these scores; ``latency`` is measured, the others an evaluator's."""
    rows: list[ScoredRow] = []
    for i, values in enumerate(zip(*columns.values(), strict=True)):
        scores = tuple(
            Score(name=name, evaluator=MEASURER if name == "latency" else "e", value=_plain(value))
            for name, value in zip(columns, values, strict=True)
        )
        line = f"r{i // repeats:04}"
        id_ = f"{line}#{i % repeats}" if repeats > 1 else line
        rows.append(ScoredRow(id=id_, scores=scores, cluster=line if repeats > 1 else None))
    return Snapshot(
        experiment="sim:1", variant="v", run="run", data="d", source="s", repeats=repeats, evaluators={"e": "1"},
        contents={row.id: "c" for row in rows}, rows=tuple(rows),
    )  # fmt: skip


def _plain(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value


def judged(gate: Gate, now: Snapshot, before: Snapshot | None = None) -> Decision:
    sides = None if before is None else (before, now)
    candidate = Candidate(snapshot=now, metrics=METRICS, spent=Spent(rows=len(now.rows), failed=0))
    return decide(gate, candidate, sides, QUICK)


def limit_fails(n: int, p: float) -> Trial:
    gate = Gate(metrics={"right": Limit(at_least=p)})

    @lru_cache
    def fails(right: int) -> bool:
        # Which rows are right does not matter, only how many: each number is judged once.
        return judged(gate, snapshot(right=np.arange(n) < right)).outcome == "fail"

    return lambda rng: fails(int(rng.binomial(n, p)))


def latency_fails(n: int) -> Trial:
    gate = Gate(budget={"latency_p95": float(-np.log(0.05))})
    return lambda rng: judged(gate, snapshot(latency=rng.exponential(size=n))).outcome == "fail"


def mean_fails(n: int) -> Trial:
    """A skewed mean at its limit, on the side on which Student's interval alone is too short."""
    gate = Gate(metrics={"level": Limit(at_least=1.0)})
    return lambda rng: judged(gate, snapshot(level=rng.exponential(size=n))).outcome == "fail"


def pair_of(rng: np.random.Generator, n: int, gained: float, lost: float) -> tuple[Snapshot, Snapshot]:
    """Baseline and candidate that differ in these shares of rows; in the others both are right in 4 of 5."""
    change = rng.random(n)
    same = rng.random(n) < 0.8
    before = np.where(change < lost, True, np.where(change > 1 - gained, False, same))
    now = np.where(change < lost, False, np.where(change > 1 - gained, True, same))
    return snapshot(right=before), snapshot(right=now)


def regression(n: int, gained: float, lost: float, margin: float, outcome: str) -> Trial:
    gate = Gate(regressions={"right": Margin(margin=margin)})

    def trial(rng: np.random.Generator) -> bool:
        before, now = pair_of(rng, n, gained, lost)
        return judged(gate, now, before).outcome == outcome

    return trial


def family_fails(n: int, margin: float) -> Trial:
    """Three independent metrics, each of which is worse by exactly its margin."""
    gate = Gate(regressions={name: Margin(margin=margin) for name in ("right", "full", "level")})

    def trial(rng: np.random.Generator) -> bool:
        first = [pair_of(rng, n, 0.1, 0.1 + margin) for _ in range(2)]
        sides: list[Snapshot] = []
        for side in range(2):
            flags = [[row.scores[0].value for row in pair[side].rows] for pair in first]
            level = rng.normal(-margin * side, 0.3, size=n)
            sides.append(snapshot(right=flags[0], full=flags[1], level=level))
        return judged(gate, sides[1], sides[0]).outcome == "fail"

    return trial


def clustered_fails(lines: int, repeats: int, margin: float) -> Trial:
    """The same system again, every row repeated; rows differ in how hard they are."""
    gate = Gate(regressions={"right": Margin(margin=margin)})

    def trial(rng: np.random.Generator) -> bool:
        hard = np.repeat(rng.random(lines), repeats)
        sides = [snapshot(repeats, right=rng.random(lines * repeats) < hard) for _ in range(2)]
        return judged(gate, sides[1], sides[0]).outcome == "fail"

    return trial


def flips(n: int, gained: float, lost: float, outcome: str) -> Trial:
    gate = Gate(flips=Flips(metric="right"))

    def trial(rng: np.random.Generator) -> bool:
        before, now = pair_of(rng, n, gained, lost)
        return judged(gate, now, before).outcome == outcome

    return trial


SIMULATIONS = (
    Simulation("false failures: accuracy at its limit, n=100", limit_fails(100, 0.8), 1000, 0.0, 0.05),
    Simulation("false failures: accuracy at its limit, n=40", limit_fails(40, 0.9), 1000, 0.0, 0.05),
    Simulation("false failures: accuracy at its limit, n=20", limit_fails(20, 0.95), 1000, 0.0, 0.025),
    Simulation("false failures: skewed mean at its limit, n=25", mean_fails(25), 300, 0.0, 0.05),
    Simulation("false failures: p95 latency at its limit, n=150", latency_fails(150), 300, 0.0, 0.05),
    Simulation("false failures: same system, margin 0", regression(120, 0.1, 0.1, 0.0, "fail"), 200, 0.0, 0.05),
    Simulation("false failures: loss = margin, n=150", regression(150, 0.05, 0.15, 0.1, "fail"), 200, 0.0, 0.05),
    Simulation("false failures: 3 losses = margin, Holm", family_fails(100, 0.08), 60, 0.0, 0.05),
    Simulation("false failures: same system, 30 lines x 4", clustered_fails(30, 4, 0.0), 60, 0.0, 0.05),
    Simulation("false failures: flips of the same system", flips(120, 0.08, 0.08, "fail"), 300, 0.0, 0.05),
    Simulation("false passes: loss = margin, n=150", regression(150, 0.05, 0.15, 0.1, "pass"), 200, 0.0, 0.05),
    Simulation("noise passes: margin 0.05, n=500", regression(500, 0.02, 0.02, 0.05, "pass"), 60, 0.9, 1.0),
    Simulation("a planted loss of 0.2 fails, n=120", regression(120, 0.02, 0.22, 0.05, "fail"), 100, 0.9, 1.0),
    Simulation("planted flips fail, n=120", flips(120, 0.01, 0.12, "fail"), 200, 0.9, 1.0),
    Simulation("12 rows are inconclusive", regression(12, 0.0, 0.9, 0.05, "inconclusive"), 60, 1.0, 1.0),
)  # fmt: skip


if __name__ == "__main__":
    sys.exit(table(SIMULATIONS, int(sys.argv[1]) if len(sys.argv) > 1 else 1))
