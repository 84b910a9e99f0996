"""Which figures the scores of a run allow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from msgspec import structs

from pilothouse.evaluation.types import Direction, Metric, Score, ScoredRow

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
    found: dict[str, dict[str, list[Score]]] = {}
    for row in rows:
        for score in row.scores:
            found.setdefault(score.evaluator, {}).setdefault(score.name, []).append(score)
    metrics: list[Metric] = []
    for evaluator, by_name in found.items():
        own = (declared or {}).get(evaluator)
        if own:
            metrics += [structs.replace(m, evaluator=evaluator, score=m.score or evaluator) for m in own]
        else:
            metrics += _suggested(evaluator, by_name, (better or {}).get(evaluator, "higher"))
    return _told_apart(metrics)


def _suggested(
    evaluator: str, by_name: dict[str, list[Score]], better: Direction | dict[str, Direction]
) -> list[Metric]:
    measured = {name: scores for name, scores in by_name.items() if any(score.state == "ok" for score in scores)}
    metrics: list[Metric] = []
    # An evaluator that never succeeded still has a figure: none, with the number of rows that it failed on.
    for name, scores in (measured or dict([next(iter(by_name.items()))])).items():
        direction = better if isinstance(better, str) else better.get(name, "higher")
        metrics += _of_score(evaluator, name, scores, direction)
    return metrics


def _of_score(evaluator: str, name: str, scores: Sequence[Score], better: Direction) -> list[Metric]:
    if any(score.labels is not None for score in scores):
        return label_metrics(evaluator=evaluator, score=name)
    kinds = {type(score.value) for score in scores if score.state == "ok"}
    if kinds == {str}:
        return _shares(evaluator, name, scores, better)
    if kinds == {bool}:
        worst = 0.0 if better == "higher" else 1.0
        return [
            Metric(
                name=name, evaluator=evaluator, score=name, kind="rate", better=better, worst=worst, bounds=(0.0, 1.0)
            )
        ]
    return [Metric(name=name, evaluator=evaluator, score=name, kind="mean", better=better)]


def _shares(evaluator: str, name: str, scores: Sequence[Score], better: Direction) -> list[Metric]:
    categories = sorted({score.value for score in scores if isinstance(score.value, str)})
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
