"""What an evaluation found, as the body of a test sees it."""

from __future__ import annotations

from msgspec import Struct

from pilothouse.core.errors import NotFound, nearest_hint
from pilothouse.evaluation.types import Estimate
from pilothouse.experiments.comparison import ExperimentComparison
from pilothouse.experiments.gates.types import Decision, Outcome


class Evaluated(Struct, frozen=True, kw_only=True):
    """What an evaluation found.

    Attributes:
        outcome: Of the gate; ``pass`` where there is none and no row or evaluator failed.
        text: The rules with their figures, as a table.
        decision: The gate's decision; None without a gate.
        comparison: All figures and comparisons.
        ref: The record, for ``pilothouse experiment show``.
        report: Path of the page.
        properties: Pairs for JUnit's properties.
        wants_body: Whether the test looks at this itself.
    """

    outcome: Outcome
    text: str
    decision: Decision | None
    comparison: ExperimentComparison
    ref: str
    report: str
    properties: tuple[tuple[str, str], ...] = ()
    wants_body: bool = False

    def __repr__(self) -> str:
        """Return it short: pytest prints it with every assertion that fails."""
        return f"<{self.ref}: {self.outcome}>"

    def figure(self, metric: str, variant: str | None = None) -> Estimate:
        """Return a metric of a variant (the baseline's, when none is named): value, interval and n.

        Raises:
            NotFound: there is no such metric or variant.
        """
        arms = {arm.variant.name: arm for arm in self.comparison.arms}
        judged = self.decision.variant if self.decision is not None else self.comparison.baseline
        name = variant or judged
        if name not in arms:
            raise NotFound(f"there is no variant '{name}'", expected=nearest_hint(name, arms))
        estimates = arms[name].estimates
        if metric not in estimates:
            raise NotFound(f"there is no metric '{metric}'", expected=nearest_hint(metric, estimates))
        return estimates[metric]

    def passed(self, metric: str) -> bool:
        """Return whether every rule of the gate that asks for a metric passes.

        Raises:
            NotFound: no rule asks for it.
        """
        rules = self.decision.rules if self.decision is not None else ()
        outcomes = [rule.outcome for rule in rules if rule.metric is not None and rule.metric.name == metric]
        if not outcomes:
            known = [rule.metric.name for rule in rules if rule.metric is not None]
            raise NotFound(f"no rule of the gate asks for '{metric}'", expected=nearest_hint(metric, known))
        return all(outcome == "pass" for outcome in outcomes)
