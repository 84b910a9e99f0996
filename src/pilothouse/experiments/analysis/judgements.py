"""What the metric that decides says of single rows: label, truth, value, right or wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from pilothouse.evaluation.observations import Observations, observe
from pilothouse.evaluation.types import Metric, ScoredRow


class Judgement(Struct, frozen=True, kw_only=True):
    """One row of one arm in the primary metric.

    Attributes:
        label: The predicted label, where labels are judged and one was given.
        truth: The true label, where labels are judged.
        value: What enters the metric; None when nothing does.
        right: Whether a right-or-wrong metric calls it right; None for other metrics.
        failed: Whether the row had no answer to judge.
    """

    label: str | None = None
    truth: str | None = None
    value: float | None = None
    right: bool | None = None
    failed: bool = False

    @property
    def answer(self) -> tuple[str | None, float | None] | None:
        """What two arms share when they agree; None when the row failed."""
        return None if self.failed else (self.label, self.value)


class Judgements:
    """All rows of one arm, by their ids in the evaluation.

    Args:
        metric: The primary metric.
        rows: The arm's scored rows.
    """

    def __init__(self, metric: Metric, rows: Sequence[ScoredRow]) -> None:
        self._metric = metric
        self._seen: Observations = observe(metric, rows)

    def __getitem__(self, row_id: str) -> Judgement:
        """Return what is known of a row; of one that nobody judged, nothing."""
        entry = self._seen.entries.get(row_id)
        if entry is None:
            return Judgement(failed=self._seen.left_out.get(row_id) == "failed")
        labelled = entry.pair.truth != ""
        decides = labelled or self._metric.kind == "rate"
        best = 0.0 if self._metric.better == "lower" else 1.0
        return Judgement(
            label=entry.pair.prediction if labelled else None,
            truth=entry.pair.truth if labelled else None,
            value=entry.value,
            right=entry.value == best if decides else None,
            failed=entry.reason == "failed",
        )

    def ids(self) -> list[str]:
        """Return the ids of all rows, those that entered the metric first."""
        return [*self._seen.entries, *self._seen.left_out]


def disagreements(arms: Mapping[str, Judgements]) -> int:
    """Return how many rows the arms judge differently; a row that one of them lacks is one of them."""
    ids = dict.fromkeys(row_id for judged in arms.values() for row_id in judged.ids())
    return sum(len({judged[row_id].answer for judged in arms.values()}) > 1 for row_id in ids)
