"""Tokens a row as stacked bars: what went in and what came out of the models."""

from __future__ import annotations

from collections.abc import Sequence

from pilothouse.experiments.reports.plots import svg
from pilothouse.experiments.reports.visible import clip

ROW = 42
TOP = 6
PAD = 12


def token_plot(bars: Sequence[tuple[str, float, float]], *, title: str) -> str:
    """Return one stacked bar an arm: label, mean input tokens, mean output tokens."""
    longest = max((into + out for _, into, out in bars), default=0.0) or 1.0
    body: list[str] = []
    for index, (label, into, out) in enumerate(bars):
        top = TOP + ROW * index
        body.append(svg.text(PAD, top + 16, clip(label, 34), css="label"))
        words = f"{into:,.0f} in, {out:,.1f} out"
        body.append(svg.text(svg.WIDTH - PAD, top + 16, words, css="figure", anchor="end"))
        wide = (svg.WIDTH - 2 * PAD) / longest
        body.append(_bar(PAD, top, into * wide, "into"))
        body.append(_bar(PAD + into * wide, top, out * wide, "out"))
    words = "; ".join(f"{label}: {into:,.0f} in, {out:,.1f} out" for label, into, out in bars)
    return svg.frame(body, TOP + ROW * len(bars) + 6, title, words)


def _bar(x: float, top: float, width: float, css: str) -> str:
    if width <= 0:
        return ""
    box = f'x="{svg.num(x)}" y="{svg.num(top + 24)}" width="{svg.num(max(width, 1.5))}" height="12"'
    return f'<rect {box} class="bar {css}"/>'
