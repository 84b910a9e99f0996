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
    # The colour says the verdict; the words of it stand in the table, and leave room for names here.
    dots = [
        structs.replace(difference_dot(item.comparison, metric), label=name, remark="")
        for item, name in zip(found.effects, names, strict=True)
    ]
    title = f"{metric.name}: what each factor does"
    plot = difference_plot(dots, title=title, show=axis_ticks(metric, with_sign=True))
    side = "right" if metric.better == "higher" else "left"
    return chart(title, plot, f"{side} of 0 is better than the first level")


def effect_names(effects: Sequence[Effect]) -> list[str]:
    """Return what changes, such as ``top_k: 1 → 4``; factors whose last words are alike keep their whole paths."""
    last = {item.factor: item.factor.rpartition(".")[2] for item in effects}
    clear = len(set(last.values())) == len(last)
    return [
        f"{last[item.factor] if clear else item.factor}: {_bare(item.base)} → {_bare(item.level)}" for item in effects
    ]


def _bare(level: str) -> str:
    """Return the name of a prompt file without its ending."""
    return level.removesuffix(".jinja2").removesuffix(".md")


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
