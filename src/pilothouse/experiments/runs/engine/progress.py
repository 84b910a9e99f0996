"""What is counted while rows end, and the glances shown of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from decimal import Decimal
from typing import Literal

from pilothouse.core.clock import Clock
from pilothouse.experiments.runs.journal import RowSums
from pilothouse.experiments.runs.types import NO_USAGE, Counts, Progress, RunRow, Totals
from pilothouse.models.types import Usage

Phase = Literal["rows", "stopping", "aggregation", "done"]

#: Seconds over which the rate is taken.
WINDOW = 10.0


class Tally:
    """Sums over rows, each of which is added once."""

    def __init__(self) -> None:
        self.completed = self.failed = self.missing = self.cached = 0
        self.usage = Usage()
        self.cached_usage = Usage()
        self.cost: Decimal | None = None
        self.cached_cost: Decimal | None = None
        self.unpriced = 0
        self.row_seconds = 0.0

    def add(self, rows: Iterable[RunRow | RowSums]) -> None:
        """Add rows."""
        for row in rows:
            if row.status == "completed":
                self.completed += 1
                self.cached += row.cached
            elif row.status == "failed":
                self.failed += 1
            else:
                self.missing += 1
            self.row_seconds += row.duration
            self.unpriced += row.unpriced
            if row.usage != NO_USAGE:
                self.usage += row.usage
            if row.cached_usage != NO_USAGE:
                self.cached_usage += row.cached_usage
            if row.cost is not None:
                self.cost = (self.cost or Decimal(0)) + row.cost
            if row.cached_cost is not None:
                self.cached_cost = (self.cached_cost or Decimal(0)) + row.cached_cost

    @property
    def done(self) -> int:
        """Rows that were added."""
        return self.completed + self.failed + self.missing

    def counts(self, total: int | None) -> Counts:
        """Return the rows by outcome; ``total`` is that of the whole run."""
        return Counts(
            total=total, completed=self.completed, failed=self.failed, missing=self.missing, cached=self.cached
        )

    def totals(self) -> Totals:
        """Return tokens, cost and time."""
        return Totals(
            usage=self.usage,
            cached_usage=self.cached_usage,
            cost=self.cost,
            cached_cost=self.cached_cost,
            unpriced=self.unpriced,
            row_seconds=self.row_seconds,
        )


class Meter:
    """Rates and remaining time of one attempt.

    Args:
        run: Name of the run.
        tally: Counts the rows, those of earlier attempts included.
        total: Rows of the whole run, where known.
        clock: Where the time comes from.
    """

    def __init__(self, run: str, tally: Tally, total: int | None, clock: Clock) -> None:
        self._run = run
        self._tally = tally
        self.total = total
        self._clock = clock
        self._began = clock.monotonic()
        self._past = deque([(self._began, tally.done, _tokens(tally))])
        self.in_flight = 0
        self.phase: Phase = "rows"

    def glance(self) -> Progress:
        """Return how things stand, at the rate of the last seconds."""
        now = self._clock.monotonic()
        done, tokens = self._tally.done, _tokens(self._tally)
        while len(self._past) > 1 and now - self._past[0][0] > WINDOW:
            self._past.popleft()
        since, done_then, tokens_then = self._past[0]
        self._past.append((now, done, tokens))
        seconds = max(now - since, 1e-9)
        rate = (done - done_then) / seconds
        left = None if self.total is None else max(self.total - done, 0)
        return Progress(
            run=self._run,
            counts=self._tally.counts(self.total),
            tokens=tokens,
            rows_per_second=rate,
            tokens_per_second=(tokens - tokens_then) / seconds,
            eta=left / rate if left is not None and rate > 0 else None,
            elapsed=now - self._began,
            in_flight=self.in_flight,
            phase=self.phase,
        )


def _tokens(tally: Tally) -> int:
    return tally.usage.input_tokens + tally.usage.output_tokens
