"""Nouns of review: queues, frozen items, labels, and what a reviewer is shown."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from msgspec import Struct, field

from pilothouse.evaluation.annotation.question import Question, Side, Value

Status = Literal["open", "closed"]

Role = Literal["review", "adjudication"]

LabelState = Literal["labelled", "skipped", "withdrawn"]
"""``skipped`` = the reviewer would not say; ``withdrawn`` = taken back, as if it had never been given."""

Decision = Literal["unanimous", "most", "median", "adjudicated", "single", "divided", "none"]
"""How a final label came about; ``divided`` and ``none`` (nobody has labelled the item) have no label."""

LEASE = 1800.0
"""Seconds for which an item that a reviewer was shown is kept for them."""

MOST_ITEMS = 100_000


class Item(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is judged, copied when the queue was made: what a run becomes later does not change it.

    Attributes:
        id: The row's id where it comes from; unique in the queue.
        inputs: What was asked.
        outputs: What was answered; of a pair, the candidate's.
        other: Of a pair, the baseline's answer.
        reference: What a right answer is held against; shown where the queue says so.
        opinion: A judge's opinion, on the scale of labels; never shown before the item is labelled.
        reason: Why the judge says so.
    """

    id: str
    inputs: dict[str, Any] = field(default_factory=dict[str, Any])
    outputs: dict[str, Any] = field(default_factory=dict[str, Any])
    other: dict[str, Any] | None = None
    reference: dict[str, Any] = field(default_factory=dict[str, Any])
    opinion: bool | float | None = None
    reason: str = ""


class Source(Struct, frozen=True, kw_only=True):
    """Where items come from.

    Attributes:
        ref: ``run/NAME:1``, ``experiment/NAME:2``, ``dataset/NAME:3``: what the registry knows; or a file.
        label: What people read.
        candidate: Of a pair, the name of one side. Reviewers never see it.
        baseline: Of a pair, the name of the other.
        judge: The judge whose opinions were recorded.
        judge_version: Its version.
    """

    ref: str
    label: str = ""
    candidate: str = ""
    baseline: str = ""
    judge: str = ""
    judge_version: str = ""


class Choosing(Struct, frozen=True, kw_only=True):
    """How the items were chosen.

    Attributes:
        rows: Rows there were.
        kept: Rows that became items.
        filters: What they were chosen by, in words; none of these = all rows, or a random sample of them.
        sampled: Whether a random sample was drawn.
    """

    rows: int
    kept: int
    filters: tuple[str, ...] = ()
    sampled: bool = False


class QueueSpec(Struct, frozen=True, kw_only=True):
    """What is asked, of whom, and how.

    Attributes:
        name: Unique in the project.
        question: What is asked; fixed for good.
        overlap: Labels that every item wants, each of another reviewer.
        seed: Decides the order of the items and of the sides of pairs.
        reveals: Whether a reviewer sees the judge's opinion once they have labelled an item.
        lease: Seconds for which an item is kept for the reviewer who was shown it.
        source: Where the items come from.
        choosing: How they were chosen.
    """

    name: str
    question: Question
    overlap: int = 1
    seed: int = 7
    reveals: bool = False
    lease: float = LEASE
    source: Source
    choosing: Choosing


class Queue(Struct, frozen=True, kw_only=True):
    """A queue as it is kept.

    Attributes:
        id: 26 characters, sorted by time.
        status: ``closed`` takes no more labels.
        spec: See `QueueSpec`.
        items: How many there are.
        digest: Of all items in their order, and of the question.
        rubric: The question's version in the registry.
        created_by: Who made it.
        created_at: When.
    """

    id: str
    status: Status = "open"
    spec: QueueSpec
    items: int
    digest: str
    rubric: str = ""
    created_by: str
    created_at: datetime

    @property
    def name(self) -> str:
        """What people type."""
        return self.spec.name

    @property
    def question(self) -> Question:
        """What is asked."""
        return self.spec.question


class Task(Struct, frozen=True, kw_only=True):
    """An item in the hands of a reviewer.

    Attributes:
        item: The item.
        place: Its 0-based place in the queue.
        digest: Of the item, as it was frozen.
        first: Of a pair, the side that stands as answer 1.
        expires_at: When somebody else may be shown it.
        current: The reviewer's own label of it, where it is there to be changed.
    """

    item: Item
    place: int
    digest: str
    first: Side | None = None
    expires_at: datetime | None = None
    current: Label | None = None

    @property
    def answers(self) -> tuple[dict[str, Any], ...]:
        """The answers in the order in which the reviewer sees them."""
        if self.item.other is None:
            return (self.item.outputs,)
        pair = (self.item.outputs, self.item.other)
        return pair if self.first == "candidate" else pair[::-1]


class Label(Struct, frozen=True, kw_only=True):
    """What one person said of one item; a later revision replaces an earlier one, which is kept.

    Attributes:
        place: The item.
        reviewer: Who said it.
        role: As a reviewer, or to settle what reviewers disagree on.
        revision: 1, 2, 3.
        state: See `LabelState`.
        value: The label; None unless ``labelled``.
        comment: Words beside it; of a skipped item, why.
        first: Of a pair, the side that the reviewer saw as answer 1.
        created_at: When.
    """

    place: int
    reviewer: str
    role: Role = "review"
    revision: int = 1
    state: LabelState = "labelled"
    value: Value | None = None
    comment: str = ""
    first: Side | None = None
    created_at: datetime


class Progress(Struct, frozen=True, kw_only=True):
    """How far a queue is.

    Attributes:
        items: All items.
        complete: Items with as many labels as they want.
        labels: Labels that count.
        wanted: Labels that are wanted in all.
        reviewers: Name -> labels given.
        skips: Items skipped by somebody.
        disagreed: Items on which reviewers differ.
        adjudicated: Of them, those that were settled.
        mine: Labels of the reviewer who asks.
        left: Items that are left for them.
    """

    items: int
    complete: int
    labels: int
    wanted: int
    reviewers: dict[str, int]
    skips: int = 0
    disagreed: int = 0
    adjudicated: int = 0
    mine: int = 0
    left: int = 0


class Final(Struct, frozen=True, kw_only=True):
    """What came of an item.

    Attributes:
        place: Its place in the queue.
        item: The item.
        label: The label; None where there is none.
        decision: How it came about.
        votes: Reviewers' labels, by name.
        comments: Reviewers' words, by name.
        adjudicator: Who settled it.
    """

    place: int
    item: Item
    label: Value | None
    decision: Decision
    votes: dict[str, Value]
    comments: dict[str, str] = field(default_factory=dict[str, str])
    adjudicator: str = ""

    @property
    def agreement(self) -> float | None:
        """Share of pairs of reviewers that agree; None with fewer than two."""
        said = list(self.votes.values())
        pairs = len(said) * (len(said) - 1) // 2
        same = sum(a == b for place, a in enumerate(said) for b in said[:place])
        return same / pairs if pairs else None


class Dispute(Struct, frozen=True, kw_only=True):
    """An item on which reviewers differ, as the adjudicator sees it.

    Attributes:
        task: The item.
        votes: What was said and why, without names, in an order of its own.
        labelled_it: Whether the adjudicator is one of those who differ.
        had_most: Whether one label was said by most already.
    """

    task: Task
    votes: tuple[tuple[Value, str], ...]
    labelled_it: bool = False
    had_most: bool = False
