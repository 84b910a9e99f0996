"""From a comparison to its plots: which figures are drawn, in which marks, with which words beside them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup
from msgspec import Struct

from pilothouse.evaluation.types import Comparison, Metric
from pilothouse.experiments.analysis import numbers
from pilothouse.experiments.comparison import Arm, Confusion, ExperimentComparison
from pilothouse.experiments.reports.plots import svg
from pilothouse.experiments.reports.plots.confusion import confusion_plot, reduce
from pilothouse.experiments.reports.plots.intervals import Dot, Show, difference_plot, score_plot
from pilothouse.experiments.reports.plots.latency import Curve, latency_plot
from pilothouse.experiments.reports.plots.tokens import token_plot

MOST_CURVES = svg.STYLES
MOST_MATRICES = 12
MOST_CLASSES = 12

_SHAPES = {"better": "up", "worse": "down", "inconclusive": "ring"}
_COLOURS = {"better": "better", "worse": "worse", "inconclusive": "flat"}


class Chart(Struct, frozen=True, kw_only=True):
    """A plot with its caption; ``legend`` pairs a label with a sample of its line."""

    title: str
    svg: Markup
    note: str = ""
    legend: tuple[tuple[str, Markup], ...] = ()


def score_charts(found: ExperimentComparison, metrics: Sequence[Metric]) -> list[Chart]:
    """Return one chart a metric."""
    charts: list[Chart] = []
    for metric in metrics:
        base = found.arm(found.baseline).estimates.get(metric.name)
        plot = score_plot(
            [_score_dot(arm, metric, baseline=arm.name == found.baseline) for arm in found.arms],
            title=f"{metric.name} of every variant",
            baseline=None if base is None else base.value,
            bounds=metric.bounds,
            show=axis_ticks(metric),
        )
        charts.append(chart(metric.name, plot, _direction(found, metric)))
    return charts


def difference_charts(found: ExperimentComparison, metrics: Sequence[Metric]) -> list[Chart]:
    """Return one forest plot a metric that was compared."""
    charts: list[Chart] = []
    for metric in metrics:
        compared = found.against_baseline(metric.name)
        if compared:
            plot = difference_plot(
                [difference_dot(item, metric) for item in compared],
                title=f"{metric.name}: differences from {found.baseline}",
                show=axis_ticks(metric, with_sign=True),
            )
            side = "right" if metric.better == "higher" else "left"
            charts.append(chart(metric.name, plot, f"{side} of 0 is better than {found.baseline}"))
    return charts


def confusion_charts(found: ExperimentComparison, labels: dict[str, int]) -> list[Chart]:
    """Return one heat map an arm and label evaluator.

    Args:
        found: The comparison.
        labels: The page's number of every label, by which a cell finds its rows.
    """
    charts: list[Chart] = []
    for index, arm in enumerate(found.arms):
        for confusion in arm.confusions:
            if len(charts) < MOST_MATRICES and confusion.report.labels:
                named = confusion.evaluator if len(arm.confusions) > 1 else ""
                charts.append(chart(arm.name, _matrix(arm, index, confusion, labels), named))
    return charts


def latency_chart(found: ExperimentComparison) -> Chart | None:
    """Return the latency curves, or None when no duration is known."""
    drawn = [(index, arm) for index, arm in enumerate(found.arms) if arm.latency.curve][:MOST_CURVES]
    if not drawn:
        return None
    curves = [Curve(label=arm.name, values=arm.latency.curve, style=style) for style, (_, arm) in enumerate(drawn)]
    note = "share of rows that had answered"
    if len(drawn) < len(found.arms):
        note += f"; the first {len(drawn)} of {len(found.arms)} variants"
    legend = tuple((curve.label, _sample(curve.style)) for curve in curves)
    return Chart(
        title="Latency", svg=_safe(latency_plot(curves, title="Latency of every variant")), note=note, legend=legend
    )


def token_chart(found: ExperimentComparison) -> Chart:
    """Return the mean tokens a row."""
    bars = [
        (arm.name, arm.usage.input_tokens / max(arm.rows, 1), arm.usage.output_tokens / max(arm.rows, 1))
        for arm in found.arms
    ]
    return chart("Tokens a row", token_plot(bars, title="Tokens a row"), "mean, in and out")


def _score_dot(arm: Arm, metric: Metric, *, baseline: bool) -> Dot:
    found = arm.estimates.get(metric.name)
    css, shape = ("base", "diamond") if baseline else ("arm", "circle")
    remark = "baseline" if baseline else ""
    if found is None or found.value is None:
        return Dot(label=arm.name, value=None, text="not measured", remark=remark, css=css)
    return Dot(
        label=arm.name,
        remark=remark,
        value=found.value,
        low=found.interval.low if found.interval else None,
        high=found.interval.high if found.interval else None,
        text=numbers.estimate(found, metric),
        shape=shape,
        css=css,
    )


def difference_dot(item: Comparison, metric: Metric) -> Dot:
    """Return a difference as a mark with its interval, in the colour of its verdict."""
    found = item.difference
    return Dot(
        label=item.candidate,
        value=found.value,
        low=found.interval.low if found.interval else None,
        high=found.interval.high if found.interval else None,
        text=numbers.difference(found, metric),
        remark=item.verdict,
        shape=_SHAPES[item.verdict],
        css=_COLOURS[item.verdict],
        band=item.mde,
    )


def _matrix(arm: Arm, index: int, confusion: Confusion, labels: dict[str, int]) -> str:
    report = confusion.report
    matrix = reduce(report.labels, report.matrix, MOST_CLASSES)

    def link(truth: int, answer: int) -> str:
        wanted: dict[str, Any] = {"arm": index}
        for key, name in (("truth", matrix.truths[truth]), ("answer", matrix.answers[answer])):
            if name in labels:
                wanted[key] = str(labels[name])
        wanted["words"] = f"{arm.name}: truth {matrix.truths[truth]}, answer {matrix.answers[answer]}"
        return f'href="#rows" data-show="{svg.attr(json.dumps(wanted))}"'

    return confusion_plot(matrix, title=f"Confusion of {arm.name}", link=link)


def axis_ticks(metric: Metric, *, with_sign: bool = False) -> Show:
    """Return how the ticks of an axis of this metric are written."""

    def show(value: float, places: int) -> str:
        if metric.unit == "s":
            return numbers.quantity(value, metric, 1)
        return numbers.signed(value, places) if with_sign else numbers.score(value, places)

    return show


def _direction(found: ExperimentComparison, metric: Metric) -> str:
    words = "lower is better" if metric.better == "lower" else "higher is better"
    return f"decides; {words}" if metric.name == found.primary else words


def chart(title: str, plot: str, note: str = "") -> Chart:
    """Return a plot with its caption."""
    return Chart(title=title, svg=_safe(plot), note=note)


def _sample(style: int) -> Markup:
    return _safe(
        f'<svg viewBox="0 0 32 12" aria-hidden="true"><line x1="0" y1="6" x2="32" y2="6" '
        f'class="s{style % svg.STYLES}"{svg.dash(style)}/></svg>'
    )


def _safe(plot: str) -> Markup:
    # The plots escape every text they are given; tests hold them to it.
    return Markup(plot)  # noqa: S704


def label_numbers(arms: Sequence[Arm]) -> dict[str, int]:
    """Return a number for every label that occurs, in the order of the label sets."""
    names = [label for arm in arms for confusion in arm.confusions for label in confusion.report.labels]
    return {name: place for place, name in enumerate(dict.fromkeys(names))}
