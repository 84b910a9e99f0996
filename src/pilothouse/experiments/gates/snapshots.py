"""Snapshots: one arm of an experiment with all that a gate looks at, row by row."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import msgspec
from msgspec import structs

from pilothouse.core.errors import NotFound, nearest_hint
from pilothouse.evaluation.types import UPSTREAM, Metric, Score, ScoredRow
from pilothouse.experiments.analysis.compilation import ArmResult
from pilothouse.experiments.analysis.recorded import FirstTimes, duration_of
from pilothouse.experiments.analysis.views import evaluation_id
from pilothouse.experiments.gates.types import Snapshot
from pilothouse.experiments.rules import LATENCY, MEASURED
from pilothouse.experiments.runs.types import RunRow
from pilothouse.flows.results import ErrorInfo

MEASURER = "(run)"
"""Stands where an evaluator's name does; no evaluator can have this one."""

_FAILED = ErrorInfo(type=UPSTREAM, message="")
_encode = msgspec.json.Encoder(order="deterministic").encode


def snapshot_of(experiment: str, arm: ArmResult) -> Snapshot:
    """Return an arm as a gate sees it."""
    run = arm.run
    scores = {row.id: row for row in arm.scored}
    contents: dict[str, str] = {}
    rows: list[ScoredRow] = []
    for row in arm.recorded.rows():
        id_ = evaluation_id(row, run.repeat)
        judged = tuple(map(_light, scores[id_].scores)) if id_ in scores else ()
        contents[id_] = _content(row, judged)
        cluster = scores[id_].cluster if id_ in scores else (row.line_id if run.repeat > 1 else None)
        rows.append(ScoredRow(id=id_, scores=(*judged, *_measured(row, arm.recorded.first)), cluster=cluster))
    data = run.data
    return Snapshot(
        experiment=experiment,
        variant=arm.variant.name,
        run=run.name,
        data=data.digest if data is not None else "",
        source=(data.version or data.source) if data is not None else "",
        repeats=run.repeat,
        evaluators={score.evaluator: score.evaluator_version for row in arm.scored for score in row.scores},
        contents=contents,
        rows=tuple(rows),
    )


def metric_named(name: str, metrics: Sequence[Metric]) -> Metric:
    """Return a metric of an experiment, or one that is measured of every run.

    Raises:
        NotFound: there is none of that name.
    """
    found = next((metric for metric in metrics if metric.name == name), None) or _own_metric(name)
    if found is None:
        known = [*(metric.name for metric in metrics), *MEASURED, "latency_p50", "latency_p95"]
        raise NotFound(
            f"the gate asks for the metric '{name}', which nothing gives", expected=nearest_hint(name, known)
        )
    return found


def by_line(arm: Snapshot) -> dict[str, list[str]]:
    """Return the ids of rows by the line of the data that they repeat."""
    found: dict[str, list[str]] = {}
    for row in arm.rows:
        # As `evaluation_id` makes them.
        line = row.id.rpartition("#")[0] if arm.repeats > 1 else row.id
        found.setdefault(line, []).append(row.id)
    return found


def _own_metric(name: str) -> Metric | None:
    latency = LATENCY.match(name)
    if latency is not None:
        share = int(latency[1]) / 100.0
        return Metric(
            name=name, evaluator=MEASURER, score="latency", kind="quantile", quantile=share, better="lower", unit="s"
        )
    if name == "failed_rate":
        return Metric(name=name, evaluator=MEASURER, score="failed", kind="rate", better="lower", bounds=(0.0, 1.0))
    if name == "tokens_per_row":
        return Metric(name=name, evaluator=MEASURER, score="tokens", kind="mean", better="lower", unit="tokens")
    if name == "cost_per_row":
        return Metric(name=name, evaluator=MEASURER, score="cost", kind="mean", better="lower")
    return None


def _measured(row: RunRow, first: FirstTimes) -> tuple[Score, ...]:
    """Return what is measured of a row itself; of a failed one, that it failed."""
    done = row.status == "completed"
    usage = row.usage + row.cached_usage
    called = any(node.model is not None for node in row.nodes)
    costs = [float(cost) for cost in (row.cost, row.cached_cost) if cost is not None]
    return (
        Score(name="failed", evaluator=MEASURER, value=not done),
        _number("latency", duration_of(row, first) if done else None, done=done),
        _number("tokens", float(usage.input_tokens + usage.output_tokens) if called else None, done=done),
        _number("cost", sum(costs) if costs and not row.unpriced else None, done=done),
    )


def _number(name: str, value: float | None, *, done: bool) -> Score:
    if not done:
        return Score(name=name, evaluator=MEASURER, state="error", error=_FAILED)
    if value is None:
        return Score(name=name, evaluator=MEASURER, state="abstained")
    return Score(name=name, evaluator=MEASURER, value=value)


def _light(score: Score) -> Score:
    """Return a score without what no figure rests on: evidence and messages may be long, and private."""
    error = None if score.error is None else ErrorInfo(type=score.error.type, message="")
    return structs.replace(score, evidence=None, evaluator_version="", error=error)


def _content(row: RunRow, scores: Iterable[Score]) -> str:
    truths = {f"{score.evaluator}.{score.name}": score.labels.truth for score in scores if score.labels is not None}
    return hashlib.blake2b(_encode([row.inputs, truths]), digest_size=16).hexdigest()
