"""What is counted in one process: three kinds of counters, exact in whole numbers, with the time given to them.

All know the same verbs: ``fits`` (may so much more be set aside), ``wait`` (if not, how long until it may), ``hold``
(set aside), ``settle`` (replace what was set aside by what was used). What is used and what is set aside count alike.
"""

from __future__ import annotations

from typing import Final, Protocol

from pilothouse.gateway.limits.rules import Bound, Rule
from pilothouse.gateway.limits.windows import FOREVER, window
from pilothouse.gateway.types import NANO

SOON: Final = 1.0
"""Seconds to wait where only calls in flight stand in the way: nobody knows when they end."""


class Meter(Protocol):
    """One counter.

    Attributes:
        warned_until: No warning is told before this moment.
    """

    warned_until: int

    def fits(self, rule: Rule, now: int, amount: int) -> bool:
        """Whether so much more may be set aside."""
        ...

    def wait(self, rule: Rule, now: int, amount: int) -> float | None:
        """Seconds until it may, given that it may not now; None for never."""
        ...

    def hold(self, rule: Rule, now: int, amount: int) -> None:
        """Set so much more aside."""
        ...

    def settle(self, rule: Rule, now: int, held: int, used: int) -> None:
        """Replace what was set aside by what was used."""
        ...

    def used(self, rule: Rule, now: int) -> int:
        """What counts as used now, rounded up."""
        ...

    def idle(self, now: int) -> bool:
        """Whether forgetting it changes nothing."""
        ...

    @property
    def held(self) -> int:
        """What is set aside now."""
        ...

    def warned(self, rule: Rule, now: int) -> None:
        """Tell no warning again in this window."""
        ...


class Pace:
    """A rolling limit as a leaky bucket (GCRA): it holds a window's worth and empties evenly within a window.

    The level is counted in parts: one call or token is as many parts as the window has nanoseconds, so that what
    leaks in a nanosecond, `limit` parts, is whole. What is set aside does not leak: it is added to the level when it
    is used. Were it charged at once and given back later, a long call could give back what had leaked long ago.
    """

    __slots__ = ("_at", "_level", "_rate", "held", "warned_until")

    def __init__(self) -> None:
        self.held = 0
        self.warned_until = 0
        self._level = 0
        self._rate = 1
        self._at = 0

    def fits(self, rule: Rule, now: int, amount: int) -> bool:
        """Whether level, what is set aside and this fit the window."""
        self._leak(rule.limit, now)
        return self._level + (self.held + amount) * rule.length <= rule.limit * rule.length

    def wait(self, rule: Rule, now: int, amount: int) -> float | None:
        """Seconds until enough has leaked; None for more than fits at all."""
        if amount > rule.limit:
            return None
        self._leak(rule.limit, now)
        excess = self._level + (self.held + amount - rule.limit) * rule.length
        if excess > self._level:
            return max(SOON, -(-self._level // rule.limit) / NANO)
        return -(-excess // rule.limit) / NANO

    def hold(self, rule: Rule, now: int, amount: int) -> None:
        """Set so much more aside."""
        self.held += amount

    def settle(self, rule: Rule, now: int, held: int, used: int) -> None:
        """Add what was used to the level; more than was set aside is a debt that leaks like the rest."""
        self._leak(rule.limit, now)
        self.held -= held
        self._level += used * rule.length

    def used(self, rule: Rule, now: int) -> int:
        """The level in calls or tokens, rounded up."""
        self._leak(rule.limit, now)
        return -(-self._level // rule.length)

    def idle(self, now: int) -> bool:
        """Whether it is empty."""
        return not self.held and self._level <= self._rate * (now - self._at)

    def warned(self, rule: Rule, now: int) -> None:
        """Tell no warning again for the length of the window."""
        self.warned_until = now + rule.length

    def _leak(self, rate: int, now: int) -> None:
        passed = now - self._at
        if passed > 0:
            left = self._level - rate * passed
            self._level = max(left, 0)
            self._at = now
        self._rate = rate


class Tally:
    """A calendar window: what was used and set aside in it. A call belongs to the window it came in."""

    __slots__ = ("_used", "begin", "end", "held", "warned_until")

    def __init__(self, begin: int, end: int, opening: int = 0) -> None:
        self.begin = begin
        self.end = end
        self.held = 0
        self.warned_until = 0
        self._used = opening

    def fits(self, rule: Rule, now: int, amount: int) -> bool:
        """Whether used, set aside and this are within the limit."""
        return self._used + self.held + amount <= rule.limit

    def wait(self, rule: Rule, now: int, amount: int) -> float | None:
        """Seconds until the window ends; None for more than a whole window allows, or for a window without end."""
        if amount > rule.limit:
            return None
        if self._used + amount <= rule.limit:
            return SOON
        return None if self.end == FOREVER else max(self.end - now, 0) / NANO

    def hold(self, rule: Rule, now: int, amount: int) -> None:
        """Set so much more aside."""
        self.held += amount

    def settle(self, rule: Rule, now: int, held: int, used: int) -> None:
        """Add what was used, also beyond what was set aside."""
        self.held -= held
        self._used += used

    def used(self, rule: Rule, now: int) -> int:
        """What was used in the window."""
        return self._used

    def idle(self, now: int) -> bool:
        """Whether its window is over: what is still to be settled in it is of no account any more."""
        return now >= self.end

    def warned(self, rule: Rule, now: int) -> None:
        """Tell no warning again in this window."""
        self.warned_until = self.end

    def open(self, balance: int) -> None:
        """Take over what had been used before; what is counted here is never less than was counted already."""
        self._used = max(self._used, balance)


class Count:
    """Calls at once."""

    __slots__ = ("held", "warned_until")

    def __init__(self) -> None:
        self.held = 0
        self.warned_until = 0

    def fits(self, rule: Rule, now: int, amount: int) -> bool:
        """Whether one more may run."""
        return self.held + amount <= rule.limit

    def wait(self, rule: Rule, now: int, amount: int) -> float | None:
        """A guess: a call may end at any moment."""
        return SOON

    def hold(self, rule: Rule, now: int, amount: int) -> None:
        """One more runs."""
        self.held += amount

    def settle(self, rule: Rule, now: int, held: int, used: int) -> None:
        """It has ended; below the warning share the next crossing is told again."""
        self.held -= held
        if self.held < rule.warn_at:
            self.warned_until = 0

    def used(self, rule: Rule, now: int) -> int:
        """Nothing is used up."""
        return 0

    def idle(self, now: int) -> bool:
        """Whether no call runs."""
        return not self.held

    def warned(self, rule: Rule, now: int) -> None:
        """Tell no warning again until fewer run."""
        self.warned_until = FOREVER


def new_meter(bound: Bound, at_ns: int, opening: dict[tuple[str, int], int]) -> Meter:
    """Return an empty meter, or one with the opening balance of its window."""
    rule = bound.rule
    if rule.kind == "pace":
        return Pace()
    if rule.kind == "count" or rule.period is None:
        return Count()
    begin, end = window(rule.period, at_ns)
    return Tally(begin, end, opening.get((bound.key, begin), 0))
