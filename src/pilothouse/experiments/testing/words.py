"""What a test says: the rules as a table, the rows that decide, and what the user's own code raised."""

from __future__ import annotations

from collections.abc import Iterator

from pilothouse.core.errors import NotFound
from pilothouse.experiments.analysis import numbers
from pilothouse.experiments.gates.markdown import verdict
from pilothouse.experiments.gates.types import Decision, Outcome, RuleResult, rows_text
from pilothouse.experiments.reports.visible import reveal
from pilothouse.experiments.runs.service import RunService
from pilothouse.experiments.runs.types import RunRow
from pilothouse.experiments.service import Finding
from pilothouse.experiments.testing.found import Evaluated

MOST_SHOWN = 6
EXAMPLES = 3
_CLIP = 160
_ORDER: tuple[Outcome, ...] = ("fail", "inconclusive", "pass")


def evaluated(finding: Finding, decision: Decision | None, runs: RunService, *, wants_body: bool) -> Evaluated:
    """Return what a test sees and says; an evaluator that failed on rows fails the test whatever the gate says."""
    outcome: Outcome = decision.outcome if decision is not None else "fail" if finding.failed else "pass"
    if finding.faults:
        outcome = "fail"
    return Evaluated(
        outcome=outcome,
        text="\n".join(_lines(finding, decision, runs)),
        decision=decision,
        comparison=finding.comparison,
        ref=finding.record.ref,
        report=str(finding.files.html),
        properties=tuple(_properties(finding, decision)),
        wants_body=wants_body,
    )


def _lines(finding: Finding, decision: Decision | None, runs: RunService) -> Iterator[str]:
    for fault in finding.faults:
        yield f"{fault}; the figures are those of the other rows"
        yield (fault.error.traceback or "").rstrip()
        yield ""
    rows = numbers.rows(finding.rows)
    yield f"{verdict(decision)}, {rows}" if decision is not None else f"{finding.record.ref}: {rows}"
    if decision is not None:
        yield from decision.notes
        yield from _table(decision)
    if finding.failed and (decision is None or decision.outcome != "pass"):
        yield from _failures(finding, runs)
    if decision is not None:
        yield from _examples(decision, runs)
    yield f"report: {finding.files.html}"


def _table(decision: Decision) -> Iterator[str]:
    rules = sorted(decision.rules, key=lambda rule: _ORDER.index(rule.outcome))
    cells = [(rule.outcome, rule.name, _figure(rule), rule.reason) for rule in rules]
    widths = [max((len(cell[at]) for cell in cells), default=0) for at in range(3)]
    for rule, cell in zip(rules, cells, strict=True):
        fixed = "  ".join(cell[at].ljust(widths[at]) for at in range(3))
        yield f"  {fixed}  {cell[3]}"
        if rule.rows and rule.outcome != "pass":
            yield f"  {' ' * widths[0]}  rows {reveal(rows_text(rule, MOST_SHOWN))}"


def _figure(rule: RuleResult) -> str:
    n = rule.estimate.n if rule.estimate is not None else rule.comparison.n_pairs if rule.comparison is not None else 0
    return f"{rule.figure}, n = {n:,}" if n and rule.figure else rule.figure


def _failures(finding: Finding, runs: RunService) -> Iterator[str]:
    """Yield what the first row that failed raised, with the traceback of the user's own code."""
    for arm in finding.comparison.arms:
        row = next(runs.rows(runs.get(arm.run), status="failed"), None) if arm.failed else None
        if row is not None and row.error is not None:
            yield ""
            yield f"row {row.line_id} ({numbers.rows(arm.failed)} of {arm.rows:,} failed):"
            yield (row.error.traceback or f"{row.error.type}: {row.error.message}").rstrip()
            return


def _examples(decision: Decision, runs: RunService) -> Iterator[str]:
    """Yield some of the rows that decide, with what was asked and answered."""
    wanted = next((rule.rows for rule in decision.rules if rule.outcome == "fail" and rule.rows), ())[:EXAMPLES]
    try:
        rows = runs.rows(runs.get(decision.run)) if wanted else iter(())
    except NotFound:
        return
    shown = [row for row in rows if row.status == "completed" and row.line_id in wanted]
    if shown:
        yield ""
    for row in shown[:EXAMPLES]:
        yield f"row {row.line_id}: {_clip(row, 'inputs')} -> {_clip(row, 'outputs')}"


def _clip(row: RunRow, part: str) -> str:
    values = getattr(row, part)
    text = reveal(", ".join(f"{key}={value!r}" for key, value in values.items()))
    return text if len(text) <= _CLIP else f"{text[:_CLIP]} ..."


def _properties(finding: Finding, decision: Decision | None) -> Iterator[tuple[str, str]]:
    yield "pilothouse experiment", finding.record.ref
    yield "pilothouse report", str(finding.files.html)
    for rule in decision.rules if decision is not None else ():
        yield rule.name, f"{rule.outcome}: {_figure(rule)}" if rule.figure else rule.outcome
