"""Nouns of evaluation: scores of rows, figures over many rows, comparisons of two runs."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

from pilothouse.flows.results import ErrorInfo

State = Literal["ok", "abstained", "unparsable", "error"]
"""``ok`` = measured; ``abstained`` = the evaluator had nothing to say; ``unparsable`` = the answer that was judged
could not be read; ``error`` = the row failed before it could be judged, or the evaluator did."""

Direction = Literal["higher", "lower"]
Failures = Literal["worst", "exclude"]
"""How rows without an answer enter a figure: as the worst value (the default), or not at all (complete cases)."""

Correction = Literal["holm", "benjamini-hochberg", "none"]
Verdict = Literal["better", "worse", "inconclusive"]

UPSTREAM = "upstream"
"""``ErrorInfo.type`` of the scores of a row that failed before it could be judged."""


class LabelPair(Struct, frozen=True, kw_only=True):
    """The true label of a row and the predicted one; a prediction of None is an answer that names no label."""

    truth: str
    prediction: str | None


class Score(Struct, frozen=True, kw_only=True):
    """What one evaluator says of one row.

    An evaluator may return a Score itself; name, evaluator and version are filled in for it.

    Attributes:
        name: Name of the score; the evaluator's own name when it gives one score only.
        state: See `State`. Only an ``ok`` score has a value.
        value: True or False, a finite number, or a text that is a category; None unless the state is ``ok``.
        evidence: What the value rests on; plain JSON data.
        error: Why there is no value, for the state ``error``.
        evaluator: Name of the evaluator.
        evaluator_version: Digest of its source and options.
        labels: True and predicted label, where the score judges a classification.
        sums: Parts of a figure that is made of their totals over rows, such as matched and all n-grams; see
            `pilothouse.evaluation.metrics.sums`.
    """

    name: str = ""
    state: State = "ok"
    value: bool | float | str | None = None
    evidence: Any = None
    error: ErrorInfo | None = None
    evaluator: str = ""
    evaluator_version: str = ""
    labels: LabelPair | None = None
    sums: tuple[float, ...] = ()

    @property
    def failed_upstream(self) -> bool:
        """Whether the row failed before this evaluator could judge it."""
        return self.state == "error" and self.error is not None and self.error.type == UPSTREAM


class EvaluationRow(Struct, frozen=True, kw_only=True):
    """A row to be judged.

    Attributes:
        id: Unique in its run, and the same in every run over the same data: comparisons pair rows by it.
        arguments: Evaluator's name -> its keyword arguments. Of a failed row: those that are known all the same.
        failure: Why the row has no outputs; None when it completed.
        cluster: What rows that are not independent share (a document, a user, the line that was repeated).
    """

    id: str
    arguments: dict[str, dict[str, Any]] = field(default_factory=dict)
    failure: ErrorInfo | None = None
    cluster: str | None = None


class ScoredRow(Struct, frozen=True, kw_only=True):
    """All scores of one row; ``id`` and ``cluster`` are those of its `EvaluationRow`."""

    id: str
    scores: tuple[Score, ...]
    cluster: str | None = None


class Metric(Struct, frozen=True, kw_only=True):
    """A figure that can be drawn from scores.

    Attributes:
        name: Unique among the metrics of an experiment.
        evaluator: The evaluator whose scores it reads.
        score: Name of those scores.
        kind: ``rate`` = share of true values; ``mean`` = mean of numbers; ``quantile`` = a quantile of numbers;
            ``labels`` = a statistic of the confusion matrix; ``sums`` = a statistic of sums over rows.
        category: For a ``rate`` of scores that are texts: the text whose share it is.
        quantile: Between 0 and 1, for the kind ``quantile``.
        statistic: ``macro_f1`` and the like, for the kind ``labels``; ``bleu`` and the like, for the kind ``sums``.
        labels: The label set, for the kind ``labels``; empty = the labels that occur as truth.
        better: Which direction is an improvement.
        worst: The value of a row that failed before it could be judged; None = such rows are left out and counted.
        bounds: Lowest and highest possible value, where they are known.
        unit: ``s``, ``tokens``; None for shares and scores.
    """

    name: str
    evaluator: str = ""
    score: str = ""
    kind: Literal["rate", "mean", "quantile", "labels", "sums"]
    category: str | None = None
    quantile: float | None = None
    statistic: str | None = None
    labels: tuple[str, ...] = ()
    better: Direction = "higher"
    worst: float | None = None
    bounds: tuple[float, float] | None = None
    unit: str | None = None


class Interval(Struct, frozen=True, kw_only=True):
    """A confidence interval: ``level`` is its confidence (0.95), ``method`` how it was made."""

    low: float
    high: float
    level: float
    method: str


class Estimate(Struct, frozen=True, kw_only=True):
    """A figure with its uncertainty and with all that did not enter it.

    Attributes:
        name: Name of the metric.
        value: None when there is nothing to measure; never NaN.
        interval: None when it cannot be had; ``note`` says why.
        n: Rows (pairs, in a comparison) that entered.
        excluded: Why -> rows that did not enter (``failed`` = before they were judged, ``error`` = in the evaluator,
            ``abstained``, ``unparsable``, ``missing``).
        counted: Why -> rows without a readable answer that entered as the worst value.
        complete: The value over rows with a readable answer alone; None when it is the same as ``value``.
        clusters: Number of clusters, where rows share a source.
        note: What a reader must know.
    """

    name: str
    value: float | None
    interval: Interval | None = None
    n: int = 0
    excluded: dict[str, int] = field(default_factory=dict)
    counted: dict[str, int] = field(default_factory=dict)
    complete: float | None = None
    clusters: int | None = None
    note: str | None = None


class Comparison(Struct, frozen=True, kw_only=True):
    """A candidate against a baseline in one metric, row by row.

    Attributes:
        metric: Name of the metric.
        baseline: Name of the baseline.
        candidate: Name of the candidate.
        difference: Candidate minus baseline over the pairs.
        test: The test behind ``p_value``.
        p_value: Two-sided; None when there is nothing to test.
        p_adjusted: After correction over the family of comparisons; it decides.
        correction: ``holm``, ``benjamini-hochberg`` or ``none``, and the size of the family.
        n_pairs: Pairs that entered.
        unpaired: ``baseline`` and ``candidate`` -> rows that only this side has.
        discordant: Of a rate: pairs right in the baseline alone, pairs right in the candidate alone.
        alpha: Chance of a false difference accepted over the family.
        power: The chance of finding a difference of size ``mde``.
        mde: Smallest true difference that this design finds with that chance; None when it cannot be told.
        better: Which direction is an improvement.
        verdict: ``inconclusive`` unless ``p_adjusted`` < ``alpha`` and the interval leaves out 0.
        note: Why the verdict is what it is, where that is not plain.
    """

    metric: str
    baseline: str
    candidate: str
    difference: Estimate
    test: str
    p_value: float | None
    p_adjusted: float | None = None
    correction: str = "none"
    n_pairs: int
    unpaired: dict[str, int] = field(default_factory=dict)
    discordant: tuple[int, int] | None = None
    alpha: float = 0.05
    power: float = 0.8
    mde: float | None = None
    better: Direction = "higher"
    verdict: Verdict = "inconclusive"
    note: str | None = None


class ClassScores(Struct, frozen=True, kw_only=True):
    """One class of a classification; a ratio with nothing to divide by is None (see `ClassificationReport`)."""

    label: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int


class ClassificationReport(Struct, frozen=True, kw_only=True):
    """Everything a confusion matrix tells.

    A class that was never predicted has precision 0, one that never occurs has recall 0; a class in neither has
    None and stays out of the averages. Predictions outside the label set are wrong and have a column of their own.

    Attributes:
        labels: The label set: rows of the matrix, and its columns before the last.
        matrix: ``matrix[i][j]`` = rows of true class i predicted as class j; the last column is ``(none)``.
        classes: One entry a label.
        n: Rows.
        accuracy: Share of right predictions; None without rows.
        averages: ``macro_f1``, ``weighted_f1``, ``micro_f1`` and the same of precision and recall.
        excluded: Why -> rows that did not enter.
        note: What a reader must know.
    """

    labels: tuple[str, ...]
    matrix: tuple[tuple[int, ...], ...]
    classes: tuple[ClassScores, ...]
    n: int
    accuracy: float | None
    averages: dict[str, float | None]
    excluded: dict[str, int] = field(default_factory=dict)
    note: str | None = None


class Procedure(Struct, frozen=True, kw_only=True):
    """How figures and comparisons are made; the same procedure and scores give the same results.

    Attributes:
        level: Confidence of intervals.
        alpha: Chance of a false difference accepted over a family of comparisons.
        power: The chance of detection that minimum detectable effects are stated for.
        correction: ``holm`` for decisions, ``benjamini-hochberg`` for exploring a grid, ``none``.
        failures: How rows without an answer enter; see `Failures`.
        resamples: Bootstrap resamples behind an interval.
        permutations: Random assignments behind a permutation test.
        seed: Seed of both.
    """

    level: float = 0.95
    alpha: float = 0.05
    power: float = 0.8
    correction: Correction = "holm"
    failures: Failures = "worst"
    resamples: int = 5000
    permutations: int = 9999
    seed: int = 7


class EvaluatorSpec(Struct, frozen=True, kw_only=True):
    """An evaluator as it is asked for.

    Attributes:
        name: Its name; unique in an experiment.
        source: Name of a built-in, ``path/to/file.py:Name``, or the path of a flow; paths relative to the project.
        options: Keyword arguments of a class's ``__init__``; ``variants`` and ``connections`` of a flow.
        better: Direction of its scores; score's name -> direction where they differ.
        where: ``file:line`` that asked for it, for messages.
    """

    name: str
    source: str
    options: dict[str, Any] = field(default_factory=dict)
    better: Direction | dict[str, Direction] = "higher"
    where: str | None = None


class EvaluationResult(Struct, frozen=True, kw_only=True):
    """What an evaluation of one run gives: keep ``rows`` and ``metrics`` together, every figure follows from them.

    Attributes:
        rows: Scored rows in the order they came.
        metrics: The figures that the scores allow.
        aggregates: Figures that evaluators computed over all rows themselves; they have no interval.
        versions: Evaluator's name -> its version.
    """

    rows: tuple[ScoredRow, ...]
    metrics: tuple[Metric, ...]
    aggregates: tuple[Estimate, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
