"""Limits within one process: nothing is awaited, so that every verb is one step that nothing comes between."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal, cast

from pilothouse.gateway.limits.meters import Meter, Tally, new_meter
from pilothouse.gateway.limits.refusing import Lack, check_price, refusal
from pilothouse.gateway.limits.rules import Bound, Matcher, OnWarning, Rule
from pilothouse.gateway.limits.types import Applied, Ask, LimitState, Reservation
from pilothouse.gateway.limits.windows import FOREVER
from pilothouse.gateway.settings import LimitRule
from pilothouse.gateway.types import Tenant

_SWEEP: Final = 16_384


class LimiterState:
    """What has been counted: outlives the limiters over it, each of which is one configuration's rules.

    Attributes:
        meters: By key, the rule as it holds for one caller, and its count.
        open_calls: Calls that have something set aside.
    """

    def __init__(self) -> None:
        self.open_calls = 0
        self.meters: dict[str, tuple[Bound, Meter]] = {}
        self._opening: dict[tuple[str, int], int] = {}
        self._sweep_at = _SWEEP

    def open(self, balances: Mapping[tuple[str, int], int]) -> None:
        """Take over what had been used of calendar windows, as `opening_balances` gives it."""
        self._opening.update(balances)
        for (key, begin), balance in balances.items():
            _, meter = self.meters.get(key, (None, None))
            if isinstance(meter, Tally) and meter.begin == begin:
                meter.open(balance)

    def meter(self, bound: Bound, at_ns: int) -> Meter:
        """Return the counter of a rule for one caller: of the calendar window a call came in, or a later one."""
        known = self.meters.get(bound.key)
        if known is not None:
            meter = known[1]
            if not (isinstance(meter, Tally) and at_ns >= meter.end):
                return meter
        elif len(self.meters) >= self._sweep_at:
            self._sweep(at_ns)
        meter = new_meter(bound, at_ns, self._opening)
        self.meters[bound.key] = (bound, meter)
        return meter

    def _sweep(self, now: int) -> None:
        """Forget the counters that stand where new ones would."""
        self.meters = {key: item for key, item in self.meters.items() if not item[1].idle(now)}
        self._sweep_at = max(_SWEEP, 2 * len(self.meters))


class MemoryReservation:
    """What was set aside for one call.

    Attributes:
        call_id: The call's id.
        tokens: Set aside, extensions included.
        cost: Set aside in nano-dollars, extensions included.
        warnings: Names of rules that are nearly used up, or would refuse.
        open: Whether it is still to be settled.
    """

    __slots__ = ("call_id", "cost", "holds", "open", "tokens", "warnings")

    def __init__(self, ask: Ask, holds: list[tuple[Bound, Meter]], warnings: tuple[str, ...]) -> None:
        self.call_id = ask.call_id
        self.tokens = ask.tokens
        self.cost = ask.cost or 0
        self.warnings = warnings
        self.holds = holds
        self.open = True


class MemoryLimiter:
    """Limits of one configuration over the counts of one process; see `Limiter`."""

    def __init__(
        self,
        rules: Iterable[LimitRule],
        state: LimiterState,
        *,
        unpriced: Literal["refuse", "pass"] = "refuse",
        on_warning: OnWarning | None = None,
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        self._matcher = Matcher(rules)
        self._state = state
        self._unpriced = unpriced
        self._on_warning = on_warning
        self._now = now

    def applied(self, tenant: Tenant, key_name: str, route: str) -> Applied | None:
        """Return what holds for a caller; None for no limit at all."""
        plan = self._matcher.plan(tenant, key_name, route)
        return None if plan is None else plan.applied

    async def reserve(self, ask: Ask) -> MemoryReservation:
        """Set aside what a call may use, under all its rules or none; see `Limiter.reserve`."""
        plan = self._matcher.plan(ask.tenant, ask.key_name, ask.route)
        if plan is None:
            return MemoryReservation(ask, [], ())
        now = self._now()
        cost = ask.cost
        if cost is None:
            if self._unpriced == "refuse":
                check_price(plan, ask.route)
            cost = 0
        meter_of, at_ns, tokens = self._state.meter, ask.at_ns, ask.tokens
        holds: list[tuple[Bound, Meter]] = []
        lacks: list[Lack] | None = None
        warnings: list[str] | None = None
        for bound in plan.bounds:
            rule = bound.rule
            resource = rule.resource
            amount = tokens if resource == "tokens" else cost if resource == "dollars" else 1
            meter = meter_of(bound, at_ns)
            holds.append((bound, meter))
            if meter.fits(rule, now, amount):
                continue
            if rule.enforce:
                lacks = lacks or []
                lacks.append(_lack(bound, meter, now, amount))
            else:
                warnings = warnings or []
                warnings.append(rule.name)
        if lacks is not None:
            raise refusal(lacks)
        for bound, meter in holds:
            rule = bound.rule
            resource = rule.resource
            if resource == "requests":
                meter.settle(rule, now, 0, 1)
            else:
                meter.hold(rule, now, tokens if resource == "tokens" else cost if resource == "dollars" else 1)
            reached = meter.used(rule, now) + meter.held
            if reached >= rule.warn_at:
                warnings = self._warn(bound, meter, now, reached, warnings)
        self._state.open_calls += 1
        return MemoryReservation(ask, holds, () if warnings is None else tuple(warnings))

    async def extend(self, reservation: Reservation, *, tokens: int, cost: int) -> bool:
        """Set more aside, under all rules or none; False for a settled reservation too."""
        held = cast("MemoryReservation", reservation)
        if not held.open:
            return False
        now = self._now()
        for bound, meter in held.holds:
            amount = _more(bound.rule, tokens, cost)
            if amount and bound.rule.enforce and not meter.fits(bound.rule, now, amount):
                return False
        for bound, meter in held.holds:
            amount = _more(bound.rule, tokens, cost)
            if amount:
                meter.hold(bound.rule, now, amount)
        held.tokens += tokens
        held.cost += cost
        return True

    async def settle(self, reservation: Reservation, *, tokens: int, cost: int | None) -> None:
        """Replace what was set aside by what was used; a second time does nothing."""
        held = cast("MemoryReservation", reservation)
        if not held.open:
            return
        held.open = False
        if held.holds:
            self._state.open_calls -= 1
        now = self._now()
        spent = held.cost if cost is None else cost
        for bound, meter in held.holds:
            rule = bound.rule
            resource = rule.resource
            if resource == "tokens":
                meter.settle(rule, now, held.tokens, tokens)
            elif resource == "dollars":
                meter.settle(rule, now, held.cost, spent)
            elif resource == "concurrency":
                meter.settle(rule, now, 1, 0)

    async def usage(self) -> list[LimitState]:
        """Return every count of this configuration's rules that is not zero."""
        now = self._now()
        rules = {rule.identity: rule for rule in self._matcher.rules}
        states: list[LimitState] = []
        for bound, meter in list(self._state.meters.values()):  # another thread may ask
            rule = rules.get(bound.rule.identity)
            if rule is None or meter.idle(now):
                continue
            state = _state(rule, bound.value, meter, now)
            if state.used or state.held:
                states.append(state)
        return states

    def _warn(self, bound: Bound, meter: Meter, now: int, reached: int, warnings: list[str] | None) -> list[str]:
        rule = bound.rule
        warnings = warnings or []
        if rule.name not in warnings:
            warnings.append(rule.name)
        if now >= meter.warned_until:
            meter.warned(rule, now)
            if self._on_warning is not None:
                self._on_warning(rule, bound.value, reached, rule.limit)
        return warnings


def _more(rule: Rule, tokens: int, cost: int) -> int:
    return tokens if rule.resource == "tokens" else cost if rule.resource == "dollars" else 0


def _lack(bound: Bound, meter: Meter, now: int, amount: int) -> Lack:
    rule = bound.rule
    return Lack(
        bound=bound,
        amount=amount,
        used=meter.used(rule, now),
        held=meter.held,
        wait=meter.wait(rule, now, amount),
    )


def _state(rule: Rule, value: str, meter: Meter, now: int) -> LimitState:
    return LimitState(
        rule=rule.name,
        resource=rule.resource,
        value=value,
        used=meter.used(rule, now),
        held=meter.held,
        limit=rule.limit,
        ends_ns=meter.end if isinstance(meter, Tally) and meter.end != FOREVER else None,
        enforced=rule.enforce,
    )
