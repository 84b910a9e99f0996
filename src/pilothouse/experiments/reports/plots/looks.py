"""Looks at one arm: the confidence sequence of its difference as it narrows with the rows, around a zero line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Self

from msgspec import Struct

from pilothouse.experiments.reports.plots import svg
from pilothouse.experiments.reports.plots.intervals import Show

HEIGHT = 230
LEFT = 54
RIGHT = 14
TOP = 10
FLOOR = 186
MOST_MARKS = 40
"""Looks that have marks of their own; of more, the line alone is drawn."""


class Seen(Struct, frozen=True, kw_only=True):
    """One look: rows behind it, the difference, and the ends of the sequence; None while it says nothing."""

    text: str
    size: int
    value: float | None
    low: float | None
    high: float | None


def looks_plot(
    looks: Sequence[Seen], *, title: str, unit: str, most: int, css: str, show: Show, margin: float | None = None
) -> str:
    """Return the confidence sequence over looks.

    Args:
        looks: The looks, in order.
        title: What is compared.
        unit: What the rows are called, in the plural.
        most: Rows at most: where the axis ends when the looks come near.
        css: Class of the last mark: ``better``, ``worse`` or ``flat``.
        show: A tick's value and decimals in words.
        margin: Half-width of the grey band of differences that do not matter.
    """
    frame = _Frame.around(looks, most, margin)
    body = [*_band(frame, margin), *_axes(frame, unit, show), *_curves(frame, looks)]
    shown = looks if len(looks) <= MOST_MARKS else looks[-1:]
    body += [_mark(frame, look, css if look is looks[-1] else "arm") for look in shown]
    return svg.frame(
        body,
        HEIGHT,
        title,
        "The interval of the difference at every look. It holds at all of them together; an arm is decided when it "
        "leaves out zero. Figures stand in the table below.",
    )


class _Frame(Struct, frozen=True, kw_only=True):
    """Where things stand: rows from the left, differences up to ``reach`` either way from the middle."""

    width: int
    reach: float

    @classmethod
    def around(cls, looks: Sequence[Seen], most: int, margin: float | None) -> Self:
        # The first looks may know next to nothing: the axis follows the later ones, and what is beyond it is cut off.
        later = looks[len(looks) // 3 :]
        ends = [end for look in later for end in (look.low, look.high, look.value) if end is not None]
        reach = max((abs(end) for end in [*ends, margin or 0.0]), default=0.0) * 1.15
        last = looks[-1].size
        return cls(width=most if most <= 2 * last else round(1.15 * last), reach=reach or 0.1)

    def x(self, size: float) -> float:
        return LEFT + size / self.width * (svg.WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        cut = min(max(value, -self.reach), self.reach)
        return TOP + (self.reach - cut) / (2 * self.reach) * (FLOOR - TOP)


def _band(frame: _Frame, margin: float | None) -> Iterator[str]:
    if margin is not None:
        top, bottom = frame.y(margin), frame.y(-margin)
        yield (
            f'<rect x="{LEFT}" y="{svg.num(top)}" width="{svg.WIDTH - LEFT - RIGHT}" '
            f'height="{svg.num(bottom - top)}" class="band"/>'
        )


def _axes(frame: _Frame, unit: str, show: Show) -> Iterator[str]:
    marks = svg.ticks(-frame.reach, frame.reach)
    decimals = svg.decimals(marks)
    for value in marks:
        y = frame.y(value)
        yield svg.line((LEFT, y), (svg.WIDTH - RIGHT, y), "zero" if value == 0 else "grid")
        yield svg.text(LEFT - 6, y + 4, show(value, decimals), css="tick", anchor="end")
    for size in svg.ticks(0, frame.width):
        x = frame.x(size)
        yield svg.line((x, FLOOR), (x, FLOOR + 4), "axis")
        yield svg.text(min(x, svg.WIDTH - RIGHT - 8), FLOOR + 17, f"{size:,.0f}", css="tick", anchor="middle")
    yield svg.line((LEFT, FLOOR), (svg.WIDTH - RIGHT, FLOOR), "axis")
    yield svg.text((LEFT + svg.WIDTH - RIGHT) / 2, FLOOR + 35, f"{unit} looked at", css="tick", anchor="middle")


def _curves(frame: _Frame, looks: Sequence[Seen]) -> Iterator[str]:
    """Yield the ends of the sequence as two lines."""
    known = [(look.size, look.low, look.high) for look in looks if look.low is not None and look.high is not None]
    if len(known) > 1:
        for ends in ([(size, low) for size, low, _ in known], [(size, high) for size, _, high in known]):
            path = "L".join(f"{svg.num(frame.x(size))} {svg.num(frame.y(end))}" for size, end in ends)
            yield f'<path d="M{path}" class="curve s0"/>'


def _mark(frame: _Frame, look: Seen, css: str) -> str:
    x = frame.x(look.size)
    parts: list[str] = []
    if look.low is not None and look.high is not None:
        parts.append(svg.line((x, frame.y(look.low)), (x, frame.y(look.high)), f"whisker {css}"))
    if look.value is not None:
        parts.append(svg.mark(x, frame.y(look.value), "circle", f"mark {css}"))
    return f"<g><title>{svg.attr(look.text)}</title>{''.join(parts)}</g>"
