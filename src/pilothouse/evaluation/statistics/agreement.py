"""How far raters agree beyond chance, and what a fallible judge's verdicts say of the truth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from pilothouse.evaluation.statistics.arrays import FloatArray
from pilothouse.evaluation.statistics.intervals import wilson
from pilothouse.evaluation.statistics.special import two_sided_z
from pilothouse.evaluation.types import Interval

Level = Literal["nominal", "ordinal", "interval"]
"""What ratings mean: names, an order, or numbers whose distances count."""


def disagreement(values: Sequence[float], counts: FloatArray, level: Level) -> FloatArray:
    """Return the (K, K) squared distances between rating values (Krippendorff 2011).

    Args:
        values: The K distinct ratings in order; of a nominal level their order does not matter.
        counts: (K,) how often each occurs; the ordinal distance counts the ratings between two values.
        level: What ratings mean.
    """
    size = len(values)
    if level == "nominal":
        return 1.0 - np.eye(size)
    # Of an order: from the middle of one value's ratings to the middle of the other's.
    points = np.asarray(values, dtype=np.float64) if level == "interval" else np.cumsum(counts) - counts / 2.0
    return (points[:, None] - points[None, :]) ** 2


def krippendorff_alpha(units: Sequence[Sequence[float | None]], level: Level = "nominal") -> float | None:
    """Return Krippendorff's alpha, at most 1; 0 is chance, below is systematic disagreement.

    Args:
        units: For each rated thing the ratings that it got, None where a rater gave none; things with fewer than two
            ratings do not count.
        level: What ratings mean.

    Returns:
        None when there is nothing to pair, or all ratings are equal: then nothing can be told from chance.
    """
    rated = [found for unit in units if len(found := [r for r in unit if r is not None]) > 1]
    values = sorted({rating for unit in rated for rating in unit})
    if len(values) < 2:
        return None
    place = {value: index for index, value in enumerate(values)}
    table = np.zeros((len(rated), len(values)))
    for row, unit in enumerate(rated):
        for rating in unit:
            table[row, place[rating]] += 1.0
    sizes, counts = table.sum(axis=1), table.sum(axis=0)
    total = counts.sum()
    distances = disagreement(values, counts, level)
    # A rating is not paired with itself: its own distance is 0, so only the weights need to know.
    within = (table @ distances * table).sum(axis=1) / (sizes - 1.0)
    observed = float(within.sum()) / total
    expected = float(counts @ distances @ counts) / (total * (total - 1.0))
    return float(1.0 - observed / expected)


def cohen_kappa(
    first: Sequence[float], second: Sequence[float], weights: Literal["none", "linear", "quadratic"] = "none"
) -> float | None:
    """Return Cohen's kappa of two raters of the same things, at most 1 (Cohen 1960, 1968).

    Weights are of the places of ratings in their order, as scikit-learn's. None without ratings, and when both raters
    gave one and the same rating throughout.
    """
    values = sorted({*first, *second})
    if len(values) < 2:
        return None
    place = {value: index for index, value in enumerate(values)}
    size = len(values)
    table = np.zeros((size, size))
    np.add.at(table, ([place[value] for value in first], [place[value] for value in second]), 1.0)
    gaps = np.abs(np.subtract.outer(np.arange(size), np.arange(size))).astype(np.float64)
    cost = {"none": (gaps > 0).astype(np.float64), "linear": gaps, "quadratic": gaps**2}[weights]
    chance = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    return 1.0 - float((cost * table).sum()) / float((cost * chance).sum())


def true_rate(
    positives: int, n: int, *, sensitivity: tuple[int, int], specificity: tuple[int, int], level: float = 0.95
) -> tuple[float | None, Interval | None]:
    """Return the share of true positives behind a judge's verdicts, and its interval.

    The estimate is Rogan and Gladen's (1978): (p + specificity - 1) / (sensitivity + specificity - 1), cut to 0 and 1.
    The interval is Lang and Reiczigel's (2014), which counts the error of the calibration too.

    Args:
        positives: Verdicts "yes" of the judge.
        n: All its verdicts.
        sensitivity: Of the calibration: things that are truly "yes" and were called so, and all that truly are.
        specificity: The same of "no".
        level: Confidence.

    Returns:
        None twice when there are no verdicts or one side has no calibration; None for the estimate when the judge is
        no better than chance.
    """
    (hits, yes), (rejections, no) = sensitivity, specificity
    if not n or not yes or not no:
        return None, None
    z = two_sided_z(level)
    plain = hits / yes + rejections / no - 1.0
    value = min(1.0, max(0.0, (positives / n + rejections / no - 1.0) / plain)) if plain > 0.0 else None
    # Two pseudo-observations on each calibration side, z^2 among the verdicts.
    share = (positives + z * z / 2.0) / (n + z * z)
    se, sp = (hits + 1.0) / (yes + 2.0), (rejections + 1.0) / (no + 2.0)
    skill = se + sp - 1.0
    if value is None or skill <= 0.0:
        return value, Interval(low=0.0, high=1.0, level=level, method="lang-reiczigel")
    centre = (share + sp - 1.0) / skill
    of_se, of_sp = se * (1.0 - se) / (yes + 2.0), sp * (1.0 - sp) / (no + 2.0)
    shift = 2.0 * z * z * (centre * of_se - (1.0 - centre) * of_sp)
    variance = share * (1.0 - share) / (n + z * z) + centre**2 * of_se + (1.0 - centre) ** 2 * of_sp
    reach = z * math.sqrt(variance) / skill
    low, high = (min(1.0, max(0.0, centre + shift + sign * reach)) for sign in (-1.0, 1.0))
    return value, Interval(low=low, high=high, level=level, method="lang-reiczigel")


def rates(
    truth: Sequence[bool], verdict: Sequence[bool], level: float = 0.95
) -> dict[str, tuple[int, int, Interval | None]]:
    """Return ``sensitivity`` (over true "yes") and ``specificity`` (over true "no").

    Each as right verdicts, all verdicts, and Wilson's interval of their ratio.
    """
    found: dict[str, tuple[int, int, Interval | None]] = {}
    for name, side in (("sensitivity", True), ("specificity", False)):
        verdicts = [said is side for true, said in zip(truth, verdict, strict=True) if true is side]
        found[name] = sum(verdicts), len(verdicts), wilson(sum(verdicts), len(verdicts), level)
    return found
