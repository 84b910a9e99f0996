"""Where spend will stand at the end of a window, with how sure one can be of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, variance
from typing import Final

from pilothouse.gateway.ledger.types import Forecast

_DAY: Final = 86_400_000_000_000
LEAST_DAYS: Final = 7
_METHOD: Final = (
    "mean of the whole past days; prediction interval by Student's t, in which a day of the rest is drawn like a past "
    "one and the mean itself is uncertain"
)

# Two-sided 90 % quantiles of Student's t by degrees of freedom; beyond the table the next smaller entry holds.
_T: Final = {
    6: 1.9432,
    7: 1.8946,
    8: 1.8595,
    9: 1.8331,
    10: 1.8125,
    12: 1.7823,
    14: 1.7613,
    16: 1.7459,
    20: 1.7247,
    25: 1.7081,
    30: 1.6973,
    40: 1.6839,
    60: 1.6706,
    120: 1.6577,
    1_000: 1.6464,
}
LEVEL: Final = 0.9


def forecast(spent: int, days: Sequence[int], *, now_ns: int, end_ns: int, budget: int | None = None) -> Forecast:
    """Return what a window will come to.

    Args:
        spent: Nano-dollars in the window until now.
        days: Nano-dollars of each whole past day, days without calls as 0; at least seven.
        now_ns: Now.
        end_ns: The window's end.
        budget: Nano-dollars that the window may cost; to tell when they will be used up.
    """
    if len(days) < LEAST_DAYS:
        return Forecast(
            spent=spent,
            expected=None,
            low=None,
            high=None,
            level=LEVEL,
            days=len(days),
            method=_METHOD,
            note=f"inconclusive: {len(days)} whole days of spend are known, {LEAST_DAYS} are needed",
        )
    left = max(0, end_ns - now_ns) / _DAY
    mean, spread = fmean(days), variance(days)
    half = _quantile(len(days) - 1) * math.sqrt(spread * (left + left * left / len(days)))
    more = mean * left
    return Forecast(
        spent=spent,
        expected=spent + round(more),
        low=spent + max(0, round(more - half)),
        high=spent + round(more + half),
        level=LEVEL,
        days=len(days),
        method=_METHOD,
        note=_note(days),
        exhausted_ns=_exhausted(spent, mean, now_ns, end_ns, budget),
    )


def _quantile(freedom: int) -> float:
    return _T[max(known for known in _T if known <= freedom)]


def _note(days: Sequence[int]) -> str:
    half = len(days) // 2
    earlier, later = fmean(days[:half]), fmean(days[half:])
    pooled = math.sqrt((variance(days[:half]) / half) + variance(days[half:]) / (len(days) - half))
    if abs(later - earlier) > 3 * pooled and later != earlier:
        return "the later days differ from the earlier ones by more than chance: spend has a trend this does not follow"
    return ""


def _exhausted(spent: int, mean: float, now_ns: int, end_ns: int, budget: int | None) -> int | None:
    if budget is None:
        return None
    if spent >= budget:
        return now_ns
    if mean <= 0:
        return None
    at = now_ns + math.ceil((budget - spent) / mean * _DAY)
    return at if at < end_ns else None
