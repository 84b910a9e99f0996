"""Dots with intervals: the scores of the arms, and their differences from the baseline."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from pilothouse.experiments.reports.plots import svg
from pilothouse.experiments.reports.visible import clip

ROW = 42
"""Height of an arm: a line of text and the interval below it."""

TOP = 6
PAD = 12

Scale = Callable[[float], float]
Show = Callable[[float, int], str]


class Dot(Struct, frozen=True, kw_only=True):
    """One arm's estimate.

    Attributes:
        label: The arm.
        value: The estimate; None is shown by its words alone.
        low: Lower end of the interval; None when there is none.
        high: Upper end.
        text: The figures in words, right of the label.
        remark: A word behind the label.
        shape: Mark, see `svg.mark`.
        css: Class of the mark and the interval.
        band: Half-width around zero within which the design finds no difference reliably.
    """

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    text: str = ""
    remark: str = ""
    shape: str = "circle"
    css: str = "arm"
    band: float | None = None


def score_plot(
    dots: Sequence[Dot], *, title: str, baseline: float | None, bounds: tuple[float, float] | None, show: Show
) -> str:
    """Return the arms' scores as dots with intervals, one row an arm.

    Args:
        dots: The arms, in order.
        title: What is measured.
        baseline: The baseline's score: a dashed line through all rows.
        bounds: Lowest and highest possible score, which the axis never leaves.
        show: A tick's value and decimals in words.
    """
    low, high = _range(_known(dots))
    if bounds is not None:
        low, high = max(low, bounds[0]), min(high, bounds[1])
    reference = [] if baseline is None else [(baseline, "reference")]
    note = "Dots are what was measured, lines their confidence intervals."
    return _plot(dots, (low, high), reference, (title, note), show)


def difference_plot(dots: Sequence[Dot], *, title: str, show: Show) -> str:
    """Return the arms' differences from the baseline around a zero line; grey bands are what cannot be detected."""
    widest = max((abs(value) for value in [*_known(dots), *(dot.band or 0.0 for dot in dots)]), default=0.0) or 0.1
    note = "An interval that crosses zero is compatible with no difference."
    return _plot(dots, (-widest * 1.08, widest * 1.08), [(0.0, "zero")], (title, note), show)


def _known(dots: Sequence[Dot]) -> list[float]:
    return [value for dot in dots for value in (dot.value, dot.low, dot.high) if value is not None]


def _range(values: Sequence[float]) -> tuple[float, float]:
    """Return limits with some air around the values, and wide enough that noise does not look like a landslide."""
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    least = 0.1 * max(abs(low), abs(high)) or 0.1
    air = max((high - low) * 0.08, (least - (high - low)) / 2)
    return low - air, high + air


def _plot(
    dots: Sequence[Dot],
    span: tuple[float, float],
    references: Sequence[tuple[float, str]],
    titles: tuple[str, str],
    show: Show,
) -> str:
    low, high = span

    def x(value: float) -> float:
        return PAD + (value - low) / (high - low) * (svg.WIDTH - 2 * PAD)

    floor = TOP + ROW * len(dots) + 4
    marks = svg.ticks(low, high)
    places = svg.decimals(marks)
    body = [_band(dot, x, TOP + ROW * index) for index, dot in enumerate(dots)]
    body += [svg.line((x(value), TOP), (x(value), floor), "grid") for value in marks]
    body += [svg.line((x(value), TOP), (x(value), floor), css) for value, css in references]
    body += [_row(dot, x, TOP + ROW * index) for index, dot in enumerate(dots)]
    body.append(svg.line((PAD, floor), (svg.WIDTH - PAD, floor), "axis"))
    for value in marks:
        at = min(max(x(value), PAD + 8), svg.WIDTH - PAD - 8)
        body.append(svg.text(at, floor + 16, show(value, places), css="tick", anchor="middle"))
    title, note = titles
    words = "; ".join(f"{dot.label}: {dot.text} {dot.remark}".rstrip() for dot in dots)
    return svg.frame(body, floor + 24, title, f"{note} {words}")


def _band(dot: Dot, x: Scale, top: float) -> str:
    if not dot.band:
        return ""
    left, right = x(-dot.band), x(dot.band)
    return (
        f'<rect x="{svg.num(left)}" y="{svg.num(top + 22)}" width="{svg.num(right - left)}" height="18" class="band"/>'
    )


def _row(dot: Dot, x: Scale, top: float) -> str:
    middle = top + 31
    label = clip(dot.label, max(8, 48 - len(dot.text) - len(dot.remark)))
    remark = f'<tspan class="remark" dx="7">{svg.attr(dot.remark)}</tspan>' if dot.remark else ""
    parts = [
        svg.text(PAD, top + 16, label, css="label halo").removesuffix("</text>") + f"{remark}</text>",
        svg.text(svg.WIDTH - PAD, top + 16, dot.text, css="figure halo", anchor="end"),
    ]
    if dot.low is not None and dot.high is not None:
        parts.append(svg.line((x(dot.low), middle), (x(dot.high), middle), f"whisker {dot.css}"))
        ends = (dot.low, dot.high)
        parts += [svg.line((x(end), middle - 4), (x(end), middle + 4), f"whisker {dot.css}") for end in ends]
    if dot.value is not None:
        parts.append(svg.mark(x(dot.value), middle, dot.shape, f"mark {dot.css}"))
    return "".join(parts)
