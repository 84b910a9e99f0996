"""Which figures the scores of a run allow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self

from msgspec import structs

from pilothouse.evaluation.types import Direction, Metric, ScoredRow

MOST_CATEGORIES = 10

LABEL_STATISTICS = ("macro_f1", "weighted_f1", "macro_precision", "macro_recall")


def metrics_of(
    rows: Iterable[ScoredRow],
    declared: dict[str, tuple[Metric, ...]] | None = None,
    better: dict[str, Direction | dict[str, Direction]] | None = None,
) -> tuple[Metric, ...]:
    """Return the metrics that scores allow, in the order in which evaluators and scores first occur.

    Label pairs give accuracy, macro-F1 and their kin; booleans a rate; numbers a mean; texts the share of each, as
    long as they are few: more than `MOST_CATEGORIES` are no categories but prose, and give none. Where two evaluators
    have a metric of one name, both are prefixed with the evaluator's.

    Args:
        rows: Scored rows, of one run or of several that are to be compared.
        declared: Evaluator's name -> metrics that it declares; they stand in place of what the scores suggest.
        better: Evaluator's name -> direction of its scores, or score's name -> direction.
    """
    return Suggestions.of(rows).metrics(declared, better)


@dataclass(slots=True)
class _Seen:
    """What the scores of one name were like; of their texts no more than tell that they are too many."""

    kinds: set[type] = field(default_factory=set[type])
    texts: set[str] = field(default_factory=set[str])
    has_labels: bool = False


class Suggestions:
    """Which metrics scores allow, told from one row after another; nothing of the rows is kept. See `metrics_of`."""

    def __init__(self) -> None:
        self._found: dict[str, dict[str, _Seen]] = {}

    @classmethod
    def of(cls, rows: Iterable[ScoredRow]) -> Self:
        """Return what the rows suggest."""
        made = cls()
        for row in rows:
            made.add(row)
        return made

    def add(self, row: ScoredRow) -> None:
        """Look at a row."""
        for score in row.scores:
            by_name = self._found.get(score.evaluator)
            if by_name is None:
                by_name = self._found[score.evaluator] = {}
            seen = by_name.get(score.name)
            if seen is None:
                seen = by_name[score.name] = _Seen()
            if score.labels is not None:
                seen.has_labels = True
            if score.state == "ok":
                value = score.value
                seen.kinds.add(type(value))
                if isinstance(value, str) and len(seen.texts) <= MOST_CATEGORIES:
                    seen.texts.add(value)

    def metrics(
        self,
        declared: dict[str, tuple[Metric, ...]] | None = None,
        better: dict[str, Direction | dict[str, Direction]] | None = None,
    ) -> tuple[Metric, ...]:
        """Return the metrics; the arguments are those of `metrics_of`."""
        metrics: list[Metric] = []
        for evaluator, by_name in self._found.items():
            own = (declared or {}).get(evaluator)
            if own:
                metrics += [structs.replace(m, evaluator=evaluator, score=m.score or evaluator) for m in own]
            else:
                metrics += _suggested(evaluator, by_name, (better or {}).get(evaluator, "higher"))
        return _told_apart(metrics)


def _suggested(evaluator: str, by_name: dict[str, _Seen], better: Direction | dict[str, Direction]) -> list[Metric]:
    measured = {name: seen for name, seen in by_name.items() if seen.kinds}
    metrics: list[Metric] = []
    # An evaluator that never succeeded still has a figure: none, with the number of rows that it failed on.
    for name, seen in (measured or dict([next(iter(by_name.items()))])).items():
        direction = better if isinstance(better, str) else better.get(name, "higher")
        metrics += _of_score(evaluator, name, seen, direction)
    return metrics


def _of_score(evaluator: str, name: str, seen: _Seen, better: Direction) -> list[Metric]:
    if seen.has_labels:
        return label_metrics(evaluator=evaluator, score=name)
    if seen.kinds == {str}:
        return _shares(evaluator, name, seen, better)
    if seen.kinds == {bool}:
        worst = 0.0 if better == "higher" else 1.0
        return [
            Metric(
                name=name, evaluator=evaluator, score=name, kind="rate", better=better, worst=worst, bounds=(0.0, 1.0)
            )
        ]
    return [Metric(name=name, evaluator=evaluator, score=name, kind="mean", better=better)]


def _shares(evaluator: str, name: str, seen: _Seen, better: Direction) -> list[Metric]:
    categories = sorted(seen.texts)
    if len(categories) > MOST_CATEGORIES:
        return []
    share = Metric(name=name, evaluator=evaluator, score=name, kind="rate", better=better, worst=0.0, bounds=(0.0, 1.0))
    return [structs.replace(share, name=f"{name}={category}", category=category) for category in categories]


def label_metrics(*, labels: tuple[str, ...] = (), evaluator: str = "", score: str = "") -> list[Metric]:
    """Return the metrics of a classification."""
    accuracy = Metric(
        name="accuracy", evaluator=evaluator, score=score, kind="rate", worst=0.0, bounds=(0.0, 1.0), labels=labels
    )
    return [
        accuracy,
        *(structs.replace(accuracy, name=name, kind="labels", statistic=name, worst=None) for name in LABEL_STATISTICS),
    ]


def _told_apart(metrics: Sequence[Metric]) -> tuple[Metric, ...]:
    owners = Counter(name for name, _ in {(metric.name, metric.evaluator) for metric in metrics})
    return tuple(structs.replace(m, name=f"{m.evaluator}.{m.name}") if owners[m.name] > 1 else m for m in metrics)
