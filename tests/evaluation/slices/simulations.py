"""Simulations of slices: where nothing differs, is anything found? `python -m tests.evaluation.slices.simulations 20`.

Under the null hypothesis the share of false findings and the chance of any are one and the same, so Benjamini and
Hochberg's correction must find something in no more than the share alpha of experiments.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np

from pilothouse.datasets.types import Row
from pilothouse.evaluation.slices.analysis import slice_report
from pilothouse.evaluation.slices.cutting import cut
from pilothouse.evaluation.slices.types import SliceBy, SliceReport, Slicing
from pilothouse.evaluation.statistics.heterogeneity import between, cochran
from pilothouse.evaluation.types import Metric, Procedure, ScoredRow

from ..rows import MEAN, RATE, scored
from ..simulations import Simulation, Trial, table

EXACT = Procedure(resamples=300, permutations=999)
"""Corrected over dozens of tests, the smallest p of so many permutations must still count."""

Look = Callable[[SliceReport], bool]


def any_difference(report: SliceReport) -> bool:
    return any(item.verdict != "inconclusive" for part in report.slices for item in part.comparisons)


def any_standing(report: SliceReport) -> bool:
    return any(item.standing in {"weaker", "stronger"} for part in report.slices for item in part.contrasts)


def any_pattern(report: SliceReport) -> bool:
    return any(test.differs for test in report.heterogeneity if test.of == "difference")


def report_of(
    rng: np.random.Generator, n: int, metric: Metric, values: Callable[[], list[list[object]]]
) -> SliceReport:
    """Three arms over rows that are cut in three ways, which have nothing to do with the scores."""
    topic, length = rng.choice(["a", "b", "c", "d"], p=[0.4, 0.3, 0.2, 0.1], size=n), rng.integers(0, 100, size=n)
    rows = [Row(id=f"r{i:04}", number=i, data={"topic": str(topic[i]), "length": int(length[i])}) for i in range(n)]
    slicing = Slicing(by=("topic", "length", SliceBy(cross=("topic", SliceBy(column="length", bins=2)))))
    runs: dict[str, list[ScoredRow]] = {
        name: scored(metric.evaluator, side) for name, side in zip(("base", "x", "y"), values(), strict=True)
    }
    return slice_report(metric, runs, "base", cut(rows, slicing.ways), slicing, EXACT)


def finds(n: int, look: Look) -> Trial:
    """Rows differ in how hard they are; no arm and no slice differs from another."""

    def trial(rng: np.random.Generator) -> bool:
        hard = 0.5 + 0.4 * rng.random(n)
        return look(report_of(rng, n, RATE, lambda: [(rng.random(n) < hard).tolist() for _ in range(3)]))

    return trial


def finds_in_means(n: int, look: Look) -> Trial:
    return lambda rng: look(report_of(rng, n, MEAN, lambda: [rng.exponential(size=n).tolist() for _ in range(3)]))


def parts_differ(values: Callable[[np.random.Generator, int], np.ndarray], sizes: tuple[int, ...]) -> Trial:
    parts = np.repeat(np.arange(len(sizes)), sizes)

    def trial(rng: np.random.Generator) -> bool:
        p = between(values(rng, len(parts)), parts, permutations=199, seed=int(rng.integers(1 << 30))).p_value
        return p is not None and p <= 0.05

    return trial


def clusters_differ(count: int, size: int, *, nested: bool) -> Trial:
    """Documents differ, parts do not; a part holds whole documents, or documents have rows in every part."""
    groups = np.repeat(np.arange(count), size)

    def trial(rng: np.random.Generator) -> bool:
        parts = (np.arange(count) % 3)[groups] if nested else rng.integers(0, 3, size=count * size)
        values = (rng.random(count * size) < rng.random(count)[groups]).astype(float)
        p = between(values, parts, groups, permutations=199, seed=int(rng.integers(1 << 30))).p_value
        return p is not None and p <= 0.05

    return trial


def q_differs(sizes: tuple[int, ...]) -> Trial:
    def trial(rng: np.random.Generator) -> bool:
        found = [rng.normal(size=size) for size in sizes]
        return cochran([x.mean() for x in found], [x.std(ddof=1) / np.sqrt(len(x)) for x in found])[1] <= 0.05

    return trial


def effect_found(n: int) -> Trial:
    """One slice of four in which the candidate is worse by 0.3, and nowhere else."""

    def trial(rng: np.random.Generator) -> bool:
        parts = np.repeat(np.arange(4), n // 4)
        base, now = rng.random(n) < 0.8, rng.random(n) < np.where(parts == 0, 0.5, 0.8)
        p = between(now.astype(float) - base, parts, permutations=199, seed=int(rng.integers(1 << 30))).p_value
        return p is not None and p <= 0.05

    return trial


SIMULATIONS = (
    Simulation("any slice differs from the baseline, n=400, BH", finds(400, any_difference), 10, 0.0, 0.05),
    Simulation("any slice weaker or stronger, n=400, BH", finds(400, any_standing), 10, 0.0, 0.05),
    Simulation("any pattern in differences, n=400, BH", finds(400, any_pattern), 10, 0.0, 0.05),
    Simulation("any slice differs, skewed means, n=200, BH", finds_in_means(200, any_difference), 2, 0.0, 0.05),
    Simulation("any slice weaker or stronger, skewed means", finds_in_means(200, any_standing), 2, 0.0, 0.05),
    Simulation(
        "parts differ: rates, 100/60/40/20", parts_differ(lambda r, n: (r.random(n) < 0.85) * 1.0, (100, 60, 40, 20)),
        150, 0.02, 0.055,
    ),
    Simulation("parts differ: skewed", parts_differ(lambda r, n: r.exponential(size=n), (80, 50, 30)), 150, 0.04, 0.06),
    Simulation(
        "parts differ: unequal spread",
        parts_differ(lambda r, n: r.normal(size=n) * np.repeat([1.0, 2.0, 4.0], (80, 50, 30)), (80, 50, 30)),
        150, 0.03, 0.065,
    ),
    Simulation("parts differ: 54 documents x 4 inside of parts", clusters_differ(54, 4, nested=True), 150, 0.035, 0.06),
    Simulation("parts differ: 40 documents x 6 across parts", clusters_differ(40, 6, nested=False), 150, 0.03, 0.065),
    Simulation("parts differ: Cochran's Q, 4 parts of 50", q_differs((50, 50, 50, 50)), 2000, 0.04, 0.07),
    Simulation("power: worse by 0.3 in one slice of 4, n=400", effect_found(400), 100, 0.85, 1.0),
)  # fmt: skip


if __name__ == "__main__":
    sys.exit(table(SIMULATIONS, int(sys.argv[1]) if len(sys.argv) > 1 else 1))
