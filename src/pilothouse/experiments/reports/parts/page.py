"""Slices and single rows on the page: forest plots, and what their tables show."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from markupsafe import Markup
from msgspec import Struct, structs

from pilothouse.evaluation.slices.types import Slice, SliceReport
from pilothouse.evaluation.types import Estimate, Metric
from pilothouse.experiments.analysis import numbers
from pilothouse.experiments.analysis.parts import slice_notes
from pilothouse.experiments.comparison import ExperimentComparison
from pilothouse.experiments.reports.charts import Chart, axis_ticks, difference_dot
from pilothouse.experiments.reports.parts.terminal import item_lines
from pilothouse.experiments.reports.plots.intervals import Dot, difference_plot, score_plot

MOST_DOTS = 30
"""Slices in one plot; the table below it has them all."""

_MARKS = {"weaker": ("down", "worse"), "stronger": ("up", "better")}


class SliceRow(Struct, frozen=True, kw_only=True):
    """One slice and arm in the table."""

    slice: str
    rows: int
    arm: str
    figure: str
    standing: str
    difference: str
    p_adjusted: str
    verdict: str


def parts_view(found: ExperimentComparison) -> dict[str, Any]:
    """Return what the templates of slices and single rows show."""
    metric, report = found.metrics[0], found.slices
    return {
        "slice_plots": [] if report is None else list(_difference_charts(found, report, metric)),
        "slice_score_plots": [] if report is None else list(_score_charts(found, report, metric)),
        "slice_rows": [] if report is None else list(_rows(report, metric)),
        "slice_notes": list(slice_notes(report, metric, found.baseline)),
        "item_lines": [] if found.items is None else list(item_lines(found.items)),
    }


def _difference_charts(found: ExperimentComparison, report: SliceReport, metric: Metric) -> Iterator[Chart]:
    """Yield a forest plot for each candidate and way to cut, all rows first: it is off their line that one looks."""
    side = "right" if metric.better == "higher" else "left"
    for whole in found.against_baseline(metric.name):
        for by, parts in _ways(report):
            dots = [structs.replace(difference_dot(whole, metric), label="all rows", remark="", css="base")]
            for part in parts[:MOST_DOTS]:
                own = next((item for item in part.comparisons if item.candidate == whole.candidate), None)
                dots.append(_few(part) if own is None else _of_slice(difference_dot(own, metric), part))
            title = f"{metric.name}: {whole.candidate} less {found.baseline} by {by}"
            plot = difference_plot(dots, title=title, show=axis_ticks(metric, with_sign=True))
            note = f"less {found.baseline}, by {by}; {side} of 0 is better"
            yield Chart(title=whole.candidate, svg=_safe(plot), note=note)


def _score_charts(found: ExperimentComparison, report: SliceReport, metric: Metric) -> Iterator[Chart]:
    for arm in found.arms:
        whole = arm.estimates.get(metric.name)
        for by, parts in _ways(report):
            plot = score_plot(
                [_score_dot(part, arm.name, metric) for part in parts[:MOST_DOTS]],
                title=f"{metric.name} of {arm.name} by {by}",
                baseline=whole.value if whole is not None else None,
                bounds=metric.bounds,
                show=axis_ticks(metric),
            )
            yield Chart(title=arm.name, svg=_safe(plot), note=f"by {by}; dashed: all its rows")


def _ways(report: SliceReport) -> list[tuple[str, list[Slice]]]:
    """Return the slices of each way to cut."""
    return [(by, list(parts)) for by, parts in groupby(report.slices, key=lambda part: part.by)]


def _of_slice(dot: Dot, part: Slice) -> Dot:
    # Most slices are inconclusive: the mark says it, and the name needs the room.
    remark = "" if dot.remark == "inconclusive" else dot.remark
    return structs.replace(dot, label=part.value, remark=remark)


def _score_dot(part: Slice, arm: str, metric: Metric) -> Dot:
    found = part.estimates.get(arm)
    if part.too_few or found is None or found.value is None:
        return _few(part) if part.too_few else Dot(label=part.value, value=None, text="not measured")
    standing = next((item.standing for item in part.contrasts if item.arm == arm), "inconclusive")
    shape, css = _MARKS.get(standing, ("circle", "arm"))
    return Dot(
        label=part.value,
        value=found.value,
        low=found.interval.low if found.interval else None,
        high=found.interval.high if found.interval else None,
        text=numbers.estimate(found, metric),
        remark=standing if standing in _MARKS else "",
        shape=shape,
        css=css,
    )


def _rows(report: SliceReport, metric: Metric) -> Iterator[SliceRow]:
    for part in report.slices:
        compared = {item.candidate: item for item in part.comparisons}
        for contrast in part.contrasts:
            item = compared.get(contrast.arm)
            yield SliceRow(
                slice=part.name,
                rows=part.rows,
                arm=contrast.arm,
                figure=_figure(part.estimates[contrast.arm], metric),
                standing="" if contrast.standing == "inconclusive" else contrast.standing,
                difference=numbers.difference(item.difference, metric) if item else "",
                p_adjusted=numbers.p_value(item.p_adjusted) if item else "",
                verdict=item.verdict if item else "",
            )


def _figure(found: Estimate, metric: Metric) -> str:
    return "not measured" if found.value is None else numbers.estimate(found, metric)


def _few(part: Slice) -> Dot:
    return Dot(label=part.value, value=None, text=f"{numbers.rows(part.rows)}: too few")


def _safe(plot: str) -> Markup:
    # The plots escape every text they are given; tests hold them to it.
    return Markup(plot)  # noqa: S704
