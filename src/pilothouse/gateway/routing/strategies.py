"""Whom to ask among deployments of one priority that may all be asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from pilothouse.gateway.routing.hashing import fraction, preference
from pilothouse.gateway.routing.health import HealthBoard
from pilothouse.gateway.routing.plans import Candidate, Price
from pilothouse.gateway.settings import Strategy


class Draw:
    """What a choice may be made by.

    Attributes:
        name: From which chance is drawn: the call and the attempt.
        board: How deployments fare.
        price: What they cost.
        now: The time.
    """

    __slots__ = ("board", "name", "now", "price")

    def __init__(self, name: str, board: HealthBoard, price: Price, now: float) -> None:
        self.name = name
        self.board = board
        self.price = price
        self.now = now


def weighted(fit: Sequence[Candidate], draw: Draw) -> Candidate:
    """Return one by chance, each by its weight."""
    return _drawn(fit, fraction("draw", draw.name))[0]


def in_order(fit: Sequence[Candidate], _draw: Draw) -> Candidate:
    """Return the first of the configuration."""
    return fit[0]


def least_busy(fit: Sequence[Candidate], draw: Draw) -> Candidate:
    """Return the one with the fewest calls in flight for its weight; among equals by weight."""
    of = draw.board.of
    loads = [(of(item.id).in_flight + 1) / item.weight for item in fit]
    least = min(loads)
    equal = [item for item, load in zip(fit, loads, strict=True) if load == least]
    return equal[0] if len(equal) == 1 else weighted(equal, draw)


def quicker_of_two(fit: Sequence[Candidate], draw: Draw) -> Candidate:
    """Return the better of two drawn by weight: time to the first byte times calls in flight (P2C, peak EWMA)."""
    first, rest = _drawn(fit, fraction("draw", draw.name))
    second, _ = _drawn([item for item in fit if item is not first], rest)
    of, now = draw.board.of, draw.now
    return second if of(second.id).load(now) < of(first.id).load(now) else first


def cheapest(fit: Sequence[Candidate], draw: Draw) -> Candidate:
    """Return the one of the lowest price, unknown prices last; among equals by weight."""
    prices = [draw.price(item.deployment) for item in fit]
    known = [price for price in prices if price is not None]
    lowest = min(known) if known else None
    equal = [item for item, price in zip(fit, prices, strict=True) if price == lowest]
    return equal[0] if len(equal) == 1 else weighted(equal, draw)


def nearest(fit: Sequence[Candidate], unit: str) -> Candidate:
    """Return the one a unit prefers among these (weighted rendezvous)."""
    return max(fit, key=lambda item: preference(f"affinity {item.id}", unit, item.weight))


def _drawn(fit: Sequence[Candidate], number: float) -> tuple[Candidate, float]:
    """Return whom a number from 0 to 1 falls on by weight, and another such number that knows nothing of whom."""
    weights = [item.weight for item in fit]
    left = number * sum(weights)
    for item, weight in zip(fit, weights, strict=True):
        if left < weight:
            return item, left / weight
        left -= weight
    return fit[-1], 0.5  # rounding let the number pass the last


STRATEGIES: Final[dict[Strategy, Callable[[Sequence[Candidate], Draw], Candidate]]] = {
    "weighted": weighted,
    "priority": in_order,
    "least_busy": least_busy,
    "latency": quicker_of_two,
    "cheapest": cheapest,
}
