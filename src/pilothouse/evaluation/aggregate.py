"""Figures of one run: every metric with its interval, its n, and what did not enter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from msgspec import structs

from pilothouse.evaluation.metrics.classification import classification_report as report_of
from pilothouse.evaluation.observations import Entry, clusters, label_set, observe, values
from pilothouse.evaluation.statistics.arrays import IntArray
from pilothouse.evaluation.statistics.bootstrap import bootstrap, bootstrap_quantile
from pilothouse.evaluation.statistics.intervals import mean_interval, quantile_interval, rows_for_quantile, wilson
from pilothouse.evaluation.types import ClassificationReport, Estimate, Interval, Metric, Procedure, ScoredRow
from pilothouse.evaluation.units import units_of

ONE_CLASS = "one class only"
"""How the note of a figure of labels begins when all true labels are the same."""

_FEW_ROWS = 20
_Uncertainty = tuple[Interval | None, str | None]


def estimate(metric: Metric, rows: Iterable[ScoredRow], procedure: Procedure | None = None) -> Estimate:
    """Return one figure of one run.

    A rate has Wilson's interval, a mean Student's, a quantile that of order statistics, a statistic of labels a BCa
    bootstrap; with clusters, whole clusters are what varies. Without rows the value is None, never NaN.

    Raises:
        DataError: when two rows have one id, or a true label is not in the metric's label set.
    """
    how = procedure or Procedure()
    seen = observe(metric, rows, how.failures)
    entries, excluded, counted = list(seen.entries.values()), seen.excluded, seen.counted
    if not entries:
        return Estimate(name=metric.name, value=None, excluded=excluded, note="no rows to measure")
    groups = clusters(entries, list(seen.entries))
    interval, note = _uncertainty(metric, entries, groups, how)
    answered = [entry for entry in entries if entry.reason is None]
    return Estimate(
        name=metric.name,
        value=value_of(metric, entries),
        interval=interval,
        n=len(entries),
        excluded=excluded,
        counted=counted,
        complete=value_of(metric, answered) if counted and answered else None,
        clusters=None if groups is None else int(groups.max()) + 1,
        note=note,
    )


def estimates(
    metrics: Iterable[Metric], rows: Sequence[ScoredRow], procedure: Procedure | None = None
) -> tuple[Estimate, ...]:
    """Return every figure of one run, in the order of ``metrics``."""
    return tuple(estimate(metric, rows, procedure) for metric in metrics)


def value_of(metric: Metric, entries: Sequence[Entry]) -> float:
    """Return the figure itself, of at least one entry."""
    if metric.kind in {"labels", "sums"}:
        return units_of(metric, [entries], None).values()[0]
    if metric.kind == "quantile":
        return float(np.quantile(values(entries), quantile_of(metric)))
    return float(values(entries).mean())


def quantile_of(metric: Metric) -> float:
    """Return the share that a metric of the kind ``quantile`` asks for; the median where it is silent."""
    return 0.5 if metric.quantile is None else metric.quantile


def classification_report(
    metric: Metric, rows: Iterable[ScoredRow], procedure: Procedure | None = None
) -> ClassificationReport:
    """Return the confusion matrix and all that follows from it, for a metric of the kind ``labels``."""
    seen = observe(metric, rows, (procedure or Procedure()).failures)
    entries = list(seen.entries.values())
    report = report_of([entry.pair for entry in entries], label_set(metric, [entries]))
    return structs.replace(report, excluded=seen.excluded)


def _uncertainty(metric: Metric, entries: Sequence[Entry], groups: IntArray | None, how: Procedure) -> _Uncertainty:
    match metric.kind:
        case "rate":
            return _of_rate(entries, groups, how)
        case "mean":
            return _of_mean(metric, entries, groups, how)
        case "quantile":
            return _of_quantile(metric, entries, groups, how)
        case "labels" | "sums":
            units = units_of(metric, [entries], groups)
            found = bootstrap(
                units.joined, units.counts, units.statistic, level=how.level, resamples=how.resamples, seed=how.seed
            )
            few = f"fewer than {_FEW_ROWS} rows: the interval is rough" if len(entries) < _FEW_ROWS else None
            is_one = metric.kind == "labels" and len({entry.pair.truth for entry in entries}) == 1
            one = ONE_CLASS if is_one else None
            return found.interval, joined(one, found.note, few)


def _of_rate(entries: Sequence[Entry], groups: IntArray | None, how: Procedure) -> _Uncertainty:
    found = values(entries)
    if groups is None:
        return wilson(float(found.sum()), len(found), how.level), None
    interval = mean_interval(found, how.level, clusters=groups, bounds=(0.0, 1.0))
    if interval is not None:
        return interval, None
    independent = int(groups.max()) + 1
    return wilson(float(found.mean()) * independent, independent, how.level), "all clusters agree: n = clusters"


def _of_mean(metric: Metric, entries: Sequence[Entry], groups: IntArray | None, how: Procedure) -> _Uncertainty:
    interval = mean_interval(values(entries), how.level, clusters=groups, bounds=metric.bounds)
    if interval is not None:
        return interval, None
    return None, "one row has no spread to measure" if len(entries) == 1 else "no spread: all values are equal"


def _of_quantile(metric: Metric, entries: Sequence[Entry], groups: IntArray | None, how: Procedure) -> _Uncertainty:
    found, q = values(entries), quantile_of(metric)
    if groups is not None:
        drawn = bootstrap_quantile((found,), q, groups, level=how.level, resamples=how.resamples, seed=how.seed)
        return drawn.interval, drawn.note
    interval = quantile_interval(found, q, how.level)
    if interval is not None:
        return interval, None
    return None, f"an interval needs {rows_for_quantile(q, how.level)} rows"


def joined(*notes: str | None) -> str | None:
    """Return notes as one, or None."""
    return "; ".join(note for note in notes if note) or None
