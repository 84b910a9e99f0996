"""Nouns of gates: one arm with its scores, what each rule says of it, and what follows."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from msgspec import Struct, field

from pilothouse.evaluation.types import Comparison, Estimate, Metric, ScoredRow
from pilothouse.models.types import Usage

Outcome = Literal["pass", "fail", "inconclusive"]


class Snapshot(Struct, frozen=True, kw_only=True):
    """One arm of an experiment and the scores of its rows; a blessed one is a baseline and never changes.

    Attributes:
        experiment: ``name:number``.
        variant: Name of the arm.
        run: Name of its run.
        data: Digest of the data.
        source: Where the data came from, with its version.
        repeats: Times every row was run.
        evaluators: Evaluator's name -> its version.
        contents: Row's id -> digest of what it asked and of its true labels.
        rows: Its scores, what was measured of it among them; without evidence.
    """

    experiment: str
    variant: str
    run: str
    data: str
    source: str
    repeats: int
    evaluators: dict[str, str]
    contents: dict[str, str]
    rows: tuple[ScoredRow, ...]

    @property
    def label(self) -> str:
        """What people read: ``sms:3 (few)``."""
        return f"{self.experiment} ({self.variant})"


Sides = tuple[Snapshot, Snapshot]
"""Baseline and candidate."""


class Spent(Struct, frozen=True, kw_only=True):
    """What the whole run took, cached calls included, as `pilothouse.experiments.comparison.Arm` has it."""

    rows: int
    failed: int
    usage: Usage = Usage()
    cost: Decimal | None = None
    unpriced: int = 0


class Candidate(Struct, frozen=True, kw_only=True):
    """What a gate judges.

    Attributes:
        snapshot: The arm.
        metrics: The metrics of its experiment, the primary first.
        spent: What it took.
        must_pass: Ids of the rows that have to be right; None where no rule names any.
    """

    snapshot: Snapshot
    metrics: tuple[Metric, ...]
    spent: Spent
    must_pass: tuple[str, ...] | None = None


class RuleResult(Struct, frozen=True, kw_only=True):
    """What one rule says.

    Attributes:
        name: The rule in words, unique in its gate.
        outcome: See `Outcome`.
        reason: Why, in one sentence with the numbers.
        figure: What was measured, as it is shown.
        estimate: The figure behind a limit.
        comparison: The comparison behind a regression.
        metric: What the figures are of.
        rows: Ids of the rows that decide, at most `MOST_ROWS`.
        row_count: How many there are.
    """

    name: str
    outcome: Outcome
    reason: str
    figure: str = ""
    estimate: Estimate | None = None
    comparison: Comparison | None = None
    metric: Metric | None = None
    rows: tuple[str, ...] = ()
    row_count: int = 0


MOST_ROWS = 20


class Decision(Struct, frozen=True, kw_only=True):
    """What a gate says.

    Attributes:
        experiment: ``name:number``.
        variant: The arm that was judged.
        run: Name of its run.
        baseline: What it was compared with; None when no rule compares.
        outcome: ``fail`` when a rule fails, else ``inconclusive`` when one is, else ``pass``.
        rules: Every rule.
        alpha: The accepted chance of a false failure.
        notes: What a reader must know.
        report: Path of the experiment's page from the project's folder, or None.
        counts: Outcome -> rules.
    """

    experiment: str
    variant: str
    run: str
    baseline: str | None = None
    outcome: Outcome
    rules: tuple[RuleResult, ...]
    alpha: float
    notes: tuple[str, ...] = ()
    report: str | None = None
    counts: dict[str, int] = field(default_factory=dict)


def rows_text(rule: RuleResult, most: int = MOST_ROWS) -> str:
    """Return ``r1, r2 and 30 more``: the rows that decide."""
    shown = rule.rows[:most]
    more = rule.row_count - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")
