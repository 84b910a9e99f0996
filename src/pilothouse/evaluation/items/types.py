"""Nouns of item analysis; an item is a row of the data, whatever the number of its repeats."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from pilothouse.evaluation.types import Interval


class Suspect(Struct, frozen=True, kw_only=True):
    """An item that no arm gets right: hard, or wrongly labelled.

    Attributes:
        id: Of the row of the data.
        truth: Its true label, where labels are judged.
        answer: What all arms answer instead, where they agree: then the label is what to look at first.
    """

    id: str
    truth: str | None = None
    answer: str | None = None


class Influence(Struct, frozen=True, kw_only=True):
    """An item on which a candidate differs from the baseline.

    Attributes:
        id: Of the row of the data.
        baseline: The baseline's value, over repeats their mean.
        candidate: The candidate's.
        change: What the difference of the two arms would lose without this item.
    """

    id: str
    baseline: float
    candidate: float
    change: float


class Deciding(Struct, frozen=True, kw_only=True):
    """The items that make up the difference of one candidate from the baseline.

    Attributes:
        candidate: Name of the arm.
        items: Items that both arms have a value for.
        differing: Those of them on which the two differ: no other says anything of the difference.
        half: The least number of items that hold half of all difference, whichever way it points.
        better: The items that speak for the candidate most.
        worse: Those that speak against it most.
    """

    candidate: str
    items: int
    differing: int
    half: int
    better: tuple[Influence, ...] = ()
    worse: tuple[Influence, ...] = ()


class Discrimination(Struct, frozen=True, kw_only=True):
    """How one item goes with all the others, over arms.

    Attributes:
        id: Of the row of the data.
        correlation: Of the arms' values on the item with their means on the other items; negative = better arms do
            worse on it.
        difficulty: Mean of its values over arms.
    """

    id: str
    correlation: float
    difficulty: float


class Contradiction(Struct, frozen=True, kw_only=True):
    """An answer on which two evaluators contradict each other most."""

    id: str
    arm: str
    first: float
    second: float


class EvaluatorPair(Struct, frozen=True, kw_only=True):
    """How far two evaluators agree on the same answers.

    Attributes:
        first: Name of the first one's metric.
        second: Name of the second one's.
        measure: ``kappa`` of two right-or-wrong scores, else Pearson's ``correlation``; both of the scores' goodness,
            so that agreement is positive whatever direction is better.
        value: None where one of the two never varies.
        interval: By resampling of items, all answers to one together.
        n: Answers that both judged.
        items: Items that they belong to.
        contradictions: Answers on which they differ most.
    """

    first: str
    second: str
    measure: Literal["kappa", "correlation"]
    value: float | None
    interval: Interval | None = None
    n: int
    items: int
    contradictions: tuple[Contradiction, ...] = ()


class ItemReport(Struct, frozen=True, kw_only=True):
    """What single rows tell, in the primary metric; lists hold the most telling few, counts hold all.

    Attributes:
        metric: Name of the metric.
        arms: Names of the arms.
        items: Items that every arm has a value for.
        unmeasured: Items that some arm has no value for; they are left out.
        informative: Items on which arms differ: only these can tell arms apart.
        levels: Of a right-or-wrong metric: ``levels[k]`` = items that k arms get right (in most of their repeats).
        all_right: Items that every arm gets wholly right; None where a metric has no best value.
        all_wrong: Items that every arm gets wholly wrong.
        suspects: Some of those, the ones first on which all arms give the same wrong answer.
        deciding: One entry a candidate.
        discriminations: The lowest; empty with fewer than 5 arms, where a correlation over arms says nothing.
        negative: Informative items with a negative correlation; None with fewer than 5 arms.
        pairs: Every two evaluators.
    """

    metric: str
    arms: tuple[str, ...]
    items: int
    unmeasured: int = 0
    informative: int
    levels: tuple[int, ...] = ()
    all_right: int | None = None
    all_wrong: int | None = None
    suspects: tuple[Suspect, ...] = ()
    deciding: tuple[Deciding, ...] = ()
    discriminations: tuple[Discrimination, ...] = ()
    negative: int | None = None
    pairs: tuple[EvaluatorPair, ...] = ()
