"""Nouns of calibration: labels, shares, and the record that a judge's version is bound to."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

from pilothouse.evaluation.judges.rubric import Kind
from pilothouse.evaluation.types import Interval

LEAST = 30
"""Labelled rows of each class (of all classes together, where the verdict is not yes or no) below which a calibration
is called too small."""

Value = bool | float
"""A verdict or a label: yes or no, a level; of two answers 1 = the candidate, 0 = the baseline, 0.5 = a tie."""


class Label(Struct, frozen=True, kw_only=True):
    """What people said of one row.

    Attributes:
        id: The row's id in the run.
        value: What they came to together; None when they are divided, or nobody said anything.
        ratings: What each of them said.
    """

    id: str
    value: Value | None
    ratings: tuple[Value, ...] = ()


class Share(Struct, frozen=True, kw_only=True):
    """``hits`` of ``n``, with Wilson's interval; no interval when ``n`` is 0."""

    hits: int
    n: int
    interval: Interval | None

    @property
    def value(self) -> float | None:
        """The share itself; None when ``n`` is 0."""
        return self.hits / self.n if self.n else None


class Calibration(Struct, frozen=True, kw_only=True):
    """A judge's verdicts beside people's labels.

    Attributes:
        judge: Its name when it was calibrated.
        version: The version that this holds for; of another it says nothing.
        kind: As of its rubric.
        labels: SHA-256 of the labels that entered.
        split: Share of the labels that was kept apart for tuning the judge; those are not part of this.
        n: Rows with a label and a verdict.
        values: Verdicts and labels that occur, in order.
        matrix: ``matrix[i][j]`` = rows labelled ``values[i]`` with the verdict ``values[j]``.
        agreement: Rows with a verdict equal to the label.
        kappa: Cohen's, with quadratic weights of levels; None when all is one value.
        kappa_interval: By bootstrap over rows.
        sensitivity: Right verdicts over rows labelled yes; None where verdicts are not yes and no.
        specificity: The same over rows labelled no.
        raters: Most people who rated one row.
        alpha: Krippendorff's alpha of the people alone; None with fewer than two of them.
        flips: Of pairs judged in both orders, those whose winner changed with the order.
        retest: Of rows that one judge was asked about several times, those on which it gave one answer.
        without_verdict: State -> labelled rows without a verdict.
        divided: Labelled rows on which people are divided; they do not enter.
        without_label: Judged rows without a label that entered.
        unknown: Labels of rows that were not judged.
        notes: What a reader must know.
    """

    judge: str
    version: str
    kind: Kind
    labels: str
    split: float = 0.0
    n: int
    values: tuple[Value, ...]
    matrix: tuple[tuple[int, ...], ...]
    agreement: Share
    kappa: float | None
    kappa_interval: Interval | None = None
    sensitivity: Share | None = None
    specificity: Share | None = None
    raters: int = 0
    alpha: float | None = None
    flips: Share | None = None
    retest: Share | None = None
    without_verdict: dict[str, int] = field(default_factory=dict[str, int])
    divided: int = 0
    without_label: int = 0
    unknown: int = 0
    notes: tuple[str, ...] = ()

    @property
    def is_small(self) -> bool:
        """Whether it rests on too few labels to be relied on."""
        if self.sensitivity is None or self.specificity is None:
            return self.n < LEAST
        return min(self.sensitivity.n, self.specificity.n) < LEAST


class Disagreement(Struct, frozen=True, kw_only=True):
    """A row on which a judge and people differ, and why the judge says so."""

    id: str
    label: Value
    verdict: Value
    reason: str = ""


class Part(Struct, frozen=True, kw_only=True):
    """Which of the labels are used.

    Attributes:
        split: Share of the labels that is kept for tuning a judge; an id alone decides where its row belongs.
        side: ``dev`` = those; ``test`` = all others.
    """

    split: float = 0.0
    side: Literal["dev", "test"] = "test"
