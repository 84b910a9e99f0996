"""Latency as cumulative curves: at each duration, the share of rows that had answered."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from msgspec import Struct

from pilothouse.experiments.analysis import numbers
from pilothouse.experiments.reports.plots import svg

HEIGHT = 250
LEFT = 40
RIGHT = 12
TOP = 10
FLOOR = 210
MOST_POINTS = 160
"""Points of a curve: beyond it the eye sees no more, and the page only grows."""


class Curve(Struct, frozen=True, kw_only=True):
    """One arm's durations in seconds; ``style`` picks colour and dashes."""

    label: str
    values: tuple[float, ...]
    style: int


def latency_plot(curves: Sequence[Curve], *, title: str) -> str:
    """Return the empirical distribution functions of the arms' row durations.

    The axis is logarithmic when the slowest row took over 20 times as long as the fastest.
    """
    drawn = [curve for curve in curves if curve.values]
    every = [value for curve in drawn for value in curve.values]
    if not every:
        return ""
    low, high = min(every), max(every)
    logarithmic = low > 0 and high / low > 20
    scale = _log_scale(low, high) if logarithmic else _linear_scale(high)
    marks = _log_ticks(low, high) if logarithmic else svg.ticks(0.0, high * 1.02)
    body: list[str] = []
    for share in (0.0, 0.25, 0.5, 0.75, 0.95):
        y = _y(share)
        body.append(svg.line((LEFT, y), (svg.WIDTH - RIGHT, y), "reference" if share in {0.5, 0.95} else "grid"))
        body.append(svg.text(LEFT - 6, y + 4, f"{share * 100:.0f} %", css="tick", anchor="end"))
    body += [svg.text(scale(value), FLOOR + 17, _duration(value), css="tick", anchor="middle") for value in marks]
    body += [svg.line((scale(value), FLOOR), (scale(value), FLOOR + 4), "axis") for value in marks]
    body.append(svg.line((LEFT, FLOOR), (svg.WIDTH - RIGHT, FLOOR), "axis"))
    kind = "duration of a row, logarithmic scale" if logarithmic else "duration of a row"
    body.append(svg.text((LEFT + svg.WIDTH - RIGHT) / 2, FLOOR + 35, kind, css="tick", anchor="middle"))
    body += [_curve(curve, scale) for curve in drawn]
    return svg.frame(
        body, HEIGHT, title, "Share of rows that had answered after a time. Figures stand in the table below."
    )


def _y(share: float) -> float:
    return FLOOR - share * (FLOOR - TOP)


def _linear_scale(high: float) -> Callable[[float], float]:
    top = high * 1.02 or 1.0
    return lambda value: LEFT + value / top * (svg.WIDTH - LEFT - RIGHT)


def _log_scale(low: float, high: float) -> Callable[[float], float]:
    first, last = math.log10(low * 0.9), math.log10(high * 1.1)
    return lambda value: LEFT + (math.log10(value) - first) / (last - first) * (svg.WIDTH - LEFT - RIGHT)


def _log_ticks(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1,)):
        found = [factor * 10.0**power for power in powers for factor in factors]
        inside = [value for value in found if low * 0.9 <= value <= high * 1.1]
        if len(inside) <= 6:
            return inside
    return inside[:: math.ceil(len(inside) / 6)]


def _duration(value: float) -> str:
    if value == 0:
        return "0"
    return f"{value * 1000:g} ms" if value < 0.1 else f"{value:g} s"


def _curve(curve: Curve, scale: Callable[[float], float]) -> str:
    """Return the steps of one curve, thinned to `MOST_POINTS`; the first and the last row always stay."""
    values = sorted(curve.values)
    n = len(values)
    kept: Sequence[int] = range(n)
    if n > MOST_POINTS:
        kept = sorted({round(index * (n - 1) / (MOST_POINTS - 1)) for index in range(MOST_POINTS)})
    path = [f"M{svg.num(scale(values[0]))} {FLOOR}"]
    path += [f"H{svg.num(scale(values[index]))}V{svg.num(_y((index + 1) / n))}" for index in kept]
    path.append(f"H{svg.WIDTH - RIGHT}")
    name = f"{curve.label}: median {numbers.seconds(values[(n - 1) // 2])}"
    return (
        f'<path d="{"".join(path)}" class="curve s{curve.style % svg.STYLES}"{svg.dash(curve.style)}>'
        f"<title>{svg.attr(name)}</title></path>"
    )
