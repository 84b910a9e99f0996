"""Nouns of a comparison: what an experiment found, small enough to read whole, whatever the number of rows."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from msgspec import Struct, field

from pilothouse.evaluation.factors import Effect
from pilothouse.evaluation.items.types import ItemReport
from pilothouse.evaluation.sequential.types import LooksReport
from pilothouse.evaluation.slices.types import SliceReport
from pilothouse.evaluation.types import ClassificationReport, Comparison, Estimate, Metric
from pilothouse.experiments.types import Variant
from pilothouse.models.catalogue import ModelFacts
from pilothouse.models.types import Usage

Outcome = Literal["better", "worse", "inconclusive", "single"]
"""What the primary metric says of the best arm; ``single`` = there is nothing to compare."""


class Latency(Struct, frozen=True, kw_only=True):
    """Durations of rows in seconds, as they were measured when their models were really called.

    A row that the cache answered counts with the duration it had when it was first computed: the figure tells
    how fast the variant is, not how fast the cache is. Rows whose first duration is unknown are left out.

    Attributes:
        p50: Median; None without rows.
        p95: 95th percentile.
        n: Completed rows behind the figures.
        cached: Of them, rows whose duration was measured in an earlier run.
        unknown: Completed rows without a known duration.
        curve: Quantiles from the fastest to the slowest row, at most a few hundred, for a plot.
    """

    p50: float | None = None
    p95: float | None = None
    n: int = 0
    cached: int = 0
    unknown: int = 0
    curve: tuple[float, ...] = ()


class Calls(Struct, frozen=True, kw_only=True):
    """Model calls of an arm: all that its rows needed, and those that the cache answered."""

    total: int = 0
    cached: int = 0


class Confusion(Struct, frozen=True, kw_only=True):
    """The classification of one evaluator."""

    evaluator: str
    report: ClassificationReport


class Arm(Struct, frozen=True, kw_only=True):
    """One variant and everything measured on it.

    Attributes:
        variant: The variant.
        run: Name of its run, for `run show`.
        rows: Rows that were to be answered, repeats included.
        failed: Rows without an answer; they count as the worst score unless a figure says otherwise.
        estimates: Metric's name -> estimate.
        corrected: Metric's name -> the rate that is left when the errors of its calibrated judge are taken out.
        latency: Durations.
        usage: Tokens of all its model calls, cached ones included: what the variant costs to run afresh.
        cached_usage: The part that was not spent again.
        cost: US dollars of its calls with a known price, cached ones included; None when none has one.
        unpriced: Calls whose price is not known.
        calls: Model calls.
        models: Models called, as ``provider/model``.
        confusions: One for every evaluator that judges labels.
        aggregates: Figures without an interval, from aggregation nodes and evaluators.
    """

    variant: Variant
    run: str
    rows: int
    failed: int
    estimates: dict[str, Estimate]
    corrected: dict[str, Estimate] = field(default_factory=dict[str, Estimate])
    latency: Latency = Latency()
    usage: Usage = Usage()
    cached_usage: Usage = Usage()
    cost: Decimal | None = None
    unpriced: int = 0
    calls: Calls = Calls()
    models: tuple[str, ...] = ()
    confusions: tuple[Confusion, ...] = ()
    aggregates: dict[str, float | None] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The variant's name."""
        return self.variant.name


class PromptDiff(Struct, frozen=True, kw_only=True):
    """The source of one node in the baseline and in a candidate; they differ.

    Attributes:
        candidate: Name of the arm.
        node: The node.
        baseline_file: Where the baseline's text comes from.
        candidate_file: Where the candidate's comes from.
        baseline_text: The template, prompt or code; empty when the baseline has none.
        candidate_text: The same of the candidate.
        settings: Node inputs that differ: name -> (baseline's, candidate's); None = absent.
    """

    candidate: str
    node: str
    baseline_file: str
    candidate_file: str
    baseline_text: str
    candidate_text: str
    settings: dict[str, tuple[Any, Any]] = field(default_factory=dict)


