"""Regressions: is the candidate worse than its baseline by more than a margin?

A comparison fails when the paired test finds a difference and the whole interval of the difference lies beyond the
margin; it passes when the whole interval lies on the near side (non-inferiority); else it is inconclusive. Failures
are corrected over the family by Holm's steps: at first every interval has the level 1 - alpha / m, then, as long as
comparisons fail, 1 - alpha / (those that are left). Passing needs no correction: it is the safe side of each rule.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from msgspec import structs

from pilothouse.evaluation.compare import compare
from pilothouse.evaluation.observations import observe
from pilothouse.evaluation.types import Comparison, Interval, Metric, Procedure
from pilothouse.experiments.analysis import numbers
from pilothouse.experiments.gates.limits import ALIKE, few, p_text
from pilothouse.experiments.gates.types import MOST_ROWS, Outcome, RuleResult, Sides


class Regressions:
    """A family of comparisons of one candidate with one baseline.

    Args:
        sides: Baseline and candidate, over the same rows.
        how: Level and resampling; its ``alpha`` is that of the family.
        min_rows: Pairs below which nothing is said.
    """

    def __init__(self, sides: Sides, how: Procedure, min_rows: int) -> None:
        self._baseline, self._candidate = sides
        self._how = how
        self._min_rows = min_rows
        self._known: dict[tuple[str, float], Comparison] = {}

    def results(self, margins: Mapping[Metric, float]) -> list[RuleResult]:
        """Return what each comparison says, in the order of ``margins``."""
        unlike = {metric: why for metric in margins if (why := self._unlike(metric)) is not None}
        tested = {metric: margin for metric, margin in margins.items() if metric not in unlike}
        failed = self._failed(tested)
        return [
            self._unmeasured(metric, margin, unlike[metric])
            if metric in unlike
            else self._result(metric, margin, failed.get(metric))
            for metric, margin in margins.items()
        ]

    def _failed(self, margins: Mapping[Metric, float]) -> dict[Metric, float]:
        """Return the metrics that fail, and the level of alpha at which each does: Holm's steps."""
        failed: dict[Metric, float] = {}
        while len(failed) < len(margins):
            alpha = self._how.alpha / (len(margins) - len(failed))
            left = [metric for metric in margins if metric not in failed]
            now = [metric for metric in left if self._is_beyond(metric, self._at(metric, alpha), margins[metric])]
            if not now:
                break
            failed |= dict.fromkeys(now, alpha)
        return failed

    def _is_beyond(self, metric: Metric, found: Comparison, margin: float) -> bool:
        """Return whether a comparison is significant, and its whole interval is a loss larger than the margin."""
        if _independent(found) < self._min_rows or _gain(found)[1] >= -margin:
            return False
        # Pairs that all lose the same have no interval and need none: as signs alone, p = 2^(1 - n).
        return found.verdict == "worse" or (found.difference.interval is None and self._is_flat(metric, found))

    def _at(self, metric: Metric, alpha: float) -> Comparison:
        key = (metric.name, alpha)
        if key not in self._known:
            how = structs.replace(self._how, alpha=alpha, level=1.0 - alpha)
            names = (self._baseline.label, self._candidate.label)
            self._known[key] = compare(metric, self._baseline.rows, self._candidate.rows, how, names=names)
        return self._known[key]

    def _unlike(self, metric: Metric) -> str | None:
        """Return why the scores of the two sides cannot be compared, if they cannot."""
        before, now = (side.evaluators.get(metric.evaluator) for side in (self._baseline, self._candidate))
        if before == now:
            return None
        if before is None:
            return f"the baseline has no scores of the evaluator '{metric.evaluator}': bless one that has"
        return f"the evaluator '{metric.evaluator}' has changed since the baseline was blessed: bless it again"

    def _unmeasured(self, metric: Metric, margin: float, why: str) -> RuleResult:
        return RuleResult(name=_name(metric, margin), outcome="inconclusive", reason=why, metric=metric)

    def _result(self, metric: Metric, margin: float, failed_at: float | None) -> RuleResult:
        found = self._at(metric, self._how.alpha if failed_at is None else failed_at)
        outcome, reason = ("fail", _loss(found, margin)) if failed_at is not None else self._safe(found, margin, metric)
        rows = [] if outcome == "pass" else self._losers(metric)
        return RuleResult(
            name=_name(metric, margin),
            outcome=outcome,
            reason=reason,
            figure=numbers.difference(found.difference, metric),
            comparison=found,
            metric=metric,
            rows=tuple(rows[:MOST_ROWS]),
            row_count=len(rows),
        )

    def _safe(self, found: Comparison, margin: float, metric: Metric) -> tuple[Outcome, str]:
        """Return what a comparison that does not fail says: only an interval without a larger loss passes."""
        value, interval = found.difference.value, found.difference.interval
        if value is None:
            return "inconclusive", found.note or "no pairs to compare"
        if _independent(found) < self._min_rows:
            return "inconclusive", few(_independent(found), self._min_rows)
        low, _ = _gain(found)
        if interval is None:
            # Without spread there is no interval: a copy of the baseline passes, a lone difference does not fail.
            if low >= -margin and self._is_flat(metric, found):
                return "pass", f"all {numbers.counted(found.n_pairs, 'pair')} differ by the same"
            return "inconclusive", found.note or "there is no interval"
        said = f"{numbers.percent(interval.level)} interval of {numbers.counted(found.n_pairs, 'pair')}"
        if low >= -margin:
            return "pass", f"the {said} leaves out a loss of more than {margin:g}"
        needed = _rows_needed(found, margin)
        hint = f"; about {needed:,} rows would tell" if needed else ""
        return "inconclusive", f"the {said} holds a loss of more than {margin:g}{hint}{_also(found, metric)}"

    def _is_flat(self, metric: Metric, found: Comparison) -> bool:
        """Return whether every pair differs by the same, as those of a copy do."""
        if _independent(found) < ALIKE:
            return False
        if "no spread" in (found.note or ""):
            return True
        return metric.kind in {"mean", "quantile"} and len(set(self._losses(metric).values())) == 1

    def _losers(self, metric: Metric) -> list[str]:
        """Return the ids of the rows that lost, the largest loss first."""
        losses = {id_: loss for id_, loss in self._losses(metric).items() if loss > 0.0}
        return sorted(losses, key=lambda id_: (-losses[id_], id_))

    def _losses(self, metric: Metric) -> dict[str, float]:
        before, now = (observe(metric, side.rows).entries for side in (self._baseline, self._candidate))
        sign = 1.0 if metric.better == "higher" else -1.0
        return {id_: sign * (before[id_].value - now[id_].value) for id_ in before if id_ in now}


