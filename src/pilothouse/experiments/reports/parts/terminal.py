"""Slices and single rows in a terminal of 80 columns: the few that tell most; the page has them all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pilothouse.evaluation.items.types import EvaluatorPair, ItemReport
from pilothouse.evaluation.slices.types import Slice, SliceReport
from pilothouse.evaluation.types import Comparison, Metric
from pilothouse.experiments.analysis import numbers
from pilothouse.experiments.comparison import ExperimentComparison
from pilothouse.experiments.reports.parts.terminal_tables import STYLES, new_table, shown
from pilothouse.experiments.reports.visible import clip

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

MOST_SLICES = 12
_NAME, _ARM = 20, 10
_COLUMNS = (">rows", "difference", ">p", "verdict")


def parts_report(found: ExperimentComparison) -> Iterator[RenderableType]:
    """Yield what is printed of slices and single rows."""
    metric = found.metrics[0]
    if found.slices is not None:
        arms = len(found.arms)
        yield _slices(found.slices, metric, arms) if arms > 1 else _scores(found.slices, metric)
        yield ""
    if found.items is not None:
        for line in item_lines(found.items):
            yield shown(line)
        yield ""


def item_lines(items: ItemReport) -> Iterator[str]:
    """Yield what single rows tell, in sentences."""
    if len(items.arms) > 1:
        line = f"{items.informative:,} of {numbers.rows(items.items)} tell the variants apart"
        if items.all_right is not None and items.all_wrong is not None:
            line += f"; every variant gets {items.all_right:,} right and {items.all_wrong:,} wrong"
        yield f"{line}."
    agreed = [item for item in items.suspects if item.answer is not None and item.truth is not None]
    if agreed and len(items.arms) > 1:
        named = ", ".join(f"{item.id} ({item.answer}, not {item.truth})" for item in agreed[:3])
        yield f"Look at the labels first where all variants give one other answer: {named}."
    for pair in items.pairs:
        yield pair_line(pair)


def pair_line(pair: EvaluatorPair) -> str:
    """Return how far two evaluators agree, as a sentence."""
    if pair.value is None:
        return f"{pair.first} and {pair.second}: one of them never varies, so agreement cannot be told."
    ends = f" [{numbers.score(pair.interval.low)}, {numbers.score(pair.interval.high)}]" if pair.interval else ""
    return f"{pair.first} and {pair.second}: {pair.measure} {numbers.score(pair.value)}{ends}, n = {pair.n:,}."


def _slices(report: SliceReport, metric: Metric, arms: int) -> Table:
    """Return the slices with the smallest p-values; the variant has a column where there are several."""
    rows: list[tuple[float, Slice, Comparison | None]] = []
    for part in report.slices:
        if part.too_few:
            rows.append((2.0, part, None))
        rows += [(1.0 if item.p_adjusted is None else item.p_adjusted, part, item) for item in part.comparisons]
    several = arms > 2
    made = new_table(f"{metric.name}: differences in slices", ["slice", *(["variant"] if several else []), *_COLUMNS])
    width = _NAME if several else _NAME + _ARM
    for _, part, item in sorted(rows, key=lambda row: row[0])[:MOST_SLICES]:
        verdict = shown("too few" if item is None else item.verdict)
        verdict.stylize(STYLES["inconclusive" if item is None else item.verdict])
        cells = [
            clip(part.name, width),
            *([clip(item.candidate, _ARM) if item else ""] if several else []),
            f"{part.rows:,}",
            numbers.difference(item.difference, metric) if item else "",
            numbers.p_value(item.p_adjusted) if item else "",
        ]
        made.add_row(*map(shown, cells), verdict)
    _count_hidden(made, len(rows), f"p: {report.correction}")
    return made


def _count_hidden(made: Table, rows: int, words: str = "") -> None:
    hidden = f"{rows - MOST_SLICES} more are in the report" if rows > MOST_SLICES else ""
    made.caption = "; ".join(text for text in (words, hidden) if text) or None
    made.caption_justify = "left"


def _scores(report: SliceReport, metric: Metric) -> Table:
    made = new_table(
        f"{metric.name} in slices ({report.correction})", ["slice", ">rows", metric.name, "against the rest"]
    )
    for part in report.slices[:MOST_SLICES]:
        (arm, found), *_ = part.estimates.items()
        standing = next((item.standing for item in part.contrasts if item.arm == arm), "")
        made.add_row(*map(shown, [clip(part.name, _NAME), f"{part.rows:,}", numbers.estimate(found, metric), standing]))
    _count_hidden(made, len(report.slices))
    return made
