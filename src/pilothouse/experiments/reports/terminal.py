"""The comparison in a terminal of 80 columns: verdict first, then scores, differences, time and cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pilothouse.evaluation.types import Estimate, Metric
from pilothouse.experiments.analysis import numbers
from pilothouse.experiments.comparison import Arm, ExperimentComparison
from pilothouse.experiments.reports.parts.factors import effect_table
from pilothouse.experiments.reports.parts.looks import looks_table
from pilothouse.experiments.reports.parts.terminal import parts_report
from pilothouse.experiments.reports.parts.terminal_tables import STYLES, new_table, shown
from pilothouse.experiments.reports.visible import clip, clip_apart, reveal

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

BAR = 13
NAME = 19
LONG_NAME = 24
MOST_NOTES = 8

_TITLES = {
    "better": "a variant is better",
    "worse": "the baseline stands",
    "inconclusive": "no difference shown",
    "single": "one variant",
}


def terminal_report(found: ExperimentComparison) -> Iterable[RenderableType]:
    """Yield what is printed, piece by piece."""
    from rich.panel import Panel
    from rich.text import Text

    style = STYLES[found.outcome]
    yield Panel(
        Text(reveal(found.verdict)), title=_TITLES[found.outcome], border_style=style, width=80, title_align="left"
    )
    tables = [_scores(found), *([_differences(found)] if found.comparisons else []), _costs(found)]
    if found.effects:
        tables.insert(2, effect_table(found.effects, found.metrics[0]))
    if len(found.models) > 1:
        tables.append(_models(found))
    for table in tables:
        yield table
        yield ""
    if found.looks is not None:
        yield looks_table(found.looks, found.metrics[0])
        yield ""
    yield from parts_report(found)
    for note in found.notes[:MOST_NOTES]:
        yield Text(f"• {reveal(note)}", style="dim")
    hidden = len(found.notes) - MOST_NOTES
    if hidden > 0:
        yield Text(f"• {hidden} more notes are in the report", style="dim")


def bar(estimate: Estimate | None, span: tuple[float, float]) -> str:
    """Return an interval as ``  ├──●──┤  `` on a scale that all arms share."""
    low, high = span
    if estimate is None or estimate.value is None or high <= low:
        return ""

    def place(value: float) -> int:
        return round(min(max((value - low) / (high - low), 0.0), 1.0) * (BAR - 1))

    cells = [" "] * BAR
    if estimate.interval is not None:
        first, last = place(estimate.interval.low), place(estimate.interval.high)
        cells[first : last + 1] = ["─"] * (last - first + 1)
        cells[first], cells[last] = "├", "┤"
    cells[place(estimate.value)] = "●"
    return "".join(cells)


def _scores(found: ExperimentComparison) -> Table:
    chosen = found.metrics[:2]
    table = new_table(
        f"{found.name}: {numbers.counted(len(found.arms), 'variant')}, {numbers.rows(found.rows)}",
        ["variant", found.primary, ""],
    )
    if len(chosen) > 1:
        table.add_column(shown(chosen[1].name), no_wrap=True)
    with_failures = any(arm.failed for arm in found.arms)
    if with_failures:
        table.add_column("failed", justify="right", no_wrap=True)
    span = _span([arm.estimates.get(found.primary) for arm in found.arms])
    names = clip_apart((arm.name for arm in found.arms), NAME)
    for arm in found.arms:
        primary = arm.estimates.get(found.primary)
        mark = " *" if arm.name == found.baseline and len(found.arms) > 1 else ""
        cells = [names[arm.name] + mark, *_figures(arm, chosen[:1]), bar(primary, span), *_figures(arm, chosen[1:])]
        if with_failures:
            cells.append(f"{arm.failed:,}")
        table.add_row(*map(shown, cells))
    return table


def _differences(found: ExperimentComparison) -> Table:
    metric = found.metrics[0]
    title = f"{metric.name}: differences from {found.baseline}"
    compared = found.against_baseline(metric.name)
    # Only what is right or wrong can be won or lost.
    counted = any(item.discordant for item in compared)
    names = clip_apart((item.candidate for item in compared), NAME if counted else LONG_NAME)
    table = new_table(
        title, ["variant", "difference", *([">won/lost"] if counted else []), ">p", ">corrected", "verdict"]
    )
    for item in compared:
        won_lost = f"{item.discordant[1]}/{item.discordant[0]}" if item.discordant else numbers.NONE
        cells = [
            names[item.candidate],
            numbers.difference(item.difference, metric),
            *([won_lost] if counted else []),
            numbers.p_value(item.p_value),
            numbers.p_value(item.p_adjusted),
        ]
        verdict = shown(item.verdict)
        verdict.stylize(STYLES[item.verdict])
        table.add_row(*map(shown, cells), verdict)
    return table


def _costs(found: ExperimentComparison) -> Table:
    title = "time of a row beside others in flight, tokens, cost"
    table = new_table(title, ["variant", ">p50", ">p95", ">tokens in", ">tokens out", ">cost", ">cached"])
    names = clip_apart((arm.name for arm in found.arms), NAME)
    for arm in found.arms:
        cached = f"{arm.calls.cached:,}/{arm.calls.total:,}" if arm.calls.total else numbers.NONE
        cells = [
            names[arm.name],
            numbers.seconds(arm.latency.p50),
            numbers.seconds(arm.latency.p95),
            numbers.count(arm.usage.input_tokens),
            numbers.count(arm.usage.output_tokens),
            numbers.money(arm.cost, arm.unpriced),
            cached,
        ]
        table.add_row(*map(shown, cells))
    return table


def _models(found: ExperimentComparison) -> Table:
    """Return the models that were called; nothing that is not known is guessed."""
    table = new_table("models", ["model", ">context", "licence", "called by"])
    for model in found.models:
        called = ", ".join(found.callers(model.name))
        cells = [clip(model.name, 30), numbers.count(model.context), clip(model.licence or "unknown", 28)]
        table.add_row(*map(shown, [*cells, clip(called, NAME)]))
    return table


def _figures(arm: Arm, metrics: Sequence[Metric]) -> list[str]:
    found = [(arm.estimates.get(metric.name), metric) for metric in metrics]
    return [numbers.estimate(item, metric) if item is not None else "not measured" for item, metric in found]


def _span(estimates: Sequence[Estimate | None]) -> tuple[float, float]:
    known = [item for item in estimates if item is not None and item.value is not None]
    ends = [end for item in known for end in ((item.interval.low, item.interval.high) if item.interval else ())]
    values = [*ends, *(item.value for item in known if item.value is not None)]
    return (min(values), max(values)) if values else (0.0, 0.0)
