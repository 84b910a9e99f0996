"""The alphabet of the plots: escaped text, marks, ticks and the frame around them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from pilothouse.experiments.reports.visible import reveal

WIDTH = 460
"""Width of every plot in its own units; the page scales it, so text stays legible on a narrow screen."""

STYLES = 8
"""How many line and mark styles there are before they repeat."""

_DASHES = ("", "7 3", "2 3", "9 3 2 3", "4 2", "12 4", "1 2", "6 2 1 2 1 2")


def frame(body: Sequence[str], height: float, title: str, description: str, width: float = WIDTH) -> str:
    """Return a complete ``<svg>`` that a screen reader announces by title and description."""
    return (
        f'<svg class="plot" viewBox="0 0 {num(width)} {num(height)}" role="group" aria-label="{attr(title)}">'
        f"<title>{attr(title)}</title><desc>{attr(description)}</desc>{''.join(body)}</svg>"
    )


def num(value: float) -> str:
    """Return a coordinate with at most one decimal: more only makes the file bigger."""
    return f"{value:.1f}".removesuffix(".0")


def attr(text: str) -> str:
    """Return ``text`` for a quoted attribute or an element, with hidden characters written out."""
    return escape(reveal(text), quote=True)


def text(x: float, y: float, content: str, *, css: str = "", anchor: str = "start") -> str:
    """Return a text element; ``anchor`` is start, middle or end."""
    at = "" if anchor == "start" else f' text-anchor="{anchor}"'
    kind = f' class="{css}"' if css else ""
    return f'<text x="{num(x)}" y="{num(y)}"{at}{kind}>{attr(content)}</text>'


def line(start: tuple[float, float], end: tuple[float, float], css: str) -> str:
    """Return a straight line."""
    return f'<line x1="{num(start[0])}" y1="{num(start[1])}" x2="{num(end[0])}" y2="{num(end[1])}" class="{css}"/>'


def mark(x: float, y: float, shape: str, css: str) -> str:
    """Return a mark of about 12 units: ``circle``, ``diamond``, ``up``, ``down`` or ``ring``."""
    if shape in {"circle", "ring"}:
        return f'<circle cx="{num(x)}" cy="{num(y)}" r="{"5.5" if shape == "circle" else "5"}" class="{css} {shape}"/>'
    corners = {
        "diamond": ((0, -7), (7, 0), (0, 7), (-7, 0)),
        "up": ((0, -7), (6.5, 5), (-6.5, 5)),
        "down": ((0, 7), (6.5, -5), (-6.5, -5)),
    }[shape]
    path = "L".join(f"{num(x + dx)} {num(y + dy)}" for dx, dy in corners)
    return f'<path d="M{path}Z" class="{css}"/>'


def dash(style: int) -> str:
    """Return the dash pattern of a line style; the first is solid."""
    pattern = _DASHES[style % STYLES]
    return f' stroke-dasharray="{pattern}"' if pattern else ""


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Return round numbers (1, 2 or 5 times a power of ten apart) that lie within ``low`` and ``high``."""
    if not high > low:
        return [low]
    raw = (high - low) / max(most - 1, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def decimals(values: Sequence[float]) -> int:
    """Return how many decimals tick labels need to stay apart."""
    for places in range(5):
        if all(abs(value - round(value, places)) < 1e-9 for value in values):
            return places
    return 5
