"""What reviewers' labels come to, item by item."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median

from pilothouse.evaluation.annotation.question import Question, Value
from pilothouse.evaluation.annotation.types import Decision, Final, Item, Label


def finals_of(question: Question, items: Iterable[Item], labels: Sequence[Label]) -> tuple[Final, ...]:
    """Return what came of every item.

    Several labels come to what most reviewers say; levels to their median, where that is a level. What an adjudicator
    said stands above both. It is the rule by which a judge's calibration reads a file of labels.

    Args:
        question: What was asked.
        items: The items in their order.
        labels: Those that hold.
    """
    by_place: dict[int, list[Label]] = {}
    for label in labels:
        if label.state == "labelled":
            by_place.setdefault(label.place, []).append(label)
    found: list[Final] = []
    for place, item in enumerate(items):
        here = by_place.get(place, [])
        votes = {label.reviewer: label.value for label in here if label.role == "review" and label.value is not None}
        settled = next((label for label in here if label.role == "adjudication"), None)
        value, decision = together(question, list(votes.values()))
        found.append(
            Final(
                place=place,
                item=item,
                label=value if settled is None else settled.value,
                decision=decision if settled is None else "adjudicated",
                votes=votes,
                comments={label.reviewer: label.comment for label in here if label.comment},
                adjudicator=settled.reviewer if settled else "",
            )
        )
    return tuple(found)


def together(question: Question, said: Sequence[Value]) -> tuple[Value | None, Decision]:
    """Return what several labels come to, and how."""
    if not said:
        return None, "none"
    if len(set(said)) == 1:
        return said[0], "unanimous" if len(said) > 1 else "single"
    if question.kind == "ordinal":
        middle = median(question.number(value) for value in said)
        return (int(middle), "median") if middle in question.levels else (None, "divided")
    first, second = Counter(said).most_common(2)
    return (first[0], "most") if first[1] > second[1] else (None, "divided")
