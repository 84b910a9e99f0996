"""A suite as a gate: each figure is a rule, and so is each measure that is compared with another run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pilothouse.evaluation.suites.types import Figure, SuiteReport
from pilothouse.experiments.analysis import numbers
from pilothouse.experiments.gates.types import MOST_ROWS, Decision, Outcome, RuleResult
from pilothouse.experiments.runs.types import Run

ALPHA = 0.05


def decision_of(
    report: SuiteReport, run: Run, against: Sequence[RuleResult] = (), baseline: str | None = None
) -> Decision:
    """Return what a suite says of a run.

    Args:
        report: What the suite found.
        run: The run.
        against: The measures compared with another run.
        baseline: That run.
    """
    rules = [_rule(figure, report) for figure in report.figures if figure.outcome is not None]
    if report.unanswered:
        rules.append(
            RuleResult(
                name="every row has an answer",
                outcome="inconclusive",
                reason=f"{report.unanswered:,} of {numbers.rows(report.rows)} have none, and enter no figure",
                figure=f"{report.unanswered:,}",
            )
        )
    rules += against
    counts = Counter[str](rule.outcome for rule in rules)
    worst: Outcome = "fail" if counts["fail"] else "inconclusive" if counts["inconclusive"] else "pass"
    return Decision(
        experiment=f"suite {report.suite}",
        variant=run.spec.flow,
        run=run.name,
        baseline=baseline,
        outcome=worst,
        rules=tuple(rules),
        alpha=ALPHA,
        counts=dict(counts),
    )


def interval_text(figure: Figure) -> str:
    """Return ``0.050 [0.010, 0.161]``."""
    found = figure.estimate
    value = "none" if found.value is None else f"{found.value:.3f}"
    return value if found.interval is None else f"{value} [{found.interval.low:.3f}, {found.interval.high:.3f}]"


def _rule(figure: Figure, report: SuiteReport) -> RuleResult:
    limit = "no significant difference" if figure.limit is None else f"at most {figure.limit:g}"
    rows = [case.id for case in report.cases] if figure.outcome == "fail" else []
    return RuleResult(
        name=f"{figure.name}: {limit}",
        outcome=figure.outcome or "pass",
        reason=figure.note or _reason(figure),
        figure=f"{interval_text(figure)}, {figure.failures:,} of {figure.estimate.n:,}",
        estimate=figure.estimate,
        rows=tuple(rows[:MOST_ROWS]),
        row_count=len(rows),
    )


def _reason(figure: Figure) -> str:
    words = {
        "pass": "the whole interval is within the limit",
        "fail": "the interval lies beyond the limit",
        "inconclusive": "the interval holds the limit",
    }
    return words[figure.outcome or "pass"]
