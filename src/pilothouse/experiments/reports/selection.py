"""Which rows a page shows: those that teach most, never more than it can carry, the rest counted."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from msgspec import Struct

from pilothouse.experiments.comparison import RowView

MOST_ROWS = 400
MOST_FAILURES = 200


class Failure(Struct, frozen=True, kw_only=True):
    """A row of one arm without an answer: the arm's position, the row, the node and what it said."""

    arm: int
    key: str
    node: str | None
    error: str


class Selection(Struct, frozen=True, kw_only=True):
    """Rows in the data's order, failures in the order met, and how many of each are not here."""

    rows: tuple[RowView, ...]
    hidden: int
    failures: tuple[Failure, ...]
    hidden_failures: int


def select(rows: Iterable[RowView], most: int = MOST_ROWS) -> Selection:
    """Return the rows to show in one pass and with flat memory: first those where arms disagree or fail."""
    kept: list[tuple[bool, int, RowView]] = []
    failures: list[Failure] = []
    total = failed = 0
    for place, row in enumerate(rows):
        total += 1
        missed = [
            (arm, answer) for arm, answer in enumerate(row.answers) if answer is not None and answer.error is not None
        ]
        failed += len(missed)
        for arm, answer in missed[: MOST_FAILURES - len(failures)]:
            failures.append(Failure(arm=arm, key=row.key, node=answer.error_node, error=answer.error or ""))
        # A heap whose smallest entry is the first to go: plain rows before telling ones, late before early.
        entry = (row.disagree or bool(missed), -place, row)
        if len(kept) < most:
            heapq.heappush(kept, entry)
        elif entry[:2] > kept[0][:2]:
            heapq.heapreplace(kept, entry)
    chosen = tuple(row for _, _, row in sorted(kept, key=lambda entry: -entry[1]))
    return Selection(
        rows=chosen,
        hidden=total - len(chosen),
        failures=tuple(failures),
        hidden_failures=failed - len(failures),
    )
