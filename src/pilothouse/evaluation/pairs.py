"""Two runs side by side: rows paired by id, and all that could not be paired."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pilothouse.core.errors import DataError
from pilothouse.evaluation.observations import Entry, Observations, clusters, observe
from pilothouse.evaluation.statistics.arrays import IntArray
from pilothouse.evaluation.types import Failures, Metric, ScoredRow


@dataclass(frozen=True, slots=True)
class Pairs:
    """Rows that both sides have a value for, in order of their ids.

    Attributes:
        baseline: (n,) entries.
        candidate: (n,) entries of the same rows.
        groups: (n,) cluster numbers; None when rows are independent.
        excluded: ``baseline``, ``candidate`` or ``both``, and why -> rows that both runs have and that did not enter.
        counted: The same for rows that entered as the worst value.
        unpaired: ``baseline``, ``candidate`` -> rows that only this run has.
    """

    baseline: list[Entry]
    candidate: list[Entry]
    groups: IntArray | None
    excluded: dict[str, int]
    counted: dict[str, int]
    unpaired: dict[str, int]

    @property
    def n(self) -> int:
        """Number of pairs."""
        return len(self.baseline)

    def answered(self) -> tuple[list[Entry], list[Entry]]:
        """Return the pairs with a readable answer on both sides."""
        both = zip(self.baseline, self.candidate, strict=True)
        kept = [(a, b) for a, b in both if a.reason is None and b.reason is None]
        return [a for a, _ in kept], [b for _, b in kept]


def pair(
    metric: Metric, baseline: Iterable[ScoredRow], candidate: Iterable[ScoredRow], failures: Failures = "worst"
) -> Pairs:
    """Pair the rows of two runs by their ids.

    Raises:
        DataError: when one run has two rows of one id, or a row's true label is not the same in both.
    """
    first, second = observe(metric, baseline, failures), observe(metric, candidate, failures)
    ids = sorted(first.entries.keys() & second.entries.keys())
    left, right = [first.entries[id_] for id_ in ids], [second.entries[id_] for id_ in ids]
    for id_, a, b in zip(ids, left, right, strict=True):
        if a.pair.truth != b.pair.truth:
            raise DataError(
                f"the row '{id_}' is truly '{a.pair.truth}' in the baseline and '{b.pair.truth}' in the candidate",
                expected="two runs over the same data",
            )
    all_first, all_second = _ids(first), _ids(second)
    only = {"baseline": len(all_first - all_second), "candidate": len(all_second - all_first)}
    both = all_first & all_second
    return Pairs(
        baseline=left,
        candidate=right,
        groups=clusters(left, ids),
        excluded=_by_side({i: first.left_out.get(i) for i in both}, {i: second.left_out.get(i) for i in both}),
        counted=_by_side(_reasons(ids, left), _reasons(ids, right)),
        unpaired={side: count for side, count in only.items() if count},
    )


def _ids(seen: Observations) -> set[str]:
    return seen.entries.keys() | seen.left_out.keys()


def _reasons(ids: Sequence[str], entries: Sequence[Entry]) -> dict[str, str | None]:
    return {id_: entry.reason for id_, entry in zip(ids, entries, strict=True)}


def _by_side(first: dict[str, str | None], second: dict[str, str | None]) -> dict[str, int]:
    """Return ``baseline failed`` and the like -> rows, each row once."""
    found: Counter[str] = Counter()
    for id_, one in first.items():
        two = second[id_]
        if one or two:
            side = "both" if one and two else "baseline" if one else "candidate"
            found[f"{side} {one or two}"] += 1
    return dict(sorted(found.items()))
