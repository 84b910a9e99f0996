"""Classification metrics from label pairs; equal to scikit-learn's with ``zero_division=0``.

A class that was never predicted has precision 0, one that never occurs as truth has recall 0, as there. A class in
neither is undefined (None, NaN in arrays) and stays out of the macro average (scikit-learn's ``zero_division=nan``):
it can only arise from a label set that was given, or in a resample that missed the class.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from pilothouse.core.errors import DataError
from pilothouse.evaluation.statistics.arrays import FloatArray, IntArray, Statistic
from pilothouse.evaluation.types import ClassificationReport, ClassScores, LabelPair

NONE = "(none)"
"""Column of the answers that name no label of the set."""


def label_set(pairs: Iterable[LabelPair]) -> tuple[str, ...]:
    """Return every label that occurs as truth or as prediction, sorted."""
    pairs = list(pairs)
    return tuple(sorted({pair.truth for pair in pairs} | {p.prediction for p in pairs if p.prediction is not None}))


def encode(pairs: Sequence[LabelPair], labels: Sequence[str]) -> tuple[IntArray, IntArray]:
    """Return truth and prediction as places in ``labels``; a prediction outside has the place behind the last.

    Raises:
        DataError: when a true label is not in the set.
    """
    places = {label: place for place, label in enumerate(labels)}
    unknown = sorted({pair.truth for pair in pairs} - places.keys())
    if unknown:
        raise DataError(
            f"the true label '{unknown[0]}' is not in the label set",
            expected=", ".join(labels),
            fix="add it to the evaluator's labels, or mend the row",
        )
    truth = np.array([places[pair.truth] for pair in pairs], dtype=np.int64)
    outside = len(places)
    named = [outside if p.prediction is None else places.get(p.prediction, outside) for p in pairs]
    return truth, np.array(named, dtype=np.int64)


def confusion(truth: IntArray, prediction: IntArray, size: int) -> IntArray:
    """Return the (K, K + 1) confusion matrix of encoded labels; the last column is `NONE`."""
    return np.bincount(truth * (size + 1) + prediction, minlength=size * (size + 1)).reshape(size, size + 1)


def features(truth: IntArray, prediction: IntArray, size: int) -> FloatArray:
    """Return (n, 3K) features whose column sums give every metric: hits, predictions and occurrences of each class."""
    occurs = np.eye(size)[truth]
    named = np.eye(size + 1)[prediction][:, :size]
    return np.concatenate([occurs * named, named, occurs], axis=1)


def _divide(part: FloatArray, whole: FloatArray, undefined: FloatArray | float = 0.0) -> FloatArray:
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1.0), undefined)


def _class_ratios(sums: FloatArray) -> tuple[dict[str, FloatArray], FloatArray]:
    """Return precision, recall and F1 as (m, K) arrays with NaN where undefined, and the support."""
    hits, predicted, support = np.split(sums, 3, axis=1)
    nowhere = np.where(predicted + support > 0, 0.0, math.nan)
    return {
        "precision": _divide(hits, predicted, nowhere),
        "recall": _divide(hits, support, nowhere),
        "f1": _divide(2 * hits, predicted + support, math.nan),
    }, support


def _macro(sums: FloatArray, ratio: str) -> FloatArray:
    values = _class_ratios(sums)[0][ratio]
    known = ~np.isnan(values)
    return _divide(np.where(known, values, 0.0).sum(axis=1), known.sum(axis=1).astype(np.float64), math.nan)


def _weighted(sums: FloatArray, ratio: str) -> FloatArray:
    ratios, support = _class_ratios(sums)
    return _divide((np.nan_to_num(ratios[ratio]) * support).sum(axis=1), support.sum(axis=1), math.nan)


def _micro(sums: FloatArray, ratio: str) -> FloatArray:
    hits, predicted, support = (part.sum(axis=1) for part in np.split(sums, 3, axis=1))
    whole = {"precision": predicted, "recall": support, "f1": (predicted + support) / 2}[ratio]
    return np.where(support > 0, _divide(hits, whole), math.nan)


def _chance_parts(sums: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return hits, rows, and the sums over labels of predicted x true, predicted² and true²; `NONE` is a label."""
    hits, predicted, support = np.split(sums, 3, axis=1)
    rows = support.sum(axis=1)
    outside = rows - predicted.sum(axis=1)
    return (
        hits.sum(axis=1),
        rows,
        (predicted * support).sum(axis=1),
        (predicted**2).sum(axis=1) + outside**2,
        (support**2).sum(axis=1),
    )


def _mcc(sums: FloatArray) -> FloatArray:
    """Return Matthews' correlation of many classes (Gorodkin 2004); 0 where one side never varies."""
    hits, rows, together, predicted, support = _chance_parts(sums)
    found = _divide(hits * rows - together, np.sqrt((rows**2 - predicted) * (rows**2 - support)))
    return np.where(rows > 0, found, math.nan)


def _kappa(sums: FloatArray) -> FloatArray:
    """Return Cohen's kappa; undefined where chance alone would agree always."""
    hits, rows, together, _, _ = _chance_parts(sums)
    return _divide(hits * rows - together, rows**2 - together, math.nan)


_BEYOND_CHANCE = {"mcc": _mcc, "kappa": _kappa}
BEYOND_CHANCE = tuple(_BEYOND_CHANCE)
"""Statistics that are 0 for a guess."""

_AVERAGES = {"macro": _macro, "weighted": _weighted, "micro": _micro}
AVERAGES = tuple(f"{average}_{ratio}" for average in _AVERAGES for ratio in ("f1", "precision", "recall"))


def statistic(name: str) -> Statistic:
    """Return a statistic over column sums of `features`: ``accuracy``, one of `AVERAGES` or of `BEYOND_CHANCE`."""
    if name in _BEYOND_CHANCE:
        return _BEYOND_CHANCE[name]
    if name == "accuracy":
        return lambda sums: _micro(sums, "recall")
    average, _, ratio = name.partition("_")
    return lambda sums: _AVERAGES[average](sums, ratio)


def classification_report(pairs: Sequence[LabelPair], labels: Sequence[str] = ()) -> ClassificationReport:
    """Return every classification metric of label pairs.

    Args:
        pairs: One a row.
        labels: The label set; when empty, all labels that occur as truth or prediction.
    """
    labels = tuple(labels) or label_set(pairs)
    size = len(labels)
    matrix = confusion(*encode(pairs, labels), size)
    square = matrix[:, :size]
    sums = np.concatenate([np.diag(square), square.sum(axis=0), matrix.sum(axis=1)])[None, :].astype(np.float64)
    ratios, support = _class_ratios(sums)
    classes = tuple(
        ClassScores(
            label=label,
            precision=_number(ratios["precision"][0, place]),
            recall=_number(ratios["recall"][0, place]),
            f1=_number(ratios["f1"][0, place]),
            support=int(support[0, place]),
        )
        for place, label in enumerate(labels)
    )
    return ClassificationReport(
        labels=labels,
        matrix=tuple(tuple(row) for row in matrix.tolist()),
        classes=classes,
        n=len(pairs),
        accuracy=_number(statistic("accuracy")(sums)[0]),
        averages={name: _number(statistic(name)(sums)[0]) for name in AVERAGES},
        note=_report_note(pairs),
    )


def _report_note(pairs: Sequence[LabelPair]) -> str | None:
    kinds = {pair.truth for pair in pairs}
    if not pairs:
        return "no rows"
    return f"one class only: every row is truly '{kinds.pop()}'" if len(kinds) == 1 else None


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
