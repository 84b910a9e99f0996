"""What labels and verdicts say of a judge, as figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from msgspec.structs import replace

from pilothouse.core.canonical import digest
from pilothouse.evaluation.calibration.types import LEAST, Calibration, Disagreement, Label, Share, Value
from pilothouse.evaluation.judges.rubric import Kind
from pilothouse.evaluation.statistics.agreement import cohen_kappa, krippendorff_alpha, rates
from pilothouse.evaluation.statistics.arrays import FloatArray, Statistic
from pilothouse.evaluation.statistics.bootstrap import RESAMPLES, bootstrap
from pilothouse.evaluation.statistics.intervals import wilson
from pilothouse.evaluation.types import Interval, Score, ScoredRow, State

LITTLE = 0.667
"""Krippendorff's least alpha for tentative conclusions."""


def calibrate(
    judge: str, kind: Kind, labels: Sequence[Label], rows: Sequence[ScoredRow], *, split: float = 0.0, seed: int = 7
) -> Calibration:
    """Return what a judge's verdicts are worth.

    Args:
        judge: The evaluator that gave the scores.
        kind: Of its rubric.
        labels: What people said.
        rows: The judged rows.
        split: Share of all labels that was kept apart.
        seed: Of the bootstrap.
    """
    scores = {row.id: score for row in rows if (score := _named(row, judge, judge)) is not None}
    known = [label for label in labels if label.id in scores and label.value is not None]
    pairs = [(label.value, verdict) for label in known if (verdict := verdict_of(scores[label.id])) is not None]
    truths, verdicts = [float(cast("Value", pair[0])) for pair in pairs], [float(pair[1]) for pair in pairs]
    values = _values(kind, [*truths, *verdicts])
    times = Counter(zip(truths, verdicts, strict=True))
    labelled = {label.id for label in known}
    flipped = [_named(row, judge, f"{judge}_flipped") for row in rows if row.id in labelled]
    missing = Counter(scores[label.id].state for label in known if scores[label.id].state != "ok")
    sides = rates([bool(t) for t in truths], [bool(v) for v in verdicts]) if kind == "binary" else {}
    found = Calibration(
        judge=judge,
        version=next((score.evaluator_version for score in scores.values()), ""),
        kind=kind,
        labels=digest([[label.id, label.value] for label in sorted(known, key=lambda label: label.id)]),
        split=split,
        n=len(pairs),
        values=tuple(bool(value) for value in values) if kind == "binary" else tuple(values),
        matrix=tuple(tuple(times[truth, verdict] for verdict in values) for truth in values),
        agreement=share(sum(t == v for t, v in zip(truths, verdicts, strict=True)), len(pairs)),
        kappa=cohen_kappa(truths, verdicts, "quadratic" if kind == "ordinal" else "none") if pairs else None,
        kappa_interval=kappa_interval(truths, verdicts, weighted=kind == "ordinal", seed=seed),
        sensitivity=_side(sides, "sensitivity"),
        specificity=_side(sides, "specificity"),
        raters=max((len(label.ratings) for label in labels), default=0),
        alpha=krippendorff_alpha([label.ratings for label in labels], "ordinal" if kind == "ordinal" else "nominal"),
        flips=_true_share([score for score in flipped if score is not None]) if kind == "pairwise" else None,
        retest=_retest([scores[label.id] for label in known]),
        without_verdict=dict(sorted(missing.items())),
        divided=sum(label.value is None and len(label.ratings) > 1 for label in labels),
        without_label=len(scores) - len(labelled),
        unknown=sum(label.value is not None and label.id not in scores for label in labels),
    )
    return _noted(found)


def disagreements(judge: str, labels: Sequence[Label], rows: Sequence[ScoredRow]) -> tuple[Disagreement, ...]:
    """Return the rows on which judge and people differ: what there is to learn from when a judge is tuned."""
    scores = {row.id: score for row in rows if (score := _named(row, judge, judge)) is not None}
    found: list[Disagreement] = []
    for label in labels:
        verdict = verdict_of(scores[label.id]) if label.id in scores else None
        if label.value is not None and verdict is not None and float(verdict) != float(label.value):
            reason = next((answer.get("reason", "") for answer in _answers(scores[label.id])), "")
            found.append(Disagreement(id=label.id, label=label.value, verdict=verdict, reason=reason))
    return tuple(found)