def _gain(found: Comparison) -> tuple[float, float]:
    """Return the interval of the difference so that more is better; the difference itself where there is none."""
    value = found.difference.value or 0.0
    interval = found.difference.interval or Interval(low=value, high=value, level=0.0, method="")
    return (interval.low, interval.high) if found.better == "higher" else (-interval.high, -interval.low)


def _independent(found: Comparison) -> int:
    """Return the number of pairs, or of lines where each was repeated."""
    return found.difference.clusters or found.n_pairs


def _name(metric: Metric, margin: float) -> str:
    return f"{metric.name} against the baseline, margin {margin:g}"


def _loss(found: Comparison, margin: float) -> str:
    interval = found.difference.interval
    level = f"the whole {numbers.percent(interval.level)} interval" if interval is not None else "the difference"
    tested = f"{found.test}, {p_text(found.p_value)}" if found.p_value is not None else "in every pair"
    return f"{level} of {numbers.counted(found.n_pairs, 'pair')} is a loss of more than {margin:g} ({tested})"


def _rows_needed(found: Comparison, margin: float) -> int | None:
    """Return about how many rows would bring the bound to the margin, were the difference to stay as it is."""
    low, high = _gain(found)
    middle = (low + high) / 2.0
    room = middle + margin
    if room <= 0.0:
        return None
    return math.ceil(found.n_pairs * ((middle - low) / room) ** 2)


def _also(found: Comparison, metric: Metric) -> str:
    """Say that a difference was found, though not one that must be larger than the margin."""
    if found.verdict != "worse":
        return ""
    return f" (it is worse, by {numbers.quantity(abs(found.difference.value or 0.0), metric, found.n_pairs)})"
