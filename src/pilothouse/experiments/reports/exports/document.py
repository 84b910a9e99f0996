"""The comparison as one JSON document with a stable form: every figure with its interval, n and what did not enter.

Within one number of `SCHEMA` keys are added, never removed, renamed or given another meaning.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from pilothouse.evaluation.types import Comparison, Estimate, Metric
from pilothouse.experiments.comparison import Arm, Confusion, ExperimentComparison, PromptDiff
from pilothouse.experiments.reports.exports.records import whole

SCHEMA: Final = "pilothouse.comparison/1"


class Speed(Struct, frozen=True, kw_only=True):
    """Seconds of a row, and the rows behind the figures; see `Latency`."""

    p50: float | None
    p95: float | None
    n: int
    cached: int
    unknown: int


class VariantFigures(Struct, frozen=True, kw_only=True):
    """One arm: see `Arm`; ``cost_usd`` is a lower bound while ``unpriced`` is above 0."""

    name: str
    is_baseline: bool
    choices: dict[str, str]
    run: str
    rows: int
    failed: int
    estimates: dict[str, Estimate]
    corrected: dict[str, Estimate]
    seconds: Speed
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    unpriced: int
    calls: int
    cached_calls: int
    models: tuple[str, ...]
    confusions: tuple[Confusion, ...]
    aggregates: dict[str, float | None]


class Document(Struct, frozen=True, kw_only=True):
    """What an experiment found; see `ExperimentComparison`. ``rows`` counts the data's rows, repeats included."""

    schema: str = SCHEMA
    experiment: str
    ref: str
    description: str
    created_at: datetime
    baseline: str
    primary: str
    outcome: str
    best: str | None
    verdict: str
    rows: int
    disagreements: int
    metrics: tuple[Metric, ...]
    variants: tuple[VariantFigures, ...]
    comparisons: tuple[Comparison, ...]
    prompts: tuple[PromptDiff, ...] = ()
    notes: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)


def document_of(found: ExperimentComparison) -> Document:
    """Return the document of a comparison."""
    return Document(
        experiment=found.name,
        ref=found.ref,
        description=found.description,
        created_at=found.created_at,
        baseline=found.baseline,
        primary=found.primary,
        outcome=found.outcome,
        best=found.best,
        verdict=found.verdict,
        rows=found.rows,
        disagreements=found.disagreements,
        metrics=found.metrics,
        variants=tuple(_variant(arm, found.baseline) for arm in found.arms),
        comparisons=found.comparisons,
        prompts=found.prompts,
        notes=found.notes,
        facts=dict(found.facts),
    )


def write_document(found: ExperimentComparison) -> bytes:
    """Return the document as indented JSON; a bound without an end is null, for JSON has no infinity."""
    document = document_of(found)
    try:
        encoded = msgspec.json.encode(document)
    except UnicodeEncodeError:
        encoded = msgspec.json.encode(whole(msgspec.to_builtins(document)))
    return msgspec.json.format(encoded, indent=2) + b"\n"


def _variant(arm: Arm, baseline: str) -> VariantFigures:
    taken = arm.latency
    return VariantFigures(
        name=arm.name,
        is_baseline=arm.name == baseline,
        choices=arm.variant.choices,
        run=arm.run,
        rows=arm.rows,
        failed=arm.failed,
        estimates=arm.estimates,
        corrected=arm.corrected,
        seconds=Speed(p50=taken.p50, p95=taken.p95, n=taken.n, cached=taken.cached, unknown=taken.unknown),
        input_tokens=arm.usage.input_tokens,
        output_tokens=arm.usage.output_tokens,
        cost_usd=None if arm.cost is None else float(arm.cost),
        unpriced=arm.unpriced,
        calls=arm.calls.total,
        cached_calls=arm.calls.cached,
        models=arm.models,
        confusions=arm.confusions,
        aggregates=arm.aggregates,
    )
