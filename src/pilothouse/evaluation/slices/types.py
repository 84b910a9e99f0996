"""Nouns of slices: how rows are cut, and what is found in each part."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from pilothouse.evaluation.types import Comparison, Estimate, Interval

NONE = "(none)"
OTHER = "other"

Standing = Literal["weaker", "stronger", "inconclusive", "too few"]
"""How a slice stands against all other rows of the same arm."""


class SliceBy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One way to cut the rows.

    Attributes:
        column: The column; empty for ``cross``.
        bins: Numbers are cut into so many parts of equal size.
        edges: Numbers are cut here instead; a value that is an edge belongs to the part below it.
        cross: Columns whose slices are crossed with one another, in place of ``column``.
    """

    column: str = ""
    bins: Annotated[int, Meta(ge=2, le=20)] = 4
    edges: tuple[float, ...] = ()
    cross: tuple[str | SliceBy, ...] = ()

    @property
    def parts(self) -> tuple[SliceBy, ...]:
        """The ways that are crossed; itself alone where nothing is."""
        if not self.cross:
            return (self,)
        return tuple(SliceBy(column=item) if isinstance(item, str) else item for item in self.cross)

    @property
    def name(self) -> str:
        """What people call it."""
        return " x ".join(part.column for part in self.parts)


class Slicing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which slices are looked at, and how carefully.

    Attributes:
        by: The ways to cut.
        correction: Over all slices and arms together: ``benjamini-hochberg`` to explore, ``holm`` to decide.
        min_rows: Independent rows below which a slice is too few for a verdict.
    """

    by: tuple[str | SliceBy, ...]
    correction: Literal["benjamini-hochberg", "holm"] = "benjamini-hochberg"
    min_rows: Annotated[int, Meta(ge=2)] = 20

    @property
    def ways(self) -> tuple[SliceBy, ...]:
        """The ways to cut, in full."""
        return tuple(SliceBy(column=item) if isinstance(item, str) else item for item in self.by)


class Cut(Struct, frozen=True, kw_only=True):
    """The rows of the data as one way cuts them.

    Attributes:
        by: Its name.
        labels: The slices, in the order in which they are shown.
        of: Row id -> place in ``labels``.
        note: What a reader must know.
    """

    by: str
    labels: tuple[str, ...]
    of: dict[str, int]
    note: str | None = None


class Contrast(Struct, frozen=True, kw_only=True):
    """One slice of one arm against all its other rows.

    Attributes:
        arm: Name of the arm.
        difference: The slice's mean less that of the others; None when one side has no rows.
        interval: Of the difference, by Welch's method, for this slice alone.
        p_value: Two-sided; None when it was not tested.
        p_adjusted: Corrected over all slices and arms.
        standing: See `Standing`.
    """

    arm: str
    difference: float | None
    interval: Interval | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    standing: Standing = "inconclusive"


class Slice(Struct, frozen=True, kw_only=True):
    """One part of the data.

    Attributes:
        by: How the rows were cut.
        value: Which part it is.
        rows: Rows in it, repeats included.
        units: Independent rows (clusters) in it.
        too_few: Whether they are too few for a verdict.
        estimates: Arm's name -> the figure in this slice.
        comparisons: Every arm but the baseline against it; none where there are too few rows.
        contrasts: Every arm's slice against its other rows.
    """

    by: str
    value: str
    rows: int
    units: int
    too_few: bool
    estimates: dict[str, Estimate]
    comparisons: tuple[Comparison, ...] = ()
    contrasts: tuple[Contrast, ...] = ()

    @property
    def name(self) -> str:
        """``column = part``."""
        return f"{self.by} = {self.value}"


class Heterogeneity(Struct, frozen=True, kw_only=True):
    """Whether slices differ from one another more than chance lets them.

    Attributes:
        by: How the rows were cut.
        arm: Name of the arm.
        of: ``difference`` = its difference from the baseline, ``score`` = its own figure.
        slices: Slices that were tested: those with enough rows.
        statistic: Of the test.
        test: Its name.
        p_value: None where it cannot be had.
        p_adjusted: Corrected over all such tests of the same kind.
        differs: Whether ``p_adjusted`` is below alpha.
        note: Why there is no p-value.
    """

    by: str
    arm: str
    of: Literal["difference", "score"]
    slices: int
    statistic: float | None = None
    test: str = ""
    p_value: float | None = None
    p_adjusted: float | None = None
    differs: bool = False
    note: str | None = None


class SliceReport(Struct, frozen=True, kw_only=True):
    """All slices of an experiment in its primary metric.

    Attributes:
        metric: Name of the metric.
        slices: In the order of the ways to cut.
        heterogeneity: One entry for each way to cut and each arm.
        correction: In words, with the size of the family.
        alpha: The accepted share of false findings (Benjamini and Hochberg) or chance of any (Holm).
        min_rows: Independent rows that a slice needs.
        notes: What a reader must know.
    """

    metric: str
    slices: tuple[Slice, ...]
    heterogeneity: tuple[Heterogeneity, ...] = ()
    correction: str
    alpha: float
    min_rows: int
    notes: tuple[str, ...] = ()
