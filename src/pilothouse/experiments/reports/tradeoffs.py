"""Quality against what it takes: which variants are worth a look, and which ones another beats on both counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from msgspec import Struct

from pilothouse.evaluation.types import Estimate, Metric
from pilothouse.experiments.comparison import Arm, ExperimentComparison

Price = Literal["cost", "latency", "tokens"]
"""``cost`` = US dollars for 1,000 rows; ``latency`` = median seconds of a row; ``tokens`` = tokens of a row."""

Standing = Literal["frontier", "undecided", "dominated"]
"""``frontier`` = no variant is better for less. ``dominated`` = one is, and their intervals lie apart;
``undecided`` = one seems to be, but its interval overlaps: this many rows cannot tell."""

THOUSAND = 1000


class Point(Struct, frozen=True, kw_only=True):
    """One arm in the plane of quality and price.

    Attributes:
        name: The arm.
        quality: Its estimate of the primary metric; it has a value.
        price: What it takes, in the unit of `Price`; at least 0.
        standing: See `Standing`.
        by: The cheapest arm that is better for no more; None on the frontier.
    """

    name: str
    quality: Estimate
    price: float
    standing: Standing = "frontier"
    by: str | None = None


class Tradeoff(Struct, frozen=True, kw_only=True):
    """All arms whose quality and price are known, in the arms' order.

    Attributes:
        price: What quality is held against.
        points: The arms.
        left_out: Names of arms whose quality or price is not known.
    """

    price: Price
    points: tuple[Point, ...]
    left_out: tuple[str, ...] = ()


def tradeoffs(found: ExperimentComparison) -> tuple[Tradeoff, ...]:
    """Return quality against cost and against latency; against tokens where no price is known.

    A trade-off needs two arms: what fewer have is left out.
    """
    metric = found.metric(found.primary)
    made = {price: _tradeoff(found.arms, metric, price) for price in _PRICES}
    wanted: tuple[Price, ...] = ("cost" if len(made["cost"].points) > 1 else "tokens", "latency")
    return tuple(made[price] for price in wanted if len(made[price].points) > 1)


def _tradeoff(arms: Sequence[Arm], metric: Metric, price: Price) -> Tradeoff:
    points: list[Point] = []
    left_out: list[str] = []
    for arm in arms:
        quality, taken = arm.estimates.get(metric.name), _PRICES[price](arm)
        if quality is None or quality.value is None or taken is None:
            left_out.append(arm.name)
        else:
            points.append(Point(name=arm.name, quality=quality, price=taken))
    sign = 1.0 if metric.better == "higher" else -1.0
    return Tradeoff(
        price=price, points=tuple(_judged(point, points, sign) for point in points), left_out=tuple(left_out)
    )


def _judged(point: Point, points: Sequence[Point], sign: float) -> Point:
    """Return a point with its standing among the others."""
    own = sign * _value(point)
    over = [
        other
        for other in points
        if sign * _value(other) >= own
        and other.price <= point.price
        and (sign * _value(other) > own or other.price < point.price)
    ]
    if not over:
        return point
    sure = [other for other in over if _apart(other, point, sign)]
    by = min(sure or over, key=lambda other: other.price)
    return Point(
        name=point.name,
        quality=point.quality,
        price=point.price,
        standing="dominated" if sure else "undecided",
        by=by.name,
    )


def _apart(better: Point, worse: Point, sign: float) -> bool:
    """Return whether the interval of the better arm lies wholly on the better side of the other's."""
    first, second = better.quality.interval, worse.quality.interval
    if first is None or second is None:
        return False
    return first.low > second.high if sign > 0 else first.high < second.low


def _value(point: Point) -> float:
    return point.quality.value if point.quality.value is not None else 0.0


def _cost(arm: Arm) -> float | None:
    if arm.cost is None or arm.unpriced or not arm.rows:
        return None
    return float(arm.cost) * THOUSAND / arm.rows


def _tokens(arm: Arm) -> float | None:
    total = arm.usage.input_tokens + arm.usage.output_tokens
    return total / arm.rows if arm.rows and total else None


_PRICES: dict[Price, Callable[[Arm], float | None]] = {
    "cost": _cost,
    "latency": lambda arm: arm.latency.p50,
    "tokens": _tokens,
}
