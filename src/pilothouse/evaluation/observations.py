"""What of the scores enters a figure: the one place where the policy for failed rows is decided.

A row enters with the value of its ``ok`` score. Of the others:

- a row that names its true label but has no readable prediction counts as wrong (a label pair without prediction);
- a row whose evaluator says what an empty answer adds to its sums counts as an empty answer;
- a row that failed before it could be judged counts as the metric's ``worst`` value, where it has one: an accuracy
  over survivors alone would reward a variant for failing on hard rows;
- everything else (the evaluator itself failed or abstained) does not enter.

What is counted and what is left out is kept by row and shown beside each figure. ``failures="exclude"`` leaves all
three out as well: complete cases.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from pilothouse.core.errors import DataError
from pilothouse.evaluation.statistics.arrays import FloatArray, IntArray
from pilothouse.evaluation.types import Failures, LabelPair, Metric, Score, ScoredRow

_MOST_KNOWN = 1000

_NO_LABELS = LabelPair(truth="", prediction=None)


class Entry(NamedTuple):
    """A row that enters: its value or label pair; ``reason`` says why it counts as the worst value, if it does."""

    value: float
    pair: LabelPair
    cluster: str | None
    reason: str | None
    sums: tuple[float, ...] = ()


@dataclass(slots=True)
class Observations:
    """The rows of one run as one metric sees them, by id, in order."""

    entries: dict[str, Entry] = field(default_factory=dict[str, Entry])
    left_out: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def excluded(self) -> dict[str, int]:
        """Why -> rows left out."""
        return dict(sorted(Counter(self.left_out.values()).items()))

    @property
    def counted(self) -> dict[str, int]:
        """Why -> rows that count as the worst value."""
        return dict(sorted(Counter(e.reason for e in self.entries.values() if e.reason is not None).items()))


def observe(metric: Metric, rows: Iterable[ScoredRow], failures: Failures = "worst") -> Observations:
    """Return what enters ``metric`` from scored rows.

    Raises:
        DataError: when two rows have one id.
    """
    seen = Observations()
    known: dict[Entry, Entry] = {}
    for row in rows:
        if row.id in seen.entries or row.id in seen.left_out:
            raise DataError(f"two rows have the id '{row.id}'", fix="give every row its own id")
        found = entry_of(metric, row, failures)
        if isinstance(found, Entry):
            # Rows of a rate have few entries between them: one object each, not one a row.
            seen.entries[row.id] = known.setdefault(found, found) if len(known) < _MOST_KNOWN else found
        else:
            seen.left_out[row.id] = found
    return seen


def entry_of(metric: Metric, row: ScoredRow, failures: Failures = "worst") -> Entry | str:
    """Return the row's entry, or why it has none."""
    score = _score(metric, row.scores)
    if score is None:
        return "missing"
    reason = None if score.state == "ok" else "failed" if score.failed_upstream else score.state
    if score.labels is not None and metric.kind in {"rate", "labels"}:
        right = float(score.labels.prediction == score.labels.truth)
        if reason is None or failures == "worst":
            return Entry(right, score.labels, row.cluster, reason)
    elif metric.kind == "sums" and score.sums:
        if reason is None or failures == "worst":
            return Entry(0.0, _NO_LABELS, row.cluster, reason, score.sums)
    elif metric.kind in {"labels", "sums"}:
        return reason or "missing"
    elif reason is None:
        if metric.category is not None:
            return Entry(float(score.value == metric.category), _NO_LABELS, row.cluster, None)
        if score.value is None or isinstance(score.value, str):
            return "category"
        return Entry(float(score.value), _NO_LABELS, row.cluster, None)
    elif reason == "failed" and metric.worst is not None and failures == "worst":
        return Entry(metric.worst, _NO_LABELS, row.cluster, reason)
    return reason or "missing"


def _score(metric: Metric, scores: Sequence[Score]) -> Score | None:
    """Return the score of that name; else the one by which its evaluator says that it gave none."""
    own = [score for score in scores if score.evaluator == metric.evaluator]
    named = next((score for score in own if score.name == metric.score), None)
    return named or next((score for score in own if score.state != "ok"), None)


def values(entries: Sequence[Entry]) -> FloatArray:
    """Return the (n,) values of entries."""
    return np.array([entry.value for entry in entries], dtype=np.float64)


def clusters(entries: Sequence[Entry], ids: Sequence[str]) -> IntArray | None:
    """Return (n,) cluster numbers 0 .. C - 1; None when no two rows share a cluster."""
    # A row without a cluster is its own; the pair keeps its id apart from a cluster of that name.
    keys = [
        (0, entry.cluster) if entry.cluster is not None else (1, id_) for entry, id_ in zip(entries, ids, strict=True)
    ]
    numbers = {key: number for number, key in enumerate(sorted(set(keys)))}
    if len(numbers) == len(keys):
        return None
    return np.array([numbers[key] for key in keys], dtype=np.int64)


def label_set(metric: Metric, sides: Iterable[Sequence[Entry]]) -> tuple[str, ...]:
    """Return the metric's labels, or all true labels; a prediction that is none of them is simply wrong.

    Labels that only ever occur as a prediction do not join: each would add a class of F1 = 0 to the average.
    """
    return metric.labels or tuple(sorted({entry.pair.truth for side in sides for entry in side}))
