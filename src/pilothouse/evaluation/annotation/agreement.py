"""How far reviewers agree: all of them, each pair, and the judge with what they came to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from pilothouse.evaluation.annotation.preference import Preference, preference_of
from pilothouse.evaluation.annotation.question import Question, Value
from pilothouse.evaluation.annotation.types import Final, Label, Queue
from pilothouse.evaluation.calibration.measure import LITTLE, kappa_interval, share
from pilothouse.evaluation.calibration.types import LEAST, Share
from pilothouse.evaluation.statistics.agreement import cohen_kappa, krippendorff_alpha
from pilothouse.evaluation.statistics.alpha import alpha_interval
from pilothouse.evaluation.types import Interval

Enough = Literal["ok", "too few", "nothing"]
"""``too few`` = under 30 items: read the interval, not the figure; ``nothing`` = no item has two labels."""


class Pair(Struct, frozen=True, kw_only=True):
    """Two raters of the same items.

    Attributes:
        first: One of them.
        second: The other.
        same: Items on which they say the same.
        kappa: Cohen's, with quadratic weights of levels; None when all is one value.
        interval: Of kappa, by bootstrap over items.
        words: Labels that occur, in order.
        matrix: ``matrix[i][j]`` = items that the first calls ``words[i]`` and the second ``words[j]``.
        state: Whether there are enough items.
    """

    first: str
    second: str
    same: Share
    kappa: float | None
    interval: Interval | None
    words: tuple[str, ...]
    matrix: tuple[tuple[int, ...], ...]
    state: Enough


class Agreement(Struct, frozen=True, kw_only=True):
    """What labels say of the reviewers, and of what was judged.

    Attributes:
        state: Whether there are enough items with two labels.
        same: Items on which all reviewers say the same, of those with at least two labels.
        alpha: Krippendorff's over all reviewers; None when nothing was labelled twice, or all labels are equal.
        alpha_interval: By bootstrap over items.
        level: What alpha takes labels for.
        pairs: Each pair of reviewers with items in common; of two reviewers alone it is their kappa.
        judge: The judge and the final labels, where its opinions were recorded.
        labels: Final label -> items.
        decisions: How final labels came about -> items.
        preference: Of pairs, which side won.
        notes: What a reader must know.
    """

    state: Enough
    same: Share
    alpha: float | None
    alpha_interval: Interval | None
    level: Literal["nominal", "ordinal"]
    pairs: tuple[Pair, ...]
    judge: Pair | None
    labels: dict[str, int]
    decisions: dict[str, int]
    preference: Preference | None = None
    notes: tuple[str, ...] = ()


def agreement_of(queue: Queue, finals: Sequence[Final], labels: Sequence[Label]) -> Agreement:
    """Return how far reviewers agree.

    Args:
        queue: The queue.
        finals: What came of every item.
        labels: Those that hold, in the order they were given.
    """
    question = queue.question
    counts = Counter(question.word(final.label) for final in finals if final.label is not None)
    doubled = [final for final in finals if len(final.votes) > 1]
    told = [label for label in labels if label.role == "review" and label.state == "labelled"]
    countable = question.kind != "text"
    units = [[question.number(value) for value in final.votes.values()] for final in doubled] if countable else []
    level = "ordinal" if question.is_ordered else "nominal"
    found = Agreement(
        state=_state(len(units)),
        same=share(sum(len(set(final.votes.values())) == 1 for final in doubled), len(doubled)),
        alpha=krippendorff_alpha(units, level) if units else None,
        alpha_interval=alpha_interval(units, level).interval,
        level=level,
        pairs=_pairs(question, finals) if countable else (),
        judge=_judge(queue, finals) if countable else None,
        labels=_ordered(question, counts),
        decisions=dict(sorted(Counter(final.decision for final in finals).items())),
        preference=preference_of(told) if question.kind == "pairwise" else None,
    )
    return replace(found, notes=_notes(queue, found))


def pair_of(question: Question, first: str, second: str, said: Sequence[tuple[Value, Value]]) -> Pair:
    """Return how far two raters agree on the same items, each item's labels as a pair."""
    one, two = ([question.number(pair[side]) for pair in said] for side in (0, 1))
    values = sorted({*one, *two})
    times = Counter(zip(one, two, strict=True))
    return Pair(
        first=first,
        second=second,
        same=share(sum(a == b for a, b in zip(one, two, strict=True)), len(said)),
        kappa=cohen_kappa(one, two, "quadratic" if question.is_ordered else "none"),
        interval=kappa_interval(one, two, weighted=question.is_ordered),
        words=tuple(question.word(question.of_number(value)) for value in values),
        matrix=tuple(tuple(times[a, b] for b in values) for a in values),
        state=_state(len(said)),
    )


def _pairs(question: Question, finals: Sequence[Final]) -> tuple[Pair, ...]:
    names = sorted({name for final in finals for name in final.votes})
    found: list[Pair] = []
    for first, second in combinations(names, 2):
        said = [(f.votes[first], f.votes[second]) for f in finals if first in f.votes and second in f.votes]
        if said:
            found.append(pair_of(question, first, second, said))
    return tuple(found)


def _judge(queue: Queue, finals: Sequence[Final]) -> Pair | None:
    said = [(f.label, f.item.opinion) for f in finals if f.label is not None and f.item.opinion is not None]
    return pair_of(queue.question, "people", queue.spec.source.judge or "judge", said) if said else None


def _ordered(question: Question, counts: Counter[str]) -> dict[str, int]:
    if question.kind == "text":
        return {}
    always = [choice.word for choice in question.choices]
    words = ["candidate", "baseline", "tie"] if question.kind == "pairwise" else always
    return {word: counts[word] for word in words}


def _state(n: int) -> Enough:
    return "nothing" if not n else "too few" if n < LEAST else "ok"


def _notes(queue: Queue, found: Agreement) -> tuple[str, ...]:
    notes: list[str] = []
    spec = queue.spec
    if spec.choosing.filters:
        notes.append(f"the items were chosen ({'; '.join(spec.choosing.filters)}): figures hold for such rows alone")
    if queue.question.kind == "text":
        notes.append("labels are texts: there is no agreement to measure")
    elif found.state == "nothing":
        notes.append("no item has two labels: agreement is not known")
    elif found.state == "too few":
        notes.append(f"too few: {found.same.n} items have two labels, at least {LEAST} are needed")
    if found.state == "ok" and found.alpha is not None and found.alpha < LITTLE:
        notes.append(f"alpha is below {LITTLE}: the question, or its guidance, is read in different ways")
    if found.alpha is None and found.same.n and queue.question.kind != "text":
        notes.append("all labels are equal: agreement beyond chance cannot be told")
    divided = found.decisions.get("divided", 0)
    if divided:
        notes.append(
            f"reviewers are divided and there is no label, items: {divided}; pilothouse review adjudicate {queue.name}"
        )
    return tuple(notes)
