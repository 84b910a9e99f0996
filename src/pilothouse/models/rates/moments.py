"""Moments of prices: nanoseconds since 1970 (UTC) and days."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY: Final = 86_400_000_000_000


def moment(at_ns: int) -> datetime:
    """Return a moment as an aware time, cut to the microsecond."""
    return _EPOCH + timedelta(microseconds=at_ns // 1_000)


def moment_ns(at: datetime) -> int:
    """Return an aware time as nanoseconds since 1970."""
    return (at - _EPOCH) // timedelta(microseconds=1) * 1_000


def day_ns(day: date) -> int:
    """Return the begin of a day (UTC); days before 1970 begin with 1970."""
    return max(0, (day - _EPOCH.date()).days * _DAY)


def named_since(since_ns: int) -> str:
    """Return how a rate's id names its begin: a day, a minute, or ``always``."""
    if since_ns <= 0:
        return "always"
    return moment(since_ns).strftime("%Y-%m-%d" if since_ns % _DAY == 0 else "%Y-%m-%dT%H:%MZ")
