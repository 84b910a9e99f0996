"""What the metric that decides says of single rows: label, truth, value, right or wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest

from msgspec import Struct

from pilothouse.evaluation.columns import RowsById
from pilothouse.evaluation.observations import entry_of
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
    """All rows of one arm, by their ids in the evaluation; cheapest when asked for in the order of the rows.

    Args:
        metric: The primary metric.
        rows: The arm's scored rows.
    """

    def __init__(self, metric: Metric, rows: Sequence[ScoredRow]) -> None:
        self._metric = metric
        self._rows = RowsById(rows)

    def __getitem__(self, row_id: str) -> Judgement:
        """Return what is known of a row; of one that nobody judged, nothing."""
        row = self._rows.get(row_id)
        entry = "missing" if row is None else entry_of(self._metric, row)
        if isinstance(entry, str):
            return Judgement(failed=entry == "failed")
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

    def ids(self) -> Iterator[str]:
        """Yield the ids of all rows."""
        return iter(self._rows)


def disagreements(arms: Mapping[str, Judgements]) -> int:
    """Return how many rows the arms judge differently; a row that one of them lacks is one of them."""
    are_alike = all(len(set(ids)) == 1 for ids in zip_longest(*(judged.ids() for judged in arms.values())))
    several = list(arms.values())[: 1 if are_alike else None]
    ids = several[0].ids() if are_alike else dict.fromkeys(row_id for judged in several for row_id in judged.ids())
    return sum(len({judged[row_id].answer for judged in arms.values()}) > 1 for row_id in ids)
