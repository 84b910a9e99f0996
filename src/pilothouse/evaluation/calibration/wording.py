"""A calibration in words, and the figures that it mends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pilothouse.evaluation.calibration.types import Calibration, Share
from pilothouse.evaluation.judges.judge import UNCALIBRATED
from pilothouse.evaluation.statistics.agreement import true_rate
from pilothouse.evaluation.types import Estimate, Interval, Metric, ScoredRow


def words(found: Calibration | None) -> str:
    """Return what a judge says of itself: ``calibrated: kappa 0.71 [0.60, 0.80], n 120``, or ``uncalibrated``."""
    if found is None or found.n == 0:
        return UNCALIBRATED
    kappa = "none" if found.kappa is None else f"{found.kappa:.2f}{_between(found.kappa_interval)}"
    few = ", too few labels" if found.is_small else ""
    return f"calibrated: kappa {kappa}, n {found.n}{few}"


def share_in_words(found: Share) -> str:
    """Return ``0.83 [0.70, 0.91], 40 of 48``."""
    if found.value is None:
        return "none of 0"
    return f"{found.value:.2f}{_between(found.interval)}, {found.hits} of {found.n}"


def corrected_rate(
    metric: Metric, rows: Iterable[ScoredRow], found: Calibration | None, level: float = 0.95
) -> Estimate | None:
    """Return the true rate behind a binary judge's verdicts; None for other metrics, and for judges without one.

    Only verdicts enter; rows that failed, abstained or could not be read are excluded by their state. Where rows share
    a source there is no interval: Lang and Reiczigel's is of independent rows.
    """
    if found is None or found.sensitivity is None or found.specificity is None:
        return None
    if metric.kind != "rate" or metric.score != metric.evaluator:
        return None
    verdicts: list[bool] = []
    excluded: dict[str, int] = {}
    clusters: list[str | None] = []
    for row in rows:
        for score in row.scores:
            if (score.evaluator, score.name) == (metric.evaluator, metric.score):
                if score.state == "ok":
                    verdicts.append(score.value is True)
                    clusters.append(row.cluster)
                else:
                    why = "failed" if score.failed_upstream else score.state
                    excluded[why] = excluded.get(why, 0) + 1
    value, interval = true_rate(
        sum(verdicts),
        len(verdicts),
        sensitivity=(found.sensitivity.hits, found.sensitivity.n),
        specificity=(found.specificity.hits, found.specificity.n),
        level=level,
    )
    shared = _shared(clusters)
    return Estimate(
        name=f"{metric.name} (corrected)",
        value=value,
        interval=None if shared else interval,
        n=len(verdicts),
        excluded=dict(sorted(excluded.items())),
        note=_why(value, len(verdicts), shared=shared),
    )


def _why(value: float | None, n: int, *, shared: bool) -> str | None:
    if value is None:
        return "the judge is no better than chance, or was calibrated on one class only" if n else "no verdicts"
    return "rows share a source: no interval" if shared else None


def _shared(clusters: Sequence[str | None]) -> bool:
    named = [cluster for cluster in clusters if cluster is not None]
    return len(set(named)) < len(named)


def _between(interval: Interval | None) -> str:
    return "" if interval is None else f" [{interval.low:.2f}, {interval.high:.2f}]"
