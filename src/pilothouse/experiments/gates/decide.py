"""The decision of a gate: every rule, and what follows from them. Pure: the same rows give the same decision."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

from msgspec import structs

from pilothouse.evaluation.types import Procedure, Score
from pilothouse.experiments.analysis import numbers
from pilothouse.experiments.gates.limits import limit_result, range_text
from pilothouse.experiments.gates.regressions import Regressions
from pilothouse.experiments.gates.severity import flips_result, must_pass_result
from pilothouse.experiments.gates.snapshots import MEASURER, metric_named
from pilothouse.experiments.gates.types import MOST_ROWS, Candidate, Decision, Outcome, RuleResult, Sides, Spent
from pilothouse.experiments.rules import TOTALS, Gate, Limit


def decide(gate: Gate, candidate: Candidate, sides: Sides | None, how: Procedure) -> Decision:
    """Return what a gate says of a candidate.

    Args:
        gate: The rules.
        candidate: What is judged.
        sides: Baseline and candidate over the rows that are compared; needed when a rule compares.
        how: Alpha and resampling; each limit has its alpha, all regressions together have it once.

    Raises:
        UserError: a rule asks for a metric that does not exist or that does not fit it.
    """
    how = structs.replace(how, level=1.0 - how.alpha)
    arm = candidate.snapshot
    rules = _limits(gate, candidate, how)
    if sides is not None and gate.regressions:
        margins = {metric_named(name, candidate.metrics): rule.margin for name, rule in gate.regressions.items()}
        rules += Regressions(sides, how, gate.min_rows).results(margins)
    rules += _single_rows(gate, candidate, sides, how)
    rules += _totals(gate, candidate.spent)
    counts = Counter[str](rule.outcome for rule in rules)
    return Decision(
        experiment=arm.experiment,
        variant=arm.variant,
        run=arm.run,
        baseline=sides[0].label if sides is not None else None,
        outcome=_worst(counts),
        rules=tuple(rules),
        alpha=how.alpha,
        counts=dict(counts),
    )


def _worst(counts: Counter[str]) -> Outcome:
    return "fail" if counts["fail"] else "inconclusive" if counts["inconclusive"] else "pass"


def _limits(gate: Gate, candidate: Candidate, how: Procedure) -> list[RuleResult]:
    found: list[RuleResult] = []
    budget = {name: Limit(at_most=most) for name, most in gate.budget.items() if name not in TOTALS}
    for prefix, limits in (("", gate.metrics), ("budget: ", budget)):
        for name, limit in limits.items():
            # A budget is of what rows took, even where an evaluator has a metric of that name.
            metric = metric_named(name, () if prefix else candidate.metrics)
            said = f"{prefix}{name} {range_text(limit, metric)}"
            found.append(limit_result(said, limit, metric, candidate.snapshot, how, gate.min_rows))
    return found


def _single_rows(gate: Gate, candidate: Candidate, sides: Sides | None, how: Procedure) -> list[RuleResult]:
    found: list[RuleResult] = []
    primary = candidate.metrics[0].name
    if sides is not None and gate.flips is not None:
        metric = metric_named(gate.flips.metric or primary, candidate.metrics)
        found.append(flips_result(gate.flips, metric, sides, how.alpha, gate.min_rows))
    if gate.must_pass is not None:
        metric = metric_named(gate.must_pass.metric or primary, candidate.metrics)
        found.append(must_pass_result(gate.must_pass, metric, candidate.snapshot, candidate.must_pass or ()))
    if gate.failed_rows is not None:
        found.append(_failed_rows(gate.failed_rows, candidate))
    return found


def _failed_rows(most: int, candidate: Candidate) -> RuleResult:
    spent = candidate.spent
    rows = tuple(row.id for row in candidate.snapshot.rows if _has_failed(row.scores))
    return RuleResult(
        name=f"failed rows: at most {most:,}",
        outcome="fail" if spent.failed > most else "pass",
        reason=f"{spent.failed:,} of {numbers.rows(spent.rows)} failed",
        figure=f"{spent.failed:,}",
        rows=rows[:MOST_ROWS],
        row_count=len(rows),
    )


def _has_failed(scores: tuple[Score, ...]) -> bool:
    return any(score.evaluator == MEASURER and score.name == "failed" and score.value is True for score in scores)


def _totals(gate: Gate, spent: Spent) -> list[RuleResult]:
    """Return what the totals say: they are what was spent, so no chance enters."""
    found: list[RuleResult] = []
    if "cost" in gate.budget:
        most = Decimal(str(gate.budget["cost"]))
        cost = spent.cost or Decimal(0)
        outcome: Outcome = "fail" if cost > most else "inconclusive" if spent.unpriced else "pass"
        reason = f"{numbers.money(spent.cost, spent.unpriced)} for {numbers.rows(spent.rows)}"
        if spent.unpriced:
            reason += f"; the price of {numbers.counted(spent.unpriced, 'call')} is not known"
        found.append(
            RuleResult(
                name=f"budget: cost at most {numbers.money(most)}",
                outcome=outcome,
                reason=reason,
                figure=numbers.money(spent.cost, spent.unpriced),
            )
        )
    if "tokens" in gate.budget:
        tokens = spent.usage.input_tokens + spent.usage.output_tokens
        found.append(
            RuleResult(
                name=f"budget: tokens at most {gate.budget['tokens']:,.0f}",
                outcome="fail" if tokens > gate.budget["tokens"] else "pass",
                reason=f"{tokens:,} tokens for {numbers.rows(spent.rows)}",
                figure=f"{tokens:,}",
            )
        )
    return found
