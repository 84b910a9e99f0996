"""Scored rows for tests, in few words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pilothouse.evaluation.figures import label_metrics
from pilothouse.evaluation.types import UPSTREAM, LabelPair, Metric, Score, ScoredRow
from pilothouse.flows.results import ErrorInfo

RATE = Metric(name="right", evaluator="right", score="right", kind="rate", worst=0.0, bounds=(0.0, 1.0))
MEAN = Metric(name="value", evaluator="value", score="value", kind="mean")
MEDIAN = Metric(name="p50", evaluator="value", score="value", kind="quantile", quantile=0.5, better="lower")
P95 = Metric(name="p95", evaluator="value", score="value", kind="quantile", quantile=0.95, better="lower")
ACCURACY, MACRO_F1 = label_metrics(evaluator="label", score="label")[:2]

BROKEN = ErrorInfo(type="ValueError", message="broken")
FAILED = ErrorInfo(type=UPSTREAM, message="ModelError: timed out")


def scored(evaluator: str, values: Iterable[object], clusters: Sequence[str] | None = None) -> list[ScoredRow]:
    """Rows with one score each; an `ErrorInfo` is an error, a text a state."""
    return [
        ScoredRow(id=f"r{i:04}", scores=(_score(evaluator, value),), cluster=clusters[i] if clusters else None)
        for i, value in enumerate(values)
    ]


def rights(text: str, clusters: Sequence[str] | None = None) -> list[ScoredRow]:
    """Rows of the evaluator ``right``: 1 right, 0 wrong, F failed upstream, E evaluator's error, A abstained."""
    said = {"1": True, "0": False, "F": FAILED, "E": BROKEN, "A": "abstained"}
    return scored("right", [said[letter] for letter in text], clusters)


def labelled(
    truth: Sequence[str], prediction: Sequence[str | None], clusters: Sequence[str] | None = None
) -> list[ScoredRow]:
    """Rows of the evaluator ``label``; a prediction of None is unparsable."""
    rows: list[ScoredRow] = []
    for i, (true, said) in enumerate(zip(truth, prediction, strict=True)):
        pair = LabelPair(truth=true, prediction=said)
        score = Score(
            name="label", evaluator="label", labels=pair, state="ok" if said is not None else "unparsable",
            value=true == said if said is not None else None,
        )  # fmt: skip
        rows.append(ScoredRow(id=f"r{i:04}", scores=(score,), cluster=clusters[i] if clusters else None))
    return rows


def _score(evaluator: str, value: object) -> Score:
    if isinstance(value, ErrorInfo):
        return Score(name=evaluator, evaluator=evaluator, state="error", error=value)
    if value in ("abstained", "unparsable"):
        return Score(name=evaluator, evaluator=evaluator, state=value)  # type: ignore[arg-type]
    return Score(name=evaluator, evaluator=evaluator, value=value)  # type: ignore[arg-type]
