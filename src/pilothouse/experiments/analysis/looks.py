"""What a sequential experiment found, as comparisons and in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import structs

from pilothouse.evaluation.sequential.types import ArmLooks, Look, LooksReport
from pilothouse.evaluation.statistics.sequential import Decision
from pilothouse.evaluation.types import Comparison, Metric, Verdict
from pilothouse.experiments.analysis import numbers
from pilothouse.experiments.analysis.verdict import verdict_of
from pilothouse.experiments.comparison import Arm

ALIKE = "no relevant difference"

_VERDICTS: dict[Decision, Verdict] = {"better": "better", "worse": "worse"}


def settled(comparisons: Sequence[Comparison], report: LooksReport) -> list[Comparison]:
    """Return the comparisons in the metric that decides with the interval, p-value and verdict of the looks."""
    looked = {item.arm: item for item in report.arms}
    return [_settled(item, looked[item.candidate], report) for item in comparisons]


def verdict_of_looks(
    metric: Metric, baseline: str, arms: Sequence[Arm], comparisons: Sequence[Comparison], report: LooksReport
) -> str:
    """Return the verdict in words: which arm is better, worse or alike, and how many rows it took to tell."""
    alike = {item.arm: item for item in report.arms if item.last.decision == ALIKE}
    others = [item for item in comparisons if item.candidate not in alike]
    parts = [verdict_of(metric, baseline, arms, others)] if others else []
    parts += [
        f"{name} makes no relevant difference from {baseline}: {_interval(item.last, metric)} lies within "
        f"{report.margin:g} of zero."
        for name, item in alike.items()
    ]
    return " ".join([*parts, *(f"{stopped_text(item, report)}." for item in report.arms[:4])])


def stopped_text(item: ArmLooks, report: LooksReport) -> str:
    """Return when an arm was decided, in words."""
    last, all_rows = item.last, counted(report.units, report)
    look = f"look {len(item.looks)} of at most {report.looks}"
    if last.decision == "open":
        why = "the last rows there were" if report.most == report.units else "as many as `max_rows` allows"
        return f"{item.arm} was not decided by {last.size:,} of {all_rows}, {why}"
    stopped = "stopped early" if last.size < report.most else "decided"
    return f"{item.arm} {stopped} at {last.size:,} of {all_rows}, {look}"


def looks_notes(report: LooksReport, baseline: str) -> Iterator[str]:
    """Yield what a reader must know of figures that were looked at more than once."""
    sure = "at every look together" if report.exact else "at every look together in the limit of many rows"
    yield (
        f"Only the differences in {report.metric} hold although the experiment stopped by what it saw: their intervals "
        f"and p-values are valid {sure} ({report.method})."
    )
    yield (
        "The variants' own scores are descriptive: their intervals are those of a fixed number of rows. Other metrics "
        "are not compared."
    )
    if report.cluster is not None:
        yield f"Every {report.cluster} counts once in the differences, however many rows it has."
    if any(item.last.size < report.used for item in report.arms):
        yield f"{baseline} has more rows than variants that were decided before; differences are over shared rows."


def counted(count: int, report: LooksReport) -> str:
    """Return a number of units with their name."""
    return numbers.counted(count, report.unit)


def _settled(item: Comparison, looked: ArmLooks, report: LooksReport) -> Comparison:
    last, family = looked.last, len(report.arms)
    p_value = last.p_value
    return structs.replace(
        item,
        difference=structs.replace(item.difference, value=last.value, interval=last.interval, complete=None),
        test=f"{report.method}, anytime-valid",
        p_value=p_value,
        p_adjusted=None if p_value is None else min(1.0, family * p_value),
        correction=f"bonferroni, {family} comparisons" if family > 1 else "none",
        mde=None,
        verdict=_VERDICTS.get(last.decision, "inconclusive"),
        note=stopped_text(looked, report),
    )


def _interval(look: Look, metric: Metric) -> str:
    if look.interval is None:
        return "the confidence sequence"
    ends = [numbers.signed(end, 3) if metric.unit is None else f"{end:.3g}" for end in _ends(look)]
    return f"the confidence sequence [{ends[0]}, {ends[1]}]"


def _ends(look: Look) -> tuple[float, float]:
    assert look.interval is not None
    return look.interval.low, look.interval.high
