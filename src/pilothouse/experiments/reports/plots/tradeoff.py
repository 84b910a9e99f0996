"""Quality against price: one mark an arm, its interval, and the line of those that nothing beats on both counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from pilothouse.experiments.reports.plots import svg

HEIGHT = 300
LEFT = 46
RIGHT = 14
TOP = 14
FLOOR = 256

Scale = Callable[[float], float]
Show = Callable[[float, int], str]


class Spot(Struct, frozen=True, kw_only=True):
    """One arm.

    Attributes:
        label: The arm.
        price: Place on the axis below.
        value: Place on the axis at the left.
        low: Lower end of its interval; None when there is none.
        high: Upper end.
        css: Class of the mark and the interval.
        shape: Mark, see `svg.mark`.
        on_frontier: Whether the line goes through it.
        text: The figures in words.
    """

    label: str
    price: float
    value: float
    low: float | None = None
    high: float | None = None
    css: str = "arm"
    shape: str = "circle"
    on_frontier: bool = False
    text: str = ""


def tradeoff_plot(
    spots: Sequence[Spot], *, title: str, axes: tuple[str, str], shows: tuple[Show, Show], higher: bool = True
) -> str:
    """Return the plane of price and quality; the price begins at 0, and arms are numbered in their order.

    Args:
        spots: The arms.
        title: What is held against what.
        axes: Words at the axes: price, quality.
        shows: A tick's value and decimals in words: price, quality.
        higher: Whether more quality is better; the step line goes down otherwise.
    """
    ends = [value for spot in spots for value in (spot.value, spot.low, spot.high) if value is not None]
    low, high = min(ends), max(ends)
    air = (high - low) * 0.06 or 0.05
    across = _scale(0.0, max(spot.price for spot in spots) * 1.08 or 1.0, LEFT, svg.WIDTH - RIGHT)
    up = _scale(low - air, high + air, FLOOR, TOP)
    body = [
        *_price_axis(across, max(spot.price for spot in spots) * 1.08 or 1.0, axes[0], shows[0]),
        *_quality_axis(up, (low - air, high + air), axes[1], shows[1]),
        _frontier(spots, across, up, higher=higher),
        *(_spot(spot, across, up) for spot in spots),
        *_labels(spots, across, up),
    ]
    words = "; ".join(f"{spot.label}: {spot.text}" for spot in spots)
    return svg.frame(body, HEIGHT, title, f"{axes[1]} against {axes[0]}. {words}")


def _scale(low: float, high: float, first: float, last: float) -> Scale:
    return lambda value: first + (value - low) / (high - low) * (last - first)


def _price_axis(x: Scale, high: float, words: str, show: Show) -> list[str]:
    marks = svg.ticks(0.0, high)
    places = svg.decimals(marks)
    body = [svg.line((LEFT, FLOOR), (svg.WIDTH - RIGHT, FLOOR), "axis")]
    for value in marks:
        body.append(svg.line((x(value), FLOOR), (x(value), FLOOR + 4), "axis"))
        body.append(svg.text(x(value), FLOOR + 17, show(value, places), css="tick", anchor="middle"))
    return [*body, svg.text((LEFT + svg.WIDTH - RIGHT) / 2, FLOOR + 36, words, css="tick", anchor="middle")]


def _quality_axis(y: Scale, span: tuple[float, float], words: str, show: Show) -> list[str]:
    marks = svg.ticks(*span)
    places = svg.decimals(marks)
    body: list[str] = []
    for value in marks:
        body.append(svg.line((LEFT, y(value)), (svg.WIDTH - RIGHT, y(value)), "grid"))
        body.append(svg.text(LEFT - 6, y(value) + 4, show(value, places), css="tick", anchor="end"))
    return [*body, svg.text(LEFT, TOP - 3, words, css="tick")]


def _frontier(spots: Sequence[Spot], x: Scale, y: Scale, *, higher: bool) -> str:
    """Return the steps through the arms that nothing beats: at each price, the best quality to be had."""
    line = sorted((spot for spot in spots if spot.on_frontier), key=lambda spot: spot.price)
    if not line:
        return ""
    path = f"M{svg.num(x(line[0].price))} {svg.num(y(line[0].value))}"
    best = line[0].value
    for spot in line[1:]:
        best = max(best, spot.value) if higher else min(best, spot.value)
        path += f"H{svg.num(x(spot.price))}V{svg.num(y(best))}"
    return f'<path d="{path}H{svg.WIDTH - RIGHT}" class="frontier"/>'


def _spot(spot: Spot, x: Scale, y: Scale) -> str:
    parts: list[str] = []
    if spot.low is not None and spot.high is not None:
        parts.append(svg.line((x(spot.price), y(spot.low)), (x(spot.price), y(spot.high)), f"whisker {spot.css}"))
    parts.append(svg.mark(x(spot.price), y(spot.value), spot.shape, f"mark {spot.css}"))
    return f"<g><title>{svg.attr(f'{spot.label}: {spot.text}')}</title>{''.join(parts)}</g>"


def _labels(spots: Sequence[Spot], x: Scale, y: Scale) -> list[str]:
    """Return the numbers beside the marks, moved up where they would lie on one another."""
    taken: list[tuple[float, float]] = []
    body: list[str] = []
    for number, spot in sorted(enumerate(spots, 1), key=lambda item: -y(item[1].value)):
        across, height = x(spot.price) + 8, y(spot.value) + 4
        while any(abs(height - other) < 13 and abs(across - beside) < 16 for beside, other in taken):
            height -= 13
        taken.append((across, height))
        body.append(svg.text(across, height, str(number), css="halo tick"))
    return body
