"""Calendar windows, in UTC: when the one that holds a moment begins and ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from pilothouse.gateway.settings import Period
from pilothouse.gateway.types import NANO

LENGTHS: Final[dict[Period, int]] = {
    "second": NANO,
    "minute": 60 * NANO,
    "hour": 3600 * NANO,
    "day": 86_400 * NANO,
    "week": 7 * 86_400 * NANO,
    "month": 30 * 86_400 * NANO,
}
"""Length of a rolling window in nanoseconds; a rolling month has thirty days. ``total`` never rolls."""

FOREVER: Final = 1 << 62
"""The end of the window ``total``, in the year 2116."""

_EVEN: Final = frozenset({"second", "minute", "hour", "day"})
_MONDAY: Final = 4 * 86_400 * NANO  # 1970 began on a Thursday: the first Monday came four days later


def window(period: Period, at_ns: int) -> tuple[int, int]:
    """Return begin and end of the calendar window that holds a moment, end not included.

    Args:
        period: A week begins on Monday (ISO 8601), a month on its first; ``total`` has no begin and no end.
        at_ns: Nanoseconds since 1970, UTC.
    """
    if period == "total":
        return 0, FOREVER
    if period == "month":
        return _month(at_ns)
    length = LENGTHS[period]
    begin = at_ns - (at_ns - (0 if period in _EVEN else _MONDAY)) % length
    return begin, begin + length


def _month(at_ns: int) -> tuple[int, int]:
    first = datetime.fromtimestamp(at_ns // NANO, UTC).replace(day=1, hour=0, minute=0, second=0)
    following = (first + timedelta(days=31)).replace(day=1)
    return int(first.timestamp()) * NANO, int(following.timestamp()) * NANO
