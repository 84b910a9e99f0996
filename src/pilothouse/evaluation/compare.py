"""Comparisons of runs over the same rows: paired, tested, corrected for their number, and free to be inconclusive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import structs

from pilothouse.core.errors import NotFound, nearest_hint
from pilothouse.evaluation.aggregate import value_of
from pilothouse.evaluation.contrasts import Findings, findings
from pilothouse.evaluation.pairs import Pairs, pair
from pilothouse.evaluation.statistics.corrections import benjamini_hochberg, holm
from pilothouse.evaluation.types import (
    Comparison,
    Correction,
    Estimate,
    Interval,
    Metric,
    Procedure,
    ScoredRow,
    Verdict,
)


def compare(
    metric: Metric,
    baseline: Sequence[ScoredRow],
    candidate: Sequence[ScoredRow],
    procedure: Procedure | None = None,
    *,
    names: tuple[str, str] = ("baseline", "candidate"),
    family: int = 1,
) -> Comparison:
    """Compare a candidate with a baseline in one metric.

    Pairs are rows of one id that enter on both sides (see `observations`); all others are counted. ``mde`` is stated
    at alpha / ``family``, the strictest level of the correction. The verdict here is that of a single comparison:
    `compare_runs` settles a family.

    Args:
        metric: What is compared.
        baseline: Scored rows of the baseline.
        candidate: Scored rows of the candidate.
        procedure: How.
        names: Of baseline and candidate.
        family: Number of comparisons made together.

    Raises:
        DataError: when one run has two rows of one id, or the runs differ in a row's true label.
    """
    how = procedure or Procedure()
    pairs = pair(metric, baseline, candidate, how.failures)
    strict = how.alpha / family if how.correction == "holm" else how.alpha
    found = findings(metric, pairs, how, strict) if pairs.n else Findings("none", None, note="no pairs to compare")
    draft = Comparison(
        metric=metric.name,
        baseline=names[0],
        candidate=names[1],
        difference=_difference(metric, pairs, found.interval),
        test=found.test,
        p_value=found.p_value,
        n_pairs=pairs.n,
        unpaired=pairs.unpaired,
        discordant=found.discordant,
        alpha=how.alpha,
        power=how.power,
        mde=found.mde,
        better=metric.better,
        note=found.note,
    )
    return _settled(draft, found.p_value, "none")


def compare_runs(
    metric: Metric, runs: Mapping[str, Sequence[ScoredRow]], baseline: str, procedure: Procedure | None = None
) -> tuple[Comparison, ...]:
    """Compare every run with the baseline in one metric, corrected over all of them.

    Args:
        metric: What is compared. The correction covers one metric: name the one that decides beforehand.
        runs: Name -> scored rows; the baseline among them.
        baseline: Name of the baseline.
        procedure: How.

    Raises:
        NotFound: when no run has the baseline's name.
        DataError: as `compare`.
    """
    how = procedure or Procedure()
    if baseline not in runs:
        raise NotFound(f"there is no run '{baseline}' to compare with", expected=nearest_hint(baseline, runs))
    candidates = {name: rows for name, rows in runs.items() if name != baseline}
    drafts = [
        compare(metric, runs[baseline], rows, how, names=(baseline, name), family=len(candidates))
        for name, rows in candidates.items()
    ]
    return correct(drafts, how.correction)


def correct(comparisons: Sequence[Comparison], correction: Correction = "holm") -> tuple[Comparison, ...]:
    """Return comparisons with p-values adjusted over all of them that have one, and verdicts to match."""
    tested = [c.p_value for c in comparisons if c.p_value is not None]
    adjusted = iter({"holm": holm, "benjamini-hochberg": benjamini_hochberg, "none": list}[correction](tested))
    said = f"{correction}, {len(tested)} comparisons" if correction != "none" and len(tested) > 1 else "none"
    return tuple(_settled(c, None if c.p_value is None else next(adjusted), said) for c in comparisons)


def _settled(comparison: Comparison, p_adjusted: float | None, correction: str) -> Comparison:
    """Return the comparison with its verdict: a difference needs both the test and the interval."""
    interval = comparison.difference.interval
    verdict: Verdict = "inconclusive"
    if p_adjusted is not None and p_adjusted < comparison.alpha:
        size = comparison.difference.value or 0.0
        # Where resampling gives no interval (as when all pairs differ by the same) the test alone decides.
        apart = size != 0.0 if interval is None else not interval.low <= 0.0 <= interval.high
        if apart:
            verdict = "better" if (size > 0.0) == (comparison.better == "higher") else "worse"
    return structs.replace(comparison, p_adjusted=p_adjusted, correction=correction, verdict=verdict)


def _difference(metric: Metric, pairs: Pairs, interval: Interval | None) -> Estimate:
    value = complete = None
    if pairs.n:
        value = value_of(metric, pairs.candidate) - value_of(metric, pairs.baseline)
        before, after = pairs.answered()
        complete = value_of(metric, after) - value_of(metric, before) if pairs.counted and before else None
    return Estimate(
        name=metric.name,
        value=value,
        interval=interval,
        n=pairs.n,
        excluded=pairs.excluded,
        counted=pairs.counted,
        complete=complete,
        clusters=None if pairs.groups is None else int(pairs.groups.max()) + 1,
    )
