"""What a route's calls did in the last ten seconds: the measure of how many may be repeated."""

from __future__ import annotations

from typing import Final

SECONDS: Final = 10
FREE_RETRIES: Final = 10
"""Retries in ten seconds that are allowed however few the calls: a lone user's call is repeated, too."""


class CallWindow:
    """Counts of calls, retries and hedges over ten buckets of one second, for one route in one process."""

    __slots__ = ("_buckets", "_last", "_second", "calls", "hedges", "retries")

    def __init__(self) -> None:
        self.calls = 0
        self.retries = 0
        self.hedges = 0
        self._second = 0
        self._buckets = [[0, 0, 0] for _ in range(SECONDS)]
        self._last = self._buckets[0]

    def call(self, now: float) -> None:
        """Count a call that begins."""
        (self._last if int(now) == self._second else self._bucket(now))[0] += 1
        self.calls += 1

    def may_retry(self, now: float, budget: float) -> bool:
        """Tell whether one more retry stays within ``budget`` retries for each call, or the few that are free."""
        self._bucket(now)
        return budget > 0 and self.retries + 1 <= max(FREE_RETRIES, budget * self.calls)

    def retry(self, now: float) -> None:
        """Count a retry that begins."""
        self._bucket(now)[1] += 1
        self.retries += 1

    def may_hedge(self, now: float, share: float) -> bool:
        """Tell whether one more hedged call stays within ``share`` of the calls; one in ten seconds always does."""
        self._bucket(now)
        return share > 0 and self.hedges + 1 <= max(1.0, share * self.calls)

    def hedge(self, now: float) -> None:
        """Count a hedge that begins."""
        self._bucket(now)[2] += 1
        self.hedges += 1

    def _bucket(self, now: float) -> list[int]:
        second = int(now)
        if second != self._second:
            for old in range(max(self._second + 1, second - SECONDS + 1), second + 1):
                bucket = self._buckets[old % SECONDS]
                self.calls -= bucket[0]
                self.retries -= bucket[1]
                self.hedges -= bucket[2]
                bucket[0] = bucket[1] = bucket[2] = 0
            self._second = max(second, self._second)
            self._last = self._buckets[self._second % SECONDS]
        return self._last
