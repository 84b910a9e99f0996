"""What evaluators of the house are given: texts, references, labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from pilothouse.core.errors import DataError
from pilothouse.evaluation.types import Metric

F = TypeVar("F", bound=Callable[..., Any])


def light(*metrics: Metric) -> Callable[[F], F]:
    """Mark a function that computes for microseconds only, with the figures it is for."""

    def mark(function: F) -> F:
        vars(function).update(inline=True, metrics=metrics)
        return function

    return mark


def references_of(truth: Any) -> list[str]:
    """Return the accepted texts: one, or several in a list.

    Raises:
        DataError: for anything else, nothing at all included.
    """
    items = list(cast("Sequence[Any]", truth)) if isinstance(truth, list | tuple) else [truth]
    texts = [text for item in items if (text := label_text(item)) is not None]
    if not texts or len(texts) != len(items):
        raise DataError(f"the reference is {truth!r}", expected="a text, or a list of texts that are all accepted")
    return texts


def label_text(value: Any) -> str | None:
    """Return a label as text without white space around it; None for nothing, and for what is no label.

    Texts and whole numbers are labels, ``true`` and ``false`` too; fractions, lists and dicts are not.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | str):
        return str(value).strip() or None
    return None


def answer_text(prediction: Any) -> str:
    """Return the answer of a row as text; no answer is an empty one.

    Raises:
        DataError: for a list or a dict, whose text form nobody chose.
    """
    if prediction is None:
        return ""
    if isinstance(prediction, bool | int | float | str):
        return str(prediction)
    raise DataError(f"the answer is a {type(prediction).__name__}", expected="a text")
