"""One arm against the baseline, looked at again and again: its differences go into a confidence sequence."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pilothouse.core.errors import ConfigError, DataError
from pilothouse.evaluation.observations import observe
from pilothouse.evaluation.sequential.types import ArmLooks, Look
from pilothouse.evaluation.statistics.sequential import AsymptoticSequence, BettingSequence, decide
from pilothouse.evaluation.types import Metric, ScoredRow

TIGHTEST = 500
"""Values at which an asymptotic sequence is tightest, unless there are fewer rows."""


def check_metric(metric: Metric, where: str | None = None) -> None:
    """Refuse a metric whose differences are no means over rows: no sequence here has a guarantee for it.

    Raises:
        ConfigError: naming what to do instead.
    """
    if metric.kind in {"rate", "mean"}:
        return
    raise ConfigError(
        f"'{metric.name}' is no mean over rows, so an experiment cannot stop early by it",
        where=where,
        expected="a rate such as accuracy, or a mean of scores",
        fix="name one with `primary:`, or remove `sequential`: all rows are compared once then",
    )


def sequence_of(metric: Metric, level: float, most: int) -> BettingSequence | AsymptoticSequence:
    """Return the confidence sequence for differences of a metric: exact where its values have bounds."""
    bounds = (0.0, 1.0) if metric.kind == "rate" else metric.bounds
    if bounds is None or not np.isfinite(bounds).all() or not bounds[1] > bounds[0]:
        return AsymptoticSequence(level, tightest=min(TIGHTEST, most))
    width = bounds[1] - bounds[0]
    return BettingSequence(level, (-width, width))


def differences(metric: Metric, baseline: Iterable[ScoredRow], candidate: Iterable[ScoredRow]) -> dict[str, float]:
    """Return unit -> candidate minus baseline on average over its rows, in the order of the candidate's rows.

    A unit is a cluster, or a row that is in none. One without a value on both sides is left out.
    """
    before, after = observe(metric, baseline).entries, observe(metric, candidate).entries
    found: dict[str, list[float]] = {}
    for id_, entry in after.items():
        other = before.get(id_)
        if other is not None:
            # The sign in front keeps a row apart from a cluster of the same name.
            unit = f"#{id_}" if entry.cluster is None else f"={entry.cluster}"
            found.setdefault(unit, []).append(entry.value - other.value)
    return {unit: sum(gaps) / len(gaps) for unit, gaps in found.items()}


class ArmWatch:
    """The looks at one arm.

    Args:
        arm: Its name.
        metric: What decides.
        level: Confidence over all looks.
        most: Units at most.
        margin: As in `Sequential`.
    """

    def __init__(self, arm: str, metric: Metric, level: float, most: int, margin: float | None) -> None:
        self.sequence = sequence_of(metric, level, most)
        self._arm = arm
        self.metric = metric
        self._margin = margin
        self._seen: set[str] = set()
        self._p: float | None = None
        self._looks: list[Look] = []

    @property
    def is_open(self) -> bool:
        """Whether more rows could tell more."""
        return not self._looks or self._looks[-1].decision == "open"

    @property
    def report(self) -> ArmLooks:
        """The looks so far."""
        return ArmLooks(arm=self._arm, looks=tuple(self._looks))

    def look(self, size: int, baseline: Iterable[ScoredRow], candidate: Iterable[ScoredRow]) -> Look:
        """Take in the rows that are new since the last look, and return what all of them say.

        Args:
            size: Units drawn so far.
            baseline: All rows of the baseline so far.
            candidate: All rows of the arm so far.

        Raises:
            DataError: a score lies outside of the bounds of its metric.
        """
        found = differences(self.metric, baseline, candidate)
        new = [gap for unit, gap in found.items() if unit not in self._seen]
        self._seen.update(found)
        try:
            self.sequence.add(np.array(new, dtype=np.float64))
        except ValueError as error:
            raise DataError(
                f"{self.metric.name} of {self._arm} or the baseline lies outside of its bounds: {error}",
                expected="scores within the bounds that the evaluator declares: what stops early rests on them",
            ) from error
        interval, p_value = self.sequence.interval(), self.sequence.p_value() if self.sequence.n else None
        if p_value is not None:
            # What was once ruled out stays so: the wealth may have been higher at an earlier look.
            self._p = p_value if self._p is None else min(self._p, p_value)
        made = Look(
            size=size,
            n=self.sequence.n,
            value=self.sequence.value,
            interval=interval,
            p_value=self._p,
            decision=decide(interval, margin=self._margin, better=self.metric.better),
        )
        self._looks.append(made)
        return made