def kappa_interval(
    truths: Sequence[float], verdicts: Sequence[float], *, weighted: bool, seed: int = 7, resamples: int = RESAMPLES
) -> Interval | None:
    """Return a BCa interval of Cohen's kappa over rows; None when all is one value, or rows are too few.

    Args:
        truths: What people said.
        verdicts: What the judge said, in the same order.
        weighted: Whether weights are quadratic.
        seed: Of the bootstrap.
        resamples: Of the bootstrap.
    """
    values = sorted({*truths, *verdicts})
    if len(values) < 2:
        return None
    place = {value: index for index, value in enumerate(values)}
    size = len(values)
    cells = Counter(place[t] * size + place[v] for t, v in zip(truths, verdicts, strict=True))
    units = np.eye(size * size)[sorted(cells)]
    counts = np.array([cells[cell] for cell in sorted(cells)], dtype=np.int64)
    found = bootstrap(units, counts, _kappas(size, weighted=weighted), seed=seed, resamples=resamples).interval
    return found and replace(found, low=float(found.low), high=float(found.high))


def share(hits: int, n: int) -> Share:
    """Return a share with its interval."""
    return Share(hits=hits, n=n, interval=wilson(hits, n))


def verdict_of(score: Score) -> Value | None:
    """Return what a score says, as a label is written; None without a verdict."""
    return score.value if score.state == "ok" and isinstance(score.value, bool | float | int) else None


def _named(row: ScoredRow, judge: str, name: str) -> Score | None:
    return next((score for score in row.scores if score.evaluator == judge and score.name == name), None)


def _values(kind: Kind, seen: Sequence[float]) -> list[float]:
    always = {"binary": {0.0, 1.0}, "pairwise": {0.0, 0.5, 1.0}, "ordinal": set[float]()}[kind]
    return sorted(always | set(seen))


def _side(sides: Mapping[str, tuple[int, int, Interval | None]], name: str) -> Share | None:
    if name not in sides:
        return None
    hits, n, interval = sides[name]
    return Share(hits=hits, n=n, interval=interval)


def _true_share(scores: Sequence[Score]) -> Share:
    told = [bool(score.value) for score in scores if score.state == "ok"]
    return share(sum(told), len(told))


def _kappas(size: int, *, weighted: bool) -> Statistic:
    """Return Cohen's kappa as a function of many tables at once, each flat."""
    gaps = np.abs(np.subtract.outer(np.arange(size), np.arange(size))).astype(np.float64)
    cost = gaps**2 if weighted else (gaps > 0).astype(np.float64)

    def statistic(sums: FloatArray) -> FloatArray:
        tables = sums.reshape(-1, size, size)
        expected = np.einsum("mi,mj,ij->m", tables.sum(axis=2), tables.sum(axis=1), cost) / tables.sum(axis=(1, 2))
        observed = np.einsum("mij,ij->m", tables, cost)
        plain = np.where(expected > 0.0, expected, np.nan)
        return np.asarray(1.0 - observed / plain, dtype=np.float64)

    return statistic


def _answers(score: Score) -> list[dict[str, Any]]:
    """Return the single answers behind a score, as its evidence keeps them."""
    if not isinstance(score.evidence, Mapping):
        return []
    kept = cast("Mapping[str, Any]", score.evidence)
    return [answer for name in ("answers", "candidate_first", "baseline_first") for answer in kept.get(name, ())]


def _retest(scores: Sequence[Score]) -> Share | None:
    """Return how often one judge, asked the same thing again, answered the same."""
    same = asked = 0
    for score in scores:
        kept = cast("Mapping[str, Any]", score.evidence if isinstance(score.evidence, Mapping) else {})
        for name in ("answers", "candidate_first", "baseline_first"):
            by_judge: dict[str, list[tuple[State, Any]]] = {}
            for answer in kept.get(name, ()):
                by_judge.setdefault(answer.get("judge", ""), []).append((answer["state"], answer.get("verdict")))
            again = [told for told in by_judge.values() if len(told) > 1]
            asked += len(again)
            same += sum(len(set(told)) == 1 for told in again)
    return share(same, asked) if asked else None


def _noted(found: Calibration) -> Calibration:
    notes: list[str] = []
    if not found.n:
        notes.append("no labelled row has a verdict")
    elif found.sensitivity is not None and found.specificity is not None:
        for side, word in ((found.sensitivity, "yes"), (found.specificity, "no")):
            if side.n < LEAST:
                notes.append(f"too few rows are labelled {word}: {side.n}, at least {LEAST} are needed")
        skill = (found.sensitivity.value or 0.0) + (found.specificity.value or 0.0)
        if found.sensitivity.n and found.specificity.n and skill <= 1.0:
            notes.append("no better than chance: its verdicts say nothing of the truth")
    elif found.n < LEAST:
        notes.append(f"too few rows: {found.n}, at least {LEAST} are needed")
    lost = sum(found.without_verdict.values())
    if lost > 0.1 * (found.n + lost):
        notes.append(f"{lost} of {found.n + lost} labelled rows have no verdict: what they would say is not known")
    if found.alpha is not None and found.alpha < LITTLE:
        notes.append("people agree little among themselves: no judge can agree with all of them")
    return replace(found, notes=tuple(notes))
