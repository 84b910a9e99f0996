"""Single rows that decide: those that turned wrong, those that have to be right, those without an answer."""

from __future__ import annotations

from collections.abc import Sequence

from pilothouse.core.errors import UserError
from pilothouse.evaluation.statistics.special import binomial_cdf
from pilothouse.evaluation.types import Metric
from pilothouse.experiments.analysis import numbers
from pilothouse.experiments.analysis.judgements import Judgement, Judgements
from pilothouse.experiments.gates.limits import few, p_text
from pilothouse.experiments.gates.snapshots import by_line
from pilothouse.experiments.gates.types import MOST_ROWS, Outcome, RuleResult, Sides, Snapshot
from pilothouse.experiments.rules import Flips, MustPass


def flips_result(rule: Flips, metric: Metric, sides: Sides, alpha: float, min_rows: int) -> RuleResult:
    """Return what rows say that were always right in the baseline and are wrong now.

    A line that was repeated was right when all its repetitions were, and is wrong when most are. Where nothing but
    chance tells the sides apart, as many rows turn right as turn wrong; only more wrong ones than that (sign test,
    one-sided) fail the rule, unless it counts ``on: value``.

    Args:
        rule: The rule.
        metric: What says right or wrong.
        sides: Baseline and candidate.
        alpha: Level of the sign test.
        min_rows: Lines below which nothing is said.

    Raises:
        UserError: the metric does not tell right from wrong.
    """
    refuse_unless_binary(metric, "flips")
    before, now = (_lines(metric, side) for side in sides)
    both = [line for line in before if line in now]
    lost = [line for line in both if _always_right(before[line]) and _mostly_wrong(now[line])]
    gained = sum(_always_right(now[line]) and _mostly_wrong(before[line]) for line in both)
    outcome: Outcome = "fail"
    if len(both) < min_rows:
        outcome, reason = "inconclusive", few(len(both), min_rows)
    elif len(lost) <= rule.at_most:
        outcome, reason = "pass", f"{numbers.rows(len(lost))} of {len(both):,} turned wrong"
    else:
        chance = binomial_cdf(gained, len(lost) + gained, 0.5)
        reason = f"{numbers.rows(len(lost))} turned wrong and {gained:,} turned right"
        if rule.on == "bound" and chance >= alpha:
            outcome = "inconclusive"
            reason += f": chance alone would do that ({p_text(chance)})"
        elif rule.on == "bound":
            reason += f", which chance does not explain ({p_text(chance)})"
    return RuleResult(
        name=f"rows that turned wrong ({metric.name}): at most {rule.at_most:,}",
        outcome=outcome,
        reason=reason,
        figure=f"{len(lost):,}",
        metric=metric,
        rows=tuple(lost[:MOST_ROWS]),
        row_count=len(lost),
    )


def must_pass_result(rule: MustPass, metric: Metric, arm: Snapshot, wanted: Sequence[str]) -> RuleResult:
    """Return whether rows that have to be right all are, in each of their repetitions.

    Raises:
        UserError: the metric does not tell right from wrong, and the rule does not say from where on it is right.
    """
    if rule.at_least is None and rule.at_most is None:
        refuse_unless_binary(metric, "must_pass")
    lines = _lines(metric, arm)
    wrong = [line for line in wanted if line in lines and any(_is_wrong(item, rule) for item in lines[line])]
    absent = [line for line in wanted if line not in lines]
    unjudged = [
        line
        for line in wanted
        if line in lines and line not in wrong and any(_passes(item, rule) is None for item in lines[line])
    ]
    open_rows = [*absent, *unjudged]
    outcome: Outcome = "fail" if wrong else "inconclusive" if open_rows or not wanted else "pass"
    parts = [f"{len(wrong):,} of {numbers.rows(len(wanted))} wrong"] if wrong else []
    parts += [f"{numbers.rows(len(absent))} not in the run"] if absent else []
    parts += [f"{numbers.rows(len(unjudged))} not judged"] if unjudged else []
    if not wanted:
        parts = ["no row of the data is marked so"]
    decide = wrong or open_rows
    return RuleResult(
        name=f"rows that must pass ({metric.name})",
        outcome=outcome,
        reason=", ".join(parts) or f"all {numbers.rows(len(wanted))} are right",
        figure=f"{len(wanted) - len(wrong) - len(open_rows):,} of {len(wanted):,}",
        metric=metric,
        rows=tuple(decide[:MOST_ROWS]),
        row_count=len(decide),
    )


def refuse_unless_binary(metric: Metric, section: str) -> None:
    """Refuse a metric that does not call single rows right or wrong.

    Raises:
        UserError: naming the section of the gate.
    """
    if metric.kind not in {"rate", "labels"}:
        raise UserError(
            f"{section} asks which rows are right, and '{metric.name}' does not say so",
            where=f"gate.{section}",
            expected="a metric that is right or wrong in each row, such as accuracy",
            fix=f"name one: {section}: {{metric: NAME}}"
            + ("; or say from where on a row passes: at_least" if section == "must_pass" else ""),
        )


def _lines(metric: Metric, arm: Snapshot) -> dict[str, list[Judgement]]:
    judged = Judgements(metric, arm.rows)
    return {line: [judged[id_] for id_ in ids] for line, ids in by_line(arm).items()}


def _always_right(items: Sequence[Judgement]) -> bool:
    return all(item.right is True for item in items)


def _mostly_wrong(items: Sequence[Judgement]) -> bool:
    return 2 * sum(item.right is False for item in items) > len(items)


def _passes(item: Judgement, rule: MustPass) -> bool | None:
    """Return whether one answer passes; None when nobody judged it. A row without an answer does not pass."""
    if item.failed:
        return False
    if rule.at_least is None and rule.at_most is None:
        return item.right
    if item.value is None:
        return None
    low = rule.at_least is None or item.value >= rule.at_least
    return low and (rule.at_most is None or item.value <= rule.at_most)


def _is_wrong(item: Judgement, rule: MustPass) -> bool:
    return _passes(item, rule) is False
