"""Nouns of making queues: what is asked for, and the rows that may become items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from pilothouse.evaluation.annotation.question import Question
from pilothouse.evaluation.annotation.types import LEASE
from pilothouse.evaluation.types import Score
from pilothouse.experiments.analysis.judgements import Judgement


class Filters(Struct, frozen=True, kw_only=True):
    """Which rows become items: those that fit all of these, then a sample of them.

    Attributes:
        failed: Rows without an answer.
        scores: ``NAME<0.5``, ``NAME>=3``, ``NAME=false``: rows whose score is so.
        disagree: Rows that the experiment's arms answer differently, in the metric that decides.
        abstained: Rows of which this evaluator gave no score.
        must_pass: Rows that the experiment's gate says have to be right.
        sample: At most so many, at random.
    """

    failed: bool = False
    scores: tuple[str, ...] = ()
    disagree: bool = False
    abstained: str = ""
    must_pass: bool = False
    sample: int | None = None


class Ask(Struct, frozen=True, kw_only=True):
    """What is to be labelled, by how many, and what they are asked.

    Attributes:
        name: Of the queue.
        run: A run whose answers are judged.
        experiment: An experiment, one of whose arms is judged.
        data: A data file or dataset whose rows are judged as they are.
        variant: The arm; the baseline when empty. Of a pair, the candidate.
        against: The other side of a pair: an arm of the experiment, or another run.
        question: What is asked; None to ask what the judge is asked.
        judge: An evaluator of the experiment: its opinion is recorded, and its question is asked where there is none.
        inputs: The inputs that reviewers see; all when empty.
        outputs: The outputs that they see; all when empty. Of a data file, the columns that hold the answer.
        reference: Columns of the data that say what is right.
        overlap: Labels an item wants.
        seed: Of the order, the sides and the sample.
        reveals: Whether the judge's opinion is shown once an item is labelled.
        lease: Seconds an item is kept for who was shown it.
        filters: Which rows.
    """

    name: str
    run: str = ""
    experiment: str = ""
    data: str = ""
    variant: str = ""
    against: str = ""
    question: Question | None = None
    judge: str = ""
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    reference: tuple[str, ...] = ()
    overlap: int = 1
    seed: int = 7
    reveals: bool = False
    lease: float = LEASE
    filters: Filters = Filters()


class Candidate(Struct, frozen=True, kw_only=True):
    """A row that may become an item.

    Attributes:
        id: Under which it is judged.
        line: Id of the row of the data.
        number: Its place in the data.
        inputs: What was asked.
        outputs: What was answered; of a failed row, why there is no answer.
        failed: Whether there is no answer.
        scores: What evaluators said of it.
        judged: What each arm made of it in the metric that decides.
    """

    id: str
    line: str
    number: int
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    failed: bool = False
    scores: Sequence[Score] = ()
    judged: Sequence[Judgement] = field(default_factory=list[Judgement])


class Exported(Struct, frozen=True, kw_only=True):
    """What became of labels.

    Attributes:
        dataset: ``dataset:name:number``.
        is_new: Whether the version is new; equal labels make none.
        rows: Rows in it.
        labelled: Of them, rows with a label.
        left_out: Items that nobody labelled.
        file: The file that was written, where one was asked for.
    """

    dataset: str
    is_new: bool
    rows: int
    labelled: int
    left_out: int
    file: str | None = None
