"""What trackers are told of an experiment: its settings, figures, verdicts and rows as plain names and values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from pilothouse.core.errors import UserError
from pilothouse.evaluation.types import Comparison, Estimate
from pilothouse.experiments.analysis.compilation import ArmResult, views_of
from pilothouse.experiments.analysis.prompts import settings_of, text_of
from pilothouse.experiments.comparison import Arm, ExperimentComparison
from pilothouse.experiments.reports.exports.records import Record, records
from pilothouse.experiments.runs.types import Run
from pilothouse.experiments.tracking.types import Prompt, Tracked, TrackedArm
from pilothouse.experiments.types import ExperimentRecord
from pilothouse.flows.dag.variants import chosen
from pilothouse.flows.loader import load_flow
from pilothouse.flows.types import Flow

_PROMPTS = ("llm", "prompt")


def tracked_of(
    record: ExperimentRecord, found: ExperimentComparison, results: list[ArmResult], root: Path, files: tuple[Path, ...]
) -> Tracked:
    """Return what is told of an experiment.

    Args:
        record: Its record.
        found: What it found.
        results: What was recorded of its arms.
        root: The project's folder.
        files: Its report files.
    """
    notes: list[str] = []
    shared = _shared(record)
    arms = tuple(
        _arm(arm, result, shared, _flow(record, result.run, root, notes))
        for arm, result in zip(found.arms, results, strict=True)
    )
    metrics = dict(item for comparison in found.comparisons for item in _difference(comparison))

    def rows() -> Iterator[Record]:
        return records(found, views_of(found.metrics[0], results))

    verdicts = {f"verdict.{item.candidate}.{item.metric}": item.verdict for item in found.comparisons}
    return Tracked(
        name=record.name,
        ref=record.ref,
        digest=record.digest,
        user=record.created_by,
        at=record.updated_at,
        found=found,
        params=shared,
        metrics=_finite(metrics),
        tags={"outcome": found.outcome, "best": found.best or "", "status": record.status, **verdicts, **found.facts},
        arms=arms,
        records=rows,
        files=files,
        notes=tuple(dict.fromkeys(notes)),
    )


def _shared(record: ExperimentRecord) -> dict[str, str]:
    asked = record.definition
    return {
        "flow": asked.flow,
        "data": asked.data,
        "column_mapping": _text(asked.column_mapping),
        "baseline": asked.baseline,
        "primary": asked.primary or "",
        "design": asked.design,
        "repeats": str(asked.repeats),
        "seed": str(asked.seed),
        "alpha": f"{asked.alpha:g}",
        "resamples": str(asked.resamples),
        **({"limit": str(asked.limit)} if asked.limit is not None else {}),
    }


def _arm(arm: Arm, result: ArmResult, shared: Mapping[str, str], flow: Flow | None) -> TrackedArm:
    run = result.run
    prompts = tuple(_prompts(flow)) if flow is not None else ()
    params = {
        **shared,
        "variant": arm.name,
        **{f"choice.{node}": choice for node, choice in run.variants.items()},
        "models": ", ".join(arm.models),
        "flow.digest": run.flow.digest,
        **({"data.digest": run.data.digest, "data.rows": str(run.data.rows)} if run.data is not None else {}),
        **{f"evaluator.{name}": version for name, version in _versions(result)},
        **(_node_settings(flow) if flow is not None else {}),
        **{f"prompt.{prompt.node}": prompt.digest for prompt in prompts},
    }
    tags = {"run": run.name, "status": run.status, **{key: str(value) for key, value in run.environment.items()}}
    return TrackedArm(
        name=arm.name,
        run=run.name,
        params=params,
        metrics=_finite(dict(_figures(arm))),
        tags=tags,
        data=run.data,
        prompts=prompts,
        flow=flow,
    )


def _figures(arm: Arm) -> Iterator[tuple[str, float | None]]:
    yield from arm.aggregates.items()
    yield from (("rows", arm.rows), ("failed", arm.failed))
    taken = arm.latency
    yield from (("latency.p50", taken.p50), ("latency.p95", taken.p95), ("latency.n", taken.n))
    yield from (("tokens.input", arm.usage.input_tokens), ("tokens.output", arm.usage.output_tokens))
    yield from (("calls", arm.calls.total), ("calls.unpriced", arm.unpriced))
    yield "cost_usd", None if arm.cost is None else float(arm.cost)
    for name, estimate in arm.estimates.items():
        yield from _estimate(name, estimate)
    for name, estimate in arm.corrected.items():
        yield from _estimate(f"{name}.corrected", estimate)


def _estimate(name: str, found: Estimate) -> Iterator[tuple[str, float | None]]:
    yield name, found.value
    if found.interval is not None:
        yield f"{name}.low", found.interval.low
        yield f"{name}.high", found.interval.high
    yield f"{name}.n", found.n


def _difference(item: Comparison) -> Iterator[tuple[str, float | None]]:
    name = f"{item.candidate}.{item.metric}.difference"
    yield from _estimate(name, item.difference)
    yield from ((f"{name}.p", item.p_value), (f"{name}.p_adjusted", item.p_adjusted), (f"{name}.mde", item.mde))


def _finite(figures: Mapping[str, float | None]) -> dict[str, float]:
    """Return the figures that are numbers: what was not measured is told by being absent, never as 0 or NaN."""
    return {name: float(value) for name, value in figures.items() if value is not None and math.isfinite(value)}


def _versions(result: ArmResult) -> Iterable[tuple[str, str]]:
    found: dict[str, str] = {}
    for row in result.scored[:1]:
        found |= {score.evaluator: score.evaluator_version for score in row.scores}
    return found.items()


def _flow(record: ExperimentRecord, run: Run, root: Path, notes: list[str]) -> Flow | None:
    """Return the flow as it ran; None, with a note, when that cannot be had any more."""
    try:
        flow = chosen(load_flow(root / record.definition.flow), run.variants)
    except UserError as error:
        notes.append(f"prompts and models were left out: the flow cannot be read any more ({error.message})")
        return None
    if flow.digest != run.flow.digest:
        notes.append("prompts and models were left out: the flow has changed since the experiment was run")
        return None
    return flow


def _prompts(flow: Flow) -> Iterator[Prompt]:
    for node in flow.nodes:
        text = text_of(flow, node) if node.type in _PROMPTS else ""
        if text:
            choice = flow.variants.get(node.name)
            name = ".".join(part for part in (flow.name, node.name, choice) if part)
            yield Prompt(name=name, node=node.name, text=text)


def _node_settings(flow: Flow) -> dict[str, str]:
    """Return what models are asked with; what comes from the rows is no setting."""
    return {
        f"node.{node.name}.{name}": _text(value)
        for node in flow.nodes
        if node.type in _PROMPTS
        for name, value in settings_of(node).items()
        if not (isinstance(value, str) and value.startswith("${"))
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
