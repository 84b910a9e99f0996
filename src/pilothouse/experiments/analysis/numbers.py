"""How numbers read in every report: the same figure looks the same in terminal and page."""

from __future__ import annotations

import math
from decimal import Decimal

from pilothouse.evaluation.types import Comparison, Estimate, Metric

_FINE = 10**6
"""So many rows that a figure of them is shown with three decimals."""

MINUS = "\u2212"
NONE = "–"


def places(n: int) -> int:
    """Return how many decimals a share of ``n`` rows can carry: more would be noise."""
    return 2 if n < 1000 else 3


def score(value: float | None, decimals: int = 2) -> str:
    """Return a score such as ``0.71``; the minus is a typographic one, and nothing is ever ``-0.00``."""
    if value is None or not math.isfinite(value):
        return NONE
    text = f"{abs(value):.{decimals}f}"
    return f"{MINUS}{text}" if value < 0 and float(text) else text


def signed(value: float | None, decimals: int = 2) -> str:
    """Return a difference with its sign, such as ``+0.08``."""
    text = score(value, decimals)
    return f"+{text}" if value is not None and value > 0 and text != NONE and float(text) else text


def quantity(value: float | None, metric: Metric, n: int) -> str:
    """Return a value in the metric's own unit: seconds, whole tokens, or a plain score."""
    if metric.unit == "s":
        return f"{MINUS if value is not None and value < 0 else ''}{seconds(None if value is None else abs(value))}"
    if metric.unit is not None and value is not None:
        return f"{score(value, 0 if abs(value) >= 100 else 1)} {metric.unit}"
    return score(value, places(n))


def estimate(found: Estimate, metric: Metric) -> str:
    """Return ``0.71 [0.61, 0.80]``."""
    value = quantity(found.value, metric, found.n)
    if found.interval is None:
        return value
    low, high = (quantity(end, metric, found.n) for end in (found.interval.low, found.interval.high))
    return f"{value} [{low}, {high}]"


def difference(found: Estimate, metric: Metric) -> str:
    """Return ``+0.08 [−0.02, +0.18]``."""
    n, interval = found.n, found.interval
    if interval is not None and metric.unit is None and interval.low * interval.high > 0.0:
        # An end that leaves out zero must not read as zero: the verdict rests on it.
        nearest = min(abs(interval.low), abs(interval.high))
        n = n if float(f"{nearest:.{places(n)}f}") else _FINE

    def show(value: float | None) -> str:
        text = quantity(value, metric, n)
        return f"+{text}" if value is not None and value > 0 and text.strip("0. smin") else text

    if found.interval is None:
        return show(found.value)
    return f"{show(found.value)} [{show(found.interval.low)}, {show(found.interval.high)}]"


def detectable(found: Comparison, metric: Metric) -> str:
    """Return the smallest difference that the design finds, or a dash where it cannot be told."""
    return quantity(found.mde, metric, found.n_pairs)


def p_value(value: float | None) -> str:
    """Return a p-value such as ``0.043`` or ``<0.001``."""
    if value is None:
        return NONE
    if value < 0.001:
        return "<0.001"
    return f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def seconds(value: float | None) -> str:
    """Return a duration with its unit, such as ``84 ms``, ``1.24 s`` or ``3 min 20 s``."""
    if value is None or not math.isfinite(value):
        return NONE
    if value < 0.0995:
        return f"{value * 1000:.1f} ms" if value < 0.00995 else f"{value * 1000:.0f} ms"
    if value < 100:
        return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s"


def count(value: int | None) -> str:
    """Return a count with thousands apart, such as ``12,345``."""
    return NONE if value is None else f"{value:,}"


def rows(number: int) -> str:
    """Return ``1 row`` or ``1,200 rows``."""
    return counted(number, "row")


def counted(number: int, thing: str) -> str:
    """Return ``1 variant`` or ``3 variants``."""
    return f"{number:,} {thing if number == 1 else thing + 's'}"


def money(value: Decimal | None, unpriced: int = 0) -> str:
    """Return US dollars; an unknown price is ``unknown``, and a part that is unknown makes it a lower bound."""
    if value is None:
        return "unknown" if unpriced else "$0"
    text = f"${value:,.2f}"
    if 0 < value < 1:
        # Cents at least; small sums keep what can be told of them.
        whole, _, part = f"{value:.6f}".partition(".")
        text = f"${whole}.{part.rstrip('0').ljust(2, '0')}" if part.strip("0") else "<$0.000001"
    return f"at least {text}" if unpriced else text


def percent(share: float) -> str:
    """Return a share as a whole percentage, never rounding a little to 0 or nearly all to 100."""
    if 0 < share < 0.01:
        return "<1 %"
    if 0.99 < share < 1:
        return ">99 %"
    return f"{share * 100:.0f} %"
