"""Limits of one configuration over counters that several processes share: one round trip for each verb."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Literal, cast

import msgspec

from pilothouse.gateway.limits.meters import SOON
from pilothouse.gateway.limits.opening import SpendHistory, balances
from pilothouse.gateway.limits.refusing import Lack, check_price, refusal
from pilothouse.gateway.limits.rules import Matcher, OnWarning, Plan, bind
from pilothouse.gateway.limits.shared.link import Argument, Unavailable, Unknown
from pilothouse.gateway.limits.shared.reservation import SharedReservation
from pilothouse.gateway.limits.shared.script import Packed, pack, ticks, wire
from pilothouse.gateway.limits.shared.state import SharedState, pieces
from pilothouse.gateway.limits.types import Applied, Ask, LimitState, Reservation
from pilothouse.gateway.limits.windows import window
from pilothouse.gateway.refusals import Refusal
from pilothouse.gateway.settings import LimitRule
from pilothouse.gateway.types import NANO, Tenant

_MICRO: Final = 1_000_000
_AMOUNTS: Final = 1 << 52
_GATHERING: Final = 2
_UNOPENED: Final = 3


class SharedLimiter:
    """See `Limiter`.

    Attributes:
        unchecked: Calls that passed because the counters could not be reached and all their rules are in shadow mode.

    Args:
        rules: The configuration's.
        state: This worker's part.
        history: The ledger; None where there is none: windows then begin empty.
        key_names: Id to name of each key, for rules that match a key's name.
        unpriced: Whether a call whose price is unknown may pass a money limit.
        on_warning: Told once in a window, by one of all workers.
        now: Nanoseconds since 1970, for calendar windows at the start.
    """

    def __init__(
        self,
        rules: Iterable[LimitRule],
        state: SharedState,
        *,
        history: SpendHistory | None = None,
        key_names: Callable[[], Mapping[str, str]] = dict,
        unpriced: Literal["refuse", "pass"] = "refuse",
        on_warning: OnWarning | None = None,
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        self.unchecked = 0
        self._matcher = Matcher(rules)
        for rule in self._matcher.rules:
            ticks(rule)
        self._state = state
        self._history = history
        self._key_names = key_names
        self._unpriced = unpriced
        self._on_warning = on_warning
        self._now = now
        self._packed: dict[int, tuple[Plan, Packed]] = {}

    async def start(self, patience: float = 30.0) -> bool:
        """Join the other workers and tell the opening balances; False where that took longer than ``patience`` s."""
        self._state.start()
        done = asyncio.Event()

        async def opening() -> None:
            await self.open()
            done.set()

        self._state.want(opening)
        try:
            await asyncio.wait_for(done.wait(), patience)
        except TimeoutError:
            return False
        return True

    def applied(self, tenant: Tenant, key_name: str, route: str) -> Applied | None:
        """Return what holds for a caller; None for no limit at all."""
        plan = self._matcher.plan(tenant, key_name, route)
        return None if plan is None else plan.applied

    async def reserve(self, ask: Ask) -> SharedReservation:
        """Set aside what a call may use, under all its rules or none; see `Limiter.reserve`."""
        plan = self._matcher.plan(ask.tenant, ask.key_name, ask.route)
        if plan is None:
            return SharedReservation(ask, None)
        if ask.cost is None and self._unpriced == "refuse":
            check_price(plan, ask.route)
        state = self._state
        packed = self._pack(plan, ask.at_ns)
        arguments = (ask.call_id, min(ask.tokens, _AMOUNTS), min(ask.cost or 0, _AMOUNTS), packed.blob)
        try:
            reply = await state.run("reserve", *arguments)
        except Unknown:
            return self._unavailable(ask, plan)
        except Unavailable:
            state.void(ask.call_id)
            return self._unavailable(ask, plan)
        except asyncio.CancelledError:
            state.void(ask.call_id)
            raise
        if reply[0] == 1:
            reservation = SharedReservation(ask, packed, self._warnings(plan, reply))
            state.held[ask.call_id] = reservation
            state.saw(packed, ((facts[2], facts[4]) for facts in pieces(reply, 1, 5)))
            return reservation
        if reply[0] == 0:
            raise refusal([_lack(plan, packed, ask, facts) for facts in pieces(reply, 1, 4)])
        if reply[1] == _UNOPENED:
            state.want(self.open)
        return self._unavailable(ask, plan, reply[2] / 1000 if reply[1] == _GATHERING else SOON)

    async def extend(self, reservation: Reservation, *, tokens: int, cost: int) -> bool:
        """Set more aside, under all rules or none; while an epoch begins it waits for it."""
        held = cast("SharedReservation", reservation)
        if held.packed is None or not held.open:
            return held.open
        deadline = time.monotonic() + self._state.lease_ms / 1000
        while time.monotonic() < deadline:
            try:
                reply = await self._state.run("extend", held.call_id, min(tokens, _AMOUNTS), min(cost, _AMOUNTS))
            except Unavailable:
                return False
            except Unknown:
                reply = (-1, _GATHERING, 20)
            if reply[0] == 1:
                held.tokens += tokens
                held.cost += cost
            if reply[0] != -1:
                return reply[0] == 1
            await asyncio.sleep(reply[2] / 1000)
        return False

    async def settle(self, reservation: Reservation, *, tokens: int, cost: int | None) -> None:
        """Replace what was set aside by what was used; told later where it cannot be told now."""
        held = cast("SharedReservation", reservation)
        if not held.open:
            return
        held.open = False
        if held.packed is not None:
            await self._state.settle(
                held, max(0, min(tokens, _AMOUNTS)), -1 if cost is None else max(0, min(cost, _AMOUNTS))
            )

    async def open(self) -> None:
        """Tell the opening balances of all calendar windows, so that calls may be reserved in them.

        Raises:
            Unavailable: No answer.
            Unknown: The epoch is over, or is only beginning.
        """
        at_ns = self._now()
        rules = [rule for rule in self._matcher.rules if rule.kind == "tally" and rule.period is not None]
        told: list[Argument] = []
        for rule in rules:
            begin = window(rule.period or "total", at_ns)[0]
            told += (rule.identity, begin // _MICRO)
        await self._told("open", "")  # before the ledger is read, all workers must have joined
        history = self._history
        found = {} if history is None else await asyncio.to_thread(balances, rules, history, at_ns, self._key_names())
        batch: list[Argument] = []
        for (bound, _), balance in found.items():
            batch += (msgspec.msgpack.encode(wire(bound, at_ns)), min(balance, _AMOUNTS))
        for at in range(0, len(batch), 600):
            await self._told("open", "", *batch[at : at + 600])
        await self._told("open", *told, "")

    async def usage(self) -> list[LimitState]:
        """Return every count of this configuration's rules that is not zero.

        Raises:
            Refusal: ``limits_unavailable``.
        """
        rules = {rule.identity: rule for rule in self._matcher.rules}
        at_ns = self._now()
        try:
            counters = await self._state.link.counters(self._state.epoch)
        except Unavailable as error:
            raise _refused(SOON) from error
        states: list[LimitState] = []
        for key, fields in counters:
            identity, _, rest = key.partition("=")
            value, _, _ = rest.partition("@")
            rule = rules.get(identity)
            if rule is None:
                continue
            now_wire = wire(bind(rule, value), at_ns)
            if now_wire.key != key:
                continue
            used, held = int(fields[b"value"]), int(fields[b"held"])
            if rule.kind == "pace":
                length = int(fields[b"length"])
                leaked = rule.limit * max(0, (at_ns // 1000 - int(fields[b"at"])) // now_wire.tick)
                used = -(-max(0, used - leaked) // length)
            if used or held:
                states.append(
                    LimitState(
                        rule=rule.name,
                        resource=rule.resource,
                        value=value,
                        used=used,
                        held=held,
                        limit=rule.limit,
                        ends_ns=now_wire.ends * _MICRO or None,
                        enforced=rule.enforce,
                    )
                )
        return states

    async def _told(self, verb: str, *arguments: Argument) -> None:
        reply = await self._state.run(verb, *arguments)
        if reply[0] == -1:
            await asyncio.sleep(min(reply[2], 200) / 1000)
            raise Unknown

    def _pack(self, plan: Plan, at_ns: int) -> Packed:
        known = self._packed.get(id(plan))
        if known is not None and known[0] is plan and known[1].since_ns <= at_ns < known[1].until_ns:
            return known[1]
        if len(self._packed) > 65_536:
            self._packed.clear()
        packed = pack(plan, at_ns)
        self._packed[id(plan)] = (plan, packed)
        return packed

    def _unavailable(self, ask: Ask, plan: Plan, retry_after: float = SOON) -> SharedReservation:
        if plan.enforced:
            raise _refused(retry_after)
        self.unchecked += 1
        return SharedReservation(ask, None)

    def _warnings(self, plan: Plan, reply: Sequence[int]) -> tuple[str, ...]:
        warnings: list[str] = []
        for bound, (fit, warns, value, held, _) in zip(plan.bounds, pieces(reply, 1, 5), strict=True):
            rule = bound.rule
            if (not fit or warns) and rule.name not in warnings:
                warnings.append(rule.name)
            if warns == 2 and self._on_warning is not None:
                used = -(-value * ticks(rule) * 1000 // rule.length) if rule.kind == "pace" else value
                self._on_warning(rule, bound.value, used + held, rule.limit)
        return tuple(warnings)


def _refused(retry_after: float) -> Refusal:
    return Refusal(
        "limits_unavailable",
        "The counters of limits and budgets cannot be reached, so no call that they limit may pass. Try again soon.",
        retry_after=max(retry_after, 0.001),
    )


def _lack(plan: Plan, packed: Packed, ask: Ask, facts: Sequence[int]) -> Lack:
    index, value, held, wait = facts
    bound, sent = plan.bounds[index - 1], packed.wires[index - 1]
    rule = bound.rule
    seconds: float | None
    if wait == -2:
        seconds = (sent.ends * _MICRO - ask.at_ns) / NANO if sent.ends else None
    else:
        seconds = {-1: None, -3: SOON}.get(wait, wait / _MICRO)
    amount = ask.tokens if rule.resource == "tokens" else (ask.cost or 0) if rule.resource == "dollars" else 1
    used = -(-value // sent.length) if rule.kind == "pace" else value
    return Lack(bound=bound, amount=amount, used=used, held=held, wait=seconds)
