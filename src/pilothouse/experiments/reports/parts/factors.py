"""The effects of single factors, on the page and in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import structs

from pilothouse.evaluation.factors import Effect
from pilothouse.evaluation.types import Metric
from pilothouse.experiments.analysis import numbers
from pilothouse.experiments.comparison import ExperimentComparison
from pilothouse.experiments.reports.charts import Chart, axis_ticks, chart, difference_dot
from pilothouse.experiments.reports.parts.terminal_tables import STYLES, new_table, shown
from pilothouse.experiments.reports.plots.intervals import difference_plot
from pilothouse.experiments.reports.visible import clip_apart

if TYPE_CHECKING:
    from rich.table import Table

_LABEL = 34


def effect_chart(found: ExperimentComparison) -> Chart | None:
    """Return a forest plot of all effects; None where there are none."""
    if not found.effects:
        return None
    metric = found.metric(found.primary)
    names = effect_names(found.effects)
    dots = [
        structs.replace(difference_dot(item.comparison, metric), label=name)
        for item, name in zip(found.effects, names, strict=True)
    ]
    title = f"{metric.name}: what each factor does"
    plot = difference_plot(dots, title=title, show=axis_ticks(metric, with_sign=True))
    side = "right" if metric.better == "higher" else "left"
    return chart(title, plot, f"{side} of 0 is better than the first level")


def effect_names(effects: Sequence[Effect]) -> list[str]:
    """Return what is held against what: ``inputs.top_k: 4 against 1``."""
    return [f"{item.factor}: {item.level} against {item.base}" for item in effects]


def effect_table(effects: Sequence[Effect], metric: Metric) -> Table:
    """Return the effects as a table of a terminal."""
    table = new_table(
        f"{metric.name}: what each factor does, averaged over the others",
        ["factor", "difference", ">corrected", "verdict"],
    )
    names = effect_names(effects)
    short = clip_apart(names, _LABEL)
    for item, name in zip(effects, names, strict=True):
        found = item.comparison
        verdict = shown(found.verdict)
        verdict.stylize(STYLES[found.verdict])
        cells = [short[name], numbers.difference(found.difference, metric), numbers.p_value(found.p_adjusted)]
        table.add_row(*map(shown, cells), verdict)
    return table
