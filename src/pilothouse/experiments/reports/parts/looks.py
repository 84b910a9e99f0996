"""Looks of a sequential experiment: a plot and a table on the page, a few lines in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from pilothouse.evaluation.sequential.types import ArmLooks, Look, LooksReport
from pilothouse.evaluation.types import Estimate, Metric
from pilothouse.experiments.analysis import numbers
from pilothouse.experiments.analysis.looks import counted, stopped_text
from pilothouse.experiments.comparison import ExperimentComparison
from pilothouse.experiments.reports.charts import Chart, axis_ticks, chart
from pilothouse.experiments.reports.parts.terminal_tables import new_table, shown
from pilothouse.experiments.reports.plots.looks import Seen, looks_plot
from pilothouse.experiments.reports.visible import clip

if TYPE_CHECKING:
    from rich.table import Table

MOST_ARMS = 12
_NAME = 22


class LookRow(Struct, frozen=True, kw_only=True):
    """One look in the table."""

    arm: str
    number: int
    size: int
    n: int
    difference: str
    p: str
    decision: str


def looks_view(found: ExperimentComparison) -> dict[str, Any]:
    """Return what the template of looks shows."""
    metric, report = found.metrics[0], found.looks
    if report is None:
        return {"look_plots": [], "look_rows": [], "look_lines": []}
    return {
        "look_plots": [_chart(item, report, found, metric) for item in report.arms[:MOST_ARMS]],
        "look_rows": [row for item in report.arms for row in _rows(item, metric)],
        "look_lines": [f"{stopped_text(item, report)}." for item in report.arms],
    }


def looks_table(report: LooksReport, metric: Metric) -> Table:
    """Return when every arm was decided, for a terminal."""
    title = f"looks at every {counted(report.look_every, report)}, {report.method}"
    made = new_table(title, ["variant", f">{report.unit}s", ">of", ">looks", "difference", "decision"])
    for item in report.arms:
        last = item.last
        cells = [clip(item.arm, _NAME), f"{last.size:,}", f"{report.units:,}", f"{len(item.looks)}"]
        made.add_row(*map(shown, [*cells, _difference(last, metric), _decision(last)]))
    return made


def _chart(item: ArmLooks, report: LooksReport, found: ExperimentComparison, metric: Metric) -> Chart:
    side = "above" if metric.better == "higher" else "below"
    plot = looks_plot(
        [_seen(look, metric) for look in item.looks],
        title=f"{metric.name}: {item.arm} less {found.baseline}, look by look",
        unit=f"{report.unit}s",
        most=report.most,
        css=item.last.decision if item.last.decision in {"better", "worse"} else "flat",
        show=axis_ticks(metric, with_sign=True),
        margin=report.margin,
    )
    return chart(item.arm, plot, f"less {found.baseline}; {side} 0 is better")


def _seen(look: Look, metric: Metric) -> Seen:
    interval = look.interval
    return Seen(
        text=f"{look.size:,}: {_difference(look, metric)}",
        size=look.size,
        value=look.value,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
    )


def _rows(item: ArmLooks, metric: Metric) -> Iterator[LookRow]:
    for number, look in enumerate(item.looks, 1):
        yield LookRow(
            arm=item.arm,
            number=number,
            size=look.size,
            n=look.n,
            difference=_difference(look, metric),
            p=numbers.p_value(look.p_value),
            decision=_decision(look),
        )


def _difference(look: Look, metric: Metric) -> str:
    found = Estimate(name=metric.name, value=look.value, interval=look.interval, n=look.n)
    return numbers.difference(found, metric)


def _decision(look: Look) -> str:
    return "not decided" if look.decision == "open" else look.decision
