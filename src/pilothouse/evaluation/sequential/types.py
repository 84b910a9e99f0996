"""Nouns of a sequential experiment: how often it looks, what each look said, where every arm stopped."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from pilothouse.evaluation.statistics.sequential import Decision
from pilothouse.evaluation.types import Interval

Unit = Literal["row", "cluster"]
"""What is drawn: rows, or all rows together that share something."""


class Sequential(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an experiment looks at its rows while it runs; counts are of rows, or of clusters where rows share one.

    Attributes:
        look_every: Rows between two looks.
        margin: The largest difference that does not matter; an arm that surely lies within it is decided, too.
        min_rows: Rows before the first look.
        max_rows: Rows at most; all rows of the data when absent.
    """

    look_every: Annotated[int, Meta(ge=1)]
    margin: Annotated[float, Meta(gt=0)] | None = None
    min_rows: Annotated[int, Meta(ge=1)] | None = None
    max_rows: Annotated[int, Meta(ge=1)] | None = None

    def sizes(self, units: int) -> tuple[int, ...]:
        """Return after how many of ``units`` rows it looks; the last look is at all that may be used."""
        most = min(units, self.max_rows or units)
        first = max(self.look_every, self.min_rows or 1)
        return (*range(first, most, self.look_every), most)


class Look(Struct, frozen=True, kw_only=True):
    """One look at one arm.

    Attributes:
        size: Rows (clusters) that had been drawn.
        n: Of them, those that have a value in the arm and in the baseline.
        value: Candidate minus baseline, on average over them.
        interval: The confidence sequence; None while it says nothing.
        p_value: Against no difference, valid at every look together; None where it says nothing.
        decision: See `Decision`.
    """

    size: int
    n: int
    value: float | None = None
    interval: Interval | None = None
    p_value: float | None = None
    decision: Decision = "open"


class ArmLooks(Struct, frozen=True, kw_only=True):
    """All looks at one arm but the baseline, the first one first; it got no more rows after the last."""

    arm: str
    looks: tuple[Look, ...]

    @property
    def last(self) -> Look:
        """The look that decided, or the last one there was."""
        return self.looks[-1]


class LooksReport(Struct, frozen=True, kw_only=True):
    """What a sequential experiment saw.

    Attributes:
        metric: Name of the metric that decides.
        unit: What ``size`` and the counts below are of.
        units: Units in the data.
        most: Units that could be used at most.
        used: Units that the baseline was run over.
        looks: Looks that there could be at most.
        look_every: Units between two looks.
        margin: As in `Sequential`.
        alpha: Chance of a false difference over all looks and arms together.
        method: Name of the confidence sequence.
        exact: Whether its guarantee holds at any size; else in the limit of many rows.
        seed: Of the order in which rows were drawn.
        cluster: The column that rows of a cluster share.
        arms: Every arm but the baseline.
    """

    metric: str
    unit: Unit
    units: int
    most: int
    used: int
    looks: int
    look_every: int
    margin: float | None = None
    alpha: float
    method: str
    exact: bool
    seed: int
    cluster: str | None = None
    arms: tuple[ArmLooks, ...]

    def size_of(self, arm: str) -> int:
        """Return over how many units an arm was run; the baseline goes on while any other arm does."""
        return next((item.last.size for item in self.arms if item.arm == arm), self.used)
