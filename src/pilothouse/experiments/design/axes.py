"""What an experiment varies: axes, each with its levels, or a range that levels are drawn from."""

from __future__ import annotations

import math
from random import Random
from typing import Any

from msgspec import Struct, field

from pilothouse.core.canonical import canonical_json
from pilothouse.experiments.types import Variant

DIGITS = 4
"""Significant digits of what is drawn from a range: its name then tells the value exactly."""


class Level(Struct, frozen=True, kw_only=True):
    """One value of an axis.

    Attributes:
        name: As it stands in the names of arms.
        full: The same with the axis, for where another axis has a level of that name.
        choices: Node -> variant id.
        settings: Path -> value.
    """

    name: str
    full: str
    choices: dict[str, str] = field(default_factory=dict[str, str])
    settings: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def content(self) -> dict[str, Any]:
        """What it sets."""
        return {**self.choices, **self.settings}


class Range(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Numbers between two bounds, both among them.

    Attributes:
        low: The least.
        high: The greatest.
        log: Whether each order of magnitude is as likely as another; the numbers are above 0 then.
        integer: Whether only whole numbers are drawn.
        step: Distance of the numbers that may be drawn, from ``low`` on.
        first: What the baseline has; what the flow says itself, when absent.
    """

    low: float
    high: float
    log: bool = False
    integer: bool = False
    step: float | None = None
    first: float | None = None

    def fault(self) -> str | None:
        """Return what is wrong with it; None when nothing is."""
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            return f"a range from {self.low:g} to {self.high:g} has no numbers to draw from"
        if self.log and self.low <= 0:
            return f"a logarithmic range begins above 0, and this one at {self.low:g}"
        if self.step is not None and not 0 < self.step <= self.high - self.low:
            return f"a step of {self.step:g} does not lead from {self.low:g} to {self.high:g}"
        if self.log and self.step is not None:
            return "a range has a step or is logarithmic, not both"
        if self.integer and not (self.low.is_integer() and self.high.is_integer() and (self.step or 1.0).is_integer()):
            return "a range of whole numbers has whole bounds and a whole step"
        return None

    def draw(self, random: Random) -> float | int:
        """Return one of its numbers."""
        if self.step is not None:
            steps = math.floor((self.high - self.low) / self.step + 1e-9)
            value = self.low + random.randint(0, steps) * self.step
        elif self.log:
            value = math.exp(random.uniform(math.log(self.low), math.log(self.high)))
        elif self.integer:
            value = float(random.randint(int(self.low), int(self.high)))
        else:
            value = random.uniform(self.low, self.high)
        if self.integer:
            return int(min(max(round(value), self.low), self.high))
        return min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)


class Axis(Struct, frozen=True, kw_only=True):
    """What may be one or another.

    Attributes:
        name: The node, the path, or the name of a bundle.
        levels: Its values; empty for a range.
        base: The value of the baseline.
        short: What stands before a drawn value in the name of an arm.
        range: What its values are drawn from, where they are not listed.
        keys: Where it stands in the file.
    """

    name: str
    levels: tuple[Level, ...] = ()
    base: Level
    short: str = ""
    range: Range | None = None
    keys: tuple[str, ...] = ()

    @property
    def paths(self) -> set[str]:
        """All that its levels set."""
        return {path for level in (*self.levels, self.base) for path in level.content} | (
            {self.name} if self.range is not None else set()
        )

    @property
    def others(self) -> tuple[Level, ...]:
        """The levels that are not the baseline's."""
        own = identity(self.base.content)
        return tuple(level for level in self.levels if identity(level.content) != own)

    def draw(self, random: Random) -> Level:
        """Return one of its levels at random."""
        if self.range is None:
            return random.choice(self.levels)
        value = self.range.draw(random)
        text = f"{value:.{DIGITS}g}" if isinstance(value, float) else str(value)
        return Level(name=f"{self.short}={text}", full=f"{self.name}={text}", settings={self.name: value})


def identity(content: dict[str, Any]) -> bytes:
    """Return what two arms or levels have in common when they are the same; 1 and 1.0 are one number."""
    return canonical_json(_plain(content))


def joined(name: str, levels: list[Level]) -> Variant:
    """Return the arm that has these levels."""
    choices: dict[str, str] = {}
    settings: dict[str, Any] = {}
    for level in levels:
        choices |= level.choices
        settings |= level.settings
    return Variant(name=name, choices=choices, settings=settings)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return [_plain(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    return int(value) if isinstance(value, float) and value.is_integer() else value
