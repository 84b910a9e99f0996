"""The trade-offs of a comparison as charts."""

from __future__ import annotations

from markupsafe import Markup
from msgspec import structs

from pilothouse.evaluation.types import Metric
from pilothouse.experiments.analysis import numbers
from pilothouse.experiments.comparison import ExperimentComparison
from pilothouse.experiments.reports.charts import Chart, axis_ticks, chart
from pilothouse.experiments.reports.plots.tradeoff import Spot, tradeoff_plot
from pilothouse.experiments.reports.tradeoffs import Point, Price, Tradeoff, tradeoffs

_TITLES: dict[Price, tuple[str, str]] = {
    "cost": ("Cost", "US dollars for 1,000 rows"),
    "latency": ("Latency", "median time of a row"),
    "tokens": ("Tokens", "tokens of a row, in and out; prices are not known"),
}
_LOOKS = {"frontier": ("better", "circle"), "undecided": ("flat", "ring"), "dominated": ("dim", "circle")}


def tradeoff_charts(found: ExperimentComparison) -> list[Chart]:
    """Return a chart of quality against each price that is known."""
    metric = found.metric(found.primary)
    return [_chart(item, metric, found.baseline) for item in tradeoffs(found)]


def _chart(item: Tradeoff, metric: Metric, baseline: str) -> Chart:
    title, words = _TITLES[item.price]
    plot = tradeoff_plot(
        [_spot(point, metric, item.price, is_baseline=point.name == baseline) for point in item.points],
        title=f"{metric.name} against {title.lower()}",
        axes=(words, metric.name),
        shows=(lambda value, places: _price(item.price, value, places), axis_ticks(metric)),
        higher=metric.better == "higher",
    )
    left = f"without {', '.join(item.left_out)}: not known" if item.left_out else ""
    legend = tuple((point.name, _number(place)) for place, point in enumerate(item.points, 1))
    return structs.replace(chart(f"{metric.name} against {title.lower()}", plot, left), legend=legend)


def _number(place: int) -> Markup:
    return Markup("<b>{}</b>&nbsp;").format(place)


def _spot(point: Point, metric: Metric, price: Price, *, is_baseline: bool) -> Spot:
    css, shape = _LOOKS[point.standing]
    interval = point.quality.interval
    said = {
        "frontier": "nothing is better for less",
        "undecided": f"{point.by} seems better for no more",
        "dominated": f"{point.by} is better for no more",
    }[point.standing]
    return Spot(
        label=f"{point.name} (baseline)" if is_baseline else point.name,
        price=point.price,
        value=point.quality.value or 0.0,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        css=css,
        shape=shape,
        on_frontier=point.standing == "frontier",
        text=f"{numbers.estimate(point.quality, metric)}, {_price(price, point.price, 2)}; {said}",
    )


def _price(price: Price, value: float, places: int) -> str:
    if price == "latency":
        return numbers.seconds(value) if value else "0"
    return f"${value:,.{places}f}" if price == "cost" else f"{value:,.0f}"
