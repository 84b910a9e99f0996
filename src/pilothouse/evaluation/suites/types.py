"""Nouns of suites: prompts with what a right answer must not show, measures, and what a flow made of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

from msgspec import Struct

from pilothouse.evaluation.types import Estimate, Score

T = TypeVar("T")

Kind = Literal["obey", "leak", "personal", "secret", "harmful", "harmless", "toxic", "answer", "trap", "plain"]
"""What an answer is checked for; `checks` says which scores each kind gives."""

Outcome = Literal["pass", "fail", "inconclusive"]


class Check(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an answer is checked for.

    Attributes:
        kind: See `Kind`.
        canaries: Texts planted to be found again if they come out.
        accepted: Answers that are right, any of them.
    """

    kind: Kind
    canaries: tuple[str, ...] = ()
    accepted: tuple[str, ...] = ()


class Prompt(Struct, frozen=True, kw_only=True):
    """One row of a suite.

    Attributes:
        id: Unique in the suite.
        question: What is asked.
        context: The document that the question is about; empty when there is none.
        cluster: The template it was made from: rows of one template are not independent.
        group: What rows that are compared with each other share; its own id when empty.
        side: Which side of the comparison it is.
        check: What the answer is checked for.
    """

    id: str
    question: str
    context: str = ""
    cluster: str
    group: str = ""
    side: str = ""
    check: Check

    @property
    def text(self) -> str:
        """Document and question in one, for flows with a single input."""
        return f"{self.context}\n\n{self.question}" if self.context else self.question


class Measure(Struct, frozen=True, kw_only=True):
    """A figure of a suite; all of them are shares or differences that should be small.

    Attributes:
        name: What people read.
        kind: ``rate`` = share of rows with a true score; ``paired`` = mean of the second side less that of the first,
            row by row; ``spread`` = share of pairs of answers of one group that differ.
        score: The score it reads; of a ``spread`` what must be the same: see `figures.ALIKE`.
        limit: The largest value that is accepted.
        strict: Whether a single case fails the suite, whatever the interval.
        sides: Of a ``paired`` measure: its two sides; of a ``rate`` the sides that count, all when empty.
        two_sided: Of a ``paired`` measure: whether a difference in either direction is one.
    """

    name: str
    kind: Literal["rate", "paired", "spread"] = "rate"
    score: str
    limit: float = 0.2
    strict: bool = False
    sides: tuple[str, ...] = ()
    two_sided: bool = False


class Suite(Struct, frozen=True, kw_only=True):
    """A set of prompts and what is measured on the answers.

    Attributes:
        name: What people type.
        about: One line.
        prompts: From a seed to the prompts; the same seed gives the same ones.
        measures: The figures.
        detectors: Names of the detectors that it rests on; see `measured`.
        repeats: Times every prompt is asked.
        axes: Pairs of sides over which the scores of an own evaluator are compared; without any its figure is shown.
    """

    name: str
    about: str
    prompts: Callable[[int], tuple[Prompt, ...]]
    measures: tuple[Measure, ...]
    detectors: tuple[str, ...] = ()
    repeats: int = 1
    axes: tuple[tuple[str, str], ...] = ()


class Answered(Struct, frozen=True, kw_only=True):
    """A prompt and what a flow made of it; ``answer`` is None where the row failed."""

    prompt: Prompt
    repeat: int = 0
    answer: str | None
    scores: tuple[Score, ...] = ()

    @property
    def id(self) -> str:
        """The id of the row, with the repetition."""
        return f"{self.prompt.id}#{self.repeat}"


class Figure(Struct, frozen=True, kw_only=True):
    """One measure of one flow.

    Attributes:
        name: The measure.
        estimate: Its value, interval and n; of a ``paired`` measure the difference over n pairs.
        failures: Rows (pairs, groups) with a value above 0; of a ``paired`` measure those that differ.
        limit: The largest value that is accepted; None = no limit, the figure is only shown.
        p_value: Of a ``paired`` measure, corrected over all of the suite.
        outcome: ``pass`` = the whole interval is within the limit; ``fail`` = beyond it, or a case of a strict measure;
            ``inconclusive`` = neither can be said. None without a limit.
        note: Why, where it is not plain.
    """

    name: str
    estimate: Estimate
    failures: int
    limit: float | None
    p_value: float | None = None
    outcome: Outcome | None = None
    note: str | None = None


class Case(Struct, frozen=True, kw_only=True):
    """An answer that shows what it must not; ``found`` names the scores and what they rest on."""

    id: str
    cluster: str
    question: str
    answer: str
    found: dict[str, object]


class SuiteReport(Struct, frozen=True, kw_only=True):
    """What a suite found in a flow.

    Attributes:
        suite: Its name.
        rows: Answers asked for.
        unanswered: Rows that failed; a suite with such rows does not pass.
        figures: In the order of the suite's measures.
        cases: The worst rows first.
        outcome: The worst of the figures'.
    """

    suite: str
    rows: int
    unanswered: int
    figures: tuple[Figure, ...]
    cases: tuple[Case, ...]
    outcome: Outcome


def choice(items: Sequence[T], seed: int, *key: object) -> T:
    """Return one of ``items``; the same seed and key give the same, whatever else is chosen."""
    drawn = hashlib.sha256(repr((seed, key)).encode()).digest()
    return items[int.from_bytes(drawn[:8]) % len(items)]
