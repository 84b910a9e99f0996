"""The comparison in words: a sentence that may be acted on, and what must be known before."""

from __future__ import annotations

from collections.abc import Sequence

from pilothouse.evaluation.aggregate import ONE_CLASS
from pilothouse.evaluation.types import Comparison, Estimate, Metric
from pilothouse.experiments.analysis import numbers
from pilothouse.experiments.comparison import Arm, Outcome

FEW_ROWS = 30
_REASONS = {"error": "failed in the evaluator", "unparsable": "unreadable"}


def outcome_of(arms: Sequence[Arm], comparisons: Sequence[Comparison]) -> Outcome:
    """Return what the comparisons in the primary metric say together."""
    if len(arms) < 2:
        return "single"
    verdicts = {item.verdict for item in comparisons}
    if "better" in verdicts:
        return "better"
    return "worse" if verdicts == {"worse"} else "inconclusive"


def best_arm(arms: Sequence[Arm], metric: Metric) -> str | None:
    """Return the name of the arm with the best estimate; the first of several equals."""
    sign = 1.0 if metric.better == "higher" else -1.0
    found = [(sign * value, arm.name) for arm in arms if (value := _value(arm, metric)) is not None]
    return max(found, key=lambda pair: pair[0])[1] if found else None


def verdict_of(metric: Metric, baseline: str, arms: Sequence[Arm], comparisons: Sequence[Comparison]) -> str:
    """Return the verdict of the primary metric in words."""
    by_name = {arm.name: arm for arm in arms}
    if all(arm.failed >= arm.rows for arm in arms):
        of = arms[0].name if len(arms) == 1 else "every variant"
        return f"nothing was measured: no row of {of} was answered."
    if len(arms) == 1:
        return _alone(metric, arms[0])
    if all(item.n_pairs == 0 for item in comparisons):
        return f"inconclusive: no row is measured in both {baseline} and another variant."
    sign = 1.0 if metric.better == "higher" else -1.0
    ordered = sorted(comparisons, key=lambda item: -sign * (item.difference.value or 0.0))
    better = [item for item in ordered if item.verdict == "better"]
    worse = [item for item in ordered if item.verdict == "worse"]
    open_ones = [item for item in ordered if item.verdict == "inconclusive"]
    parts = [_settled(item, metric, by_name, "better") for item in better]
    if not better and not open_ones:
        parts.append(f"{baseline} stands.")
    if not better and open_ones:
        parts.append(_inconclusive(metric, baseline, open_ones))
    parts += [_settled(item, metric, by_name, "worse") for item in worse]
    if better and open_ones:
        parts.append(
            f"{_names(open_ones)} {'is' if len(open_ones) == 1 else 'are'} inconclusive{_reach(metric, open_ones)}."
        )
    return " ".join(parts)


def notes_of(metric: Metric, baseline: str, arms: Sequence[Arm], comparisons: Sequence[Comparison]) -> tuple[str, ...]:
    """Return what a reader must know of failures, exclusions, sizes and repeated testing."""
    notes = [
        f"{arm.failed:,} of {arm.rows:,} rows of {arm.name} failed{_fate(arm.estimates.get(metric.name))}."
        for arm in arms
        if arm.failed
    ]
    for arm in arms:
        left_out = {why: count for why, count in _estimate(arm, metric).excluded.items() if count and why != "failed"}
        if left_out:
            shown = ", ".join(f"{count:,} {_REASONS.get(why, why)}" for why, count in left_out.items())
            notes.append(f"{arm.name}: rows that did not enter {metric.name}: {shown}.")
        note = _estimate(arm, metric).note
        if note:
            notes.append(f"{arm.name}, {metric.name}: {note}.")
    if any((found.note or "").startswith(ONE_CLASS) for arm in arms for found in arm.estimates.values()):
        notes.append("All true labels are of one class: nothing shows whether another would be recognised.")
    primary = [item for item in comparisons if item.metric == metric.name]
    unpaired = {count for item in primary for count in item.unpaired.values() if count}
    if unpaired:
        notes.append(f"Some rows are not in every variant (up to {max(unpaired):,}): only shared rows are compared.")
    rows = max((arm.rows for arm in arms), default=0)
    if 0 < rows < FEW_ROWS:
        verb = "is" if rows == 1 else "are"
        notes.append(
            f"{numbers.rows(rows)} {verb} few: intervals are wide, and only very large differences can be found."
        )
    if len(primary) > 1:
        notes.append(
            f"{len(primary)} variants are compared with {baseline}: p-values are corrected for that "
            f"({primary[0].correction}). They are not compared with one another."
        )
    if len({item.metric for item in comparisons}) > 1:
        notes.append(
            f"Only {metric.name} decides. The other metrics are there to explain; each is corrected by itself."
        )
    return tuple(notes)


def _alone(metric: Metric, arm: Arm) -> str:
    found = arm.estimates.get(metric.name)
    if found is None or found.value is None:
        return f"{metric.name} of {arm.name} could not be measured."
    measured = f"{metric.name} of {arm.name} is {numbers.estimate(found, metric)}, n = {found.n:,}"
    return f"{measured}. There is nothing to compare it with."


def _settled(item: Comparison, metric: Metric, arms: dict[str, Arm], word: str) -> str:
    n = item.n_pairs
    values = [numbers.quantity(_value(arms[name], metric), metric, n) for name in (item.candidate, item.baseline)]
    corrected = " after correction" if item.p_adjusted != item.p_value else ""
    p = numbers.p_value(item.p_adjusted)
    chance = f"p {p}" if p.startswith("<") else f"p = {p}"
    return (
        f"{item.candidate} is {word} than {item.baseline}: {metric.name} {values[0]} against {values[1]}, "
        f"a difference of {numbers.difference(item.difference, metric)}, {chance}{corrected}."
    )


def _inconclusive(metric: Metric, baseline: str, items: Sequence[Comparison]) -> str:
    text = f"inconclusive: {_names(items)} cannot be told apart from {baseline} in {metric.name}"
    return f"{text}{_reach(metric, items)}."


def _reach(metric: Metric, items: Sequence[Comparison]) -> str:
    known = [item for item in items if item.mde is not None]
    if not known:
        return ""
    n = min(item.n_pairs for item in known)
    least = max(known, key=lambda item: item.mde or 0.0)
    return f"; {numbers.rows(n)} could only have detected differences of {numbers.detectable(least, metric)} or more"


def _names(items: Sequence[Comparison]) -> str:
    names = [item.candidate for item in items]
    if len(names) > 4:
        return f"{len(names)} variants"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _fate(found: Estimate | None) -> str:
    if found is None:
        return ""
    return " and count as the worst score" if found.counted.get("failed") else " and are left out"


def _estimate(arm: Arm, metric: Metric) -> Estimate:
    return arm.estimates.get(metric.name, Estimate(name=metric.name, value=None))


def _value(arm: Arm, metric: Metric) -> float | None:
    return _estimate(arm, metric).value
