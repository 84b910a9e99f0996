"""Rates with a judge's errors taken out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pilothouse.evaluation.calibration.types import Calibration
from pilothouse.evaluation.statistics.agreement import true_rate
from pilothouse.evaluation.types import Estimate, Metric, ScoredRow


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