class ExperimentComparison(Struct, frozen=True, kw_only=True):
    """Every arm, every arm against the baseline, and what follows from it.

    Attributes:
        name: The experiment's name.
        ref: What people type to see it again.
        description: Why it was made.
        created_at: When it was computed.
        baseline: Name of the baseline arm.
        primary: Name of the metric that decides.
        metrics: The metrics, primary first.
        arms: In the order they ran.
        comparisons: Each arm but the baseline, in each metric; corrected per metric over the arms.
        outcome: See `Outcome`.
        best: Name of the arm with the best primary score.
        verdict: What the primary metric says, in words.
        notes: What a reader must know before acting on it.
        rows: Rows of the data, repeats included.
        disagreements: Rows on which the arms' primary scores differ.
        prompts: What differs between the arms.
        effects: What single factors do in the primary metric, where the arms are a full grid of several.
        models: What is known of the models that the arms called.
        slices: The primary metric in parts of the data; None when none were asked for.
        items: What single rows tell; None where the primary metric gives single rows no value.
        looks: What was seen at every look; None where all rows were compared once.
        facts: Versions, digests, dates, seed: label -> value.
    """

    name: str
    ref: str
    description: str = ""
    created_at: datetime
    baseline: str
    primary: str
    metrics: tuple[Metric, ...]
    arms: tuple[Arm, ...]
    comparisons: tuple[Comparison, ...] = ()
    outcome: Outcome
    best: str | None = None
    verdict: str
    notes: tuple[str, ...] = ()
    rows: int
    disagreements: int = 0
    prompts: tuple[PromptDiff, ...] = ()
    effects: tuple[Effect, ...] = ()
    models: tuple[ModelFacts, ...] = ()
    slices: SliceReport | None = None
    items: ItemReport | None = None
    looks: LooksReport | None = None
    facts: dict[str, str] = field(default_factory=dict)

    def arm(self, name: str) -> Arm:
        """Return the arm of that name."""
        return next(arm for arm in self.arms if arm.name == name)

    def metric(self, name: str) -> Metric:
        """Return the metric of that name."""
        return next(metric for metric in self.metrics if metric.name == name)

    def callers(self, model: str) -> list[str]:
        """Return the names of the arms that called a model; ``all`` where every one of several did."""
        names = [arm.name for arm in self.arms if model in arm.models]
        return ["all"] if len(names) == len(self.arms) > 1 else names

    def against_baseline(self, metric: str) -> tuple[Comparison, ...]:
        """Return the comparisons in one metric."""
        return tuple(item for item in self.comparisons if item.metric == metric)


class Answer(Struct, frozen=True, kw_only=True):
    """What one arm made of one row.

    Attributes:
        outputs: The flow's outputs; empty when the row failed.
        primary: The row's score in the primary metric; None when it has none.
        right: Whether that score is as good as it can be; None when it cannot be told.
        scores: Score's name -> value or, without one, its state.
        states: Score's name -> why it has no value; scores with a value are not in it.
        label: The predicted label, where there is one.
        error: Why the row failed.
        error_node: The node that failed.
        duration: Seconds, as in `Latency`; None when unknown.
        cached: Whether every model call came from the cache.
        usage: Tokens.
    """

    outputs: dict[str, Any] = field(default_factory=dict)
    primary: float | None = None
    right: bool | None = None
    scores: dict[str, Any] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    label: str | None = None
    error: str | None = None
    error_node: str | None = None
    duration: float | None = None
    cached: bool = False
    usage: Usage = Usage()

    @property
    def judged(self) -> tuple[str | None, float | None] | None:
        """Label and score, which two arms may share; None when the row failed."""
        return None if self.error is not None else (self.label, self.primary)


class RowView(Struct, frozen=True, kw_only=True):
    """One row of the data and what each arm made of it; ``answers`` are in the arms' order.

    Attributes:
        id: The row's id in the data.
        number: Its 0-based line.
        repeat: 0-based repetition.
        inputs: What the flow was given.
        truth: The true label, where an evaluator judges labels.
        answers: One an arm; None where the arm has no such row.
    """

    id: str
    number: int
    repeat: int = 0
    inputs: dict[str, Any] = field(default_factory=dict)
    truth: str | None = None
    answers: tuple[Answer | None, ...]

    @property
    def key(self) -> str:
        """The id, with the repetition where there is more than one."""
        return f"{self.id}#{self.repeat}" if self.repeat else self.id

    @property
    def disagree(self) -> bool:
        """Whether the arms gave different labels or scores; a failed row is unlike any that did not fail."""
        return len({answer.judged if answer is not None else None for answer in self.answers}) > 1
