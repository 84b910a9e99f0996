"""Glances at a run that another process is working on, read from its growing journal."""

from __future__ import annotations

from collections import deque

from pilothouse.core.clock import Clock
from pilothouse.experiments.runs.engine.progress import WINDOW
from pilothouse.experiments.runs.journal import Journal, RowIndex
from pilothouse.experiments.runs.types import Counts, Progress, Run


class Follower:
    """Reads only what is new at each glance. Tokens are not told: that would mean reading every row whole.

    Args:
        run: The run.
        journal: Its rows.
        clock: Where the time comes from.
    """

    def __init__(self, run: Run, journal: Journal, clock: Clock) -> None:
        self._run = run
        self._journal = journal
        self._clock = clock
        self._index = RowIndex(run.repeat)
        self._read = 0
        self._past: deque[tuple[float, int]] = deque()

    def glance(self) -> Progress:
        """Return how things stand, at the rate of the last seconds."""
        self._read = self._journal.extend(self._index, self._read)
        now, done, total = self._clock.monotonic(), len(self._index), self._run.counts.total
        self._past.append((now, done))
        while len(self._past) > 2 and now - self._past[0][0] > WINDOW:
            self._past.popleft()
        since, done_then = self._past[0]
        rate = (done - done_then) / max(now - since, 1e-9)
        return Progress(
            run=self._run.name,
            counts=Counts(
                total=total,
                completed=self._index.count("completed"),
                failed=self._index.count("failed"),
                missing=self._index.count("missing"),
            ),
            rows_per_second=rate,
            eta=(total - done) / rate if total is not None and rate > 0 else None,
            elapsed=(self._clock.now() - self._run.attempts[-1].started_at).total_seconds(),
            phase="rows" if done != total else "aggregation",
        )
