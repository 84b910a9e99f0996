"""Limits within a process: exact to the last unit and the last nanosecond."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pilothouse.gateway.limits.memory import LimiterState, MemoryLimiter
from pilothouse.gateway.limits.opening import Spend, opening_balances
from pilothouse.gateway.refusals import Refusal
from pilothouse.gateway.settings import LimitRule
from pilothouse.gateway.types import NANO, Tenant

from .conftest import ACME, Hand

OTHER = Tenant(key="k2", organisation="acme", team="ops", user="ann")


def limiter(hand: Hand, *rules: LimitRule, state: LimiterState | None = None, **more: Any) -> MemoryLimiter:
    return MemoryLimiter(rules, state or LimiterState(), now=hand, **more)


async def refused(coroutine: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await coroutine
    return caught.value


def run(coroutine: Any) -> Any:
    return asyncio.run(coroutine)


@pytest.mark.parametrize("limit", [1, 3, 7, 60, 999])
def test_exactly_so_many_requests_pass_at_once_and_the_next_when_told(hand: Hand, ask: Any, limit: int) -> None:
    async def scene() -> None:
        it = limiter(hand, LimitRule(requests=limit, per="minute"))
        for _ in range(limit):
            await it.reserve(ask())
        error = await refused(it.reserve(ask()))
        assert error.code == "rate_limit_exceeded"
        assert error.retry_after is not None
        wait = -(-60 * NANO // limit)
        assert round(error.retry_after * NANO) == wait
        hand.at += wait - 1
        await refused(it.reserve(ask()))
        hand.at += 1
        await it.reserve(ask())

    run(scene())


def test_tokens_are_given_back_and_debts_are_paid(hand: Hand, ask: Any) -> None:
    async def scene() -> None:
        it = limiter(hand, LimitRule(tokens=1000, per="minute"))
        held = await it.reserve(ask(tokens=900))
        assert (await refused(it.reserve(ask(tokens=101)))).retry_after == 1.0
        await it.settle(held, tokens=100, cost=0)
        big = await it.reserve(ask(tokens=900))
        await it.settle(big, tokens=1500, cost=0)
        await it.settle(big, tokens=1500, cost=0)
        error = await refused(it.reserve(ask(tokens=1)))
        assert error.retry_after == pytest.approx(60 * 601 / 1000)
        hand.pass_(36.06)
        await it.reserve(ask(tokens=1))

    run(scene())


def test_a_long_call_does_not_give_back_what_has_leaked_meanwhile(hand: Hand, ask: Any) -> None:
    async def scene() -> None:
        it = limiter(hand, LimitRule(tokens=1000, per="minute"))
        long = await it.reserve(ask(tokens=400))
        hand.pass_(600)
        short = await it.reserve(ask(tokens=600))
        await it.settle(short, tokens=600, cost=0)
        await it.settle(long, tokens=0, cost=0)
        await it.reserve(ask(tokens=400))
        await refused(it.reserve(ask(tokens=1)))

    run(scene())


def test_more_than_the_window_holds_is_refused_for_good(hand: Hand, ask: Any) -> None:
    async def scene() -> None:
        it = limiter(hand, LimitRule(tokens=1000, per="minute"))
        error = await refused(it.reserve(ask(tokens=1001)))
        assert error.retry_after is None
        assert "fewer" in error.message

    run(scene())


def test_money_waits_for_the_end_of_the_calendar_window(hand: Hand, ask: Any) -> None:
    async def scene() -> None:
        it = limiter(hand, LimitRule(dollars=1.0, per="day"))
        held = await it.reserve(ask(cost=NANO))
        assert (await refused(it.reserve(ask(cost=1)))).retry_after == 1.0
        await it.settle(held, tokens=5, cost=None)
        error = await refused(it.reserve(ask(cost=1)))
        assert error.code == "budget_exceeded"
        assert error.retry_after == 86_400 - (3 * 3600 + 4 * 60 + 5)
        hand.pass_(error.retry_after)
        await it.reserve(ask(cost=NANO))

    run(scene())


def test_a_call_is_charged_to_the_window_it_came_in(hand: Hand, ask: Any) -> None:
    async def scene() -> None:
        it = limiter(hand, LimitRule(dollars=1.0, per="day"))
        held = await it.reserve(ask(cost=NANO))
        hand.pass_(86_400)
        today = await it.reserve(ask(cost=NANO // 2))
        await it.settle(held, tokens=0, cost=NANO)
        await it.settle(today, tokens=0, cost=NANO // 2)
        await it.reserve(ask(cost=NANO // 2))
        assert [state.used + state.held for state in await it.usage()] == [NANO]

    run(scene())


def test_a_cost_beyond_what_was_set_aside_is_kept(hand: Hand, ask: Any) -> None:
    async def scene() -> None:
        it = limiter(hand, LimitRule(dollars=1.0, per="total"))
        await it.settle(await it.reserve(ask(cost=1)), tokens=0, cost=2 * NANO)
        error = await refused(it.reserve(ask(cost=0)))
        assert error.retry_after is None
        assert "raised" in error.message

    run(scene())


def test_unknown_price(hand: Hand, ask: Any) -> None:
    async def scene() -> None:
        rule = LimitRule(dollars=1.0, per="day")
        assert (await refused(limiter(hand, rule).reserve(ask(cost=None)))).code == "unknown_price"
        await limiter(hand, rule, unpriced="pass").reserve(ask(cost=None))
        await limiter(hand, LimitRule(dollars=1.0, mode="shadow")).reserve(ask(cost=None))
        await limiter(hand, LimitRule(requests=1)).reserve(ask(cost=None))

    run(scene())


def test_calls_at_once(hand: Hand, ask: Any) -> None:
    async def scene() -> None:
        it = limiter(hand, LimitRule(concurrency=2))
        one, _ = await it.reserve(ask()), await it.reserve(ask())
        assert (await refused(it.reserve(ask()))).code == "concurrency_exceeded"
        await it.settle(one, tokens=0, cost=0)
        await it.settle(one, tokens=0, cost=0)
        await it.reserve(ask())
        await refused(it.reserve(ask()))

    run(scene())


def test_all_rules_or_none(hand: Hand, ask: Any) -> None:
    async def scene() -> None:
        state = LimiterState()
        rules = [LimitRule(concurrency=5), LimitRule(requests=5), LimitRule(tokens=50), LimitRule(dollars=0.5)]
        it = limiter(hand, *rules, state=state)
        error = await refused(it.reserve(ask(tokens=10, cost=NANO)))
        assert error.code == "budget_exceeded"
        assert await it.usage() == []
        held = await it.reserve(ask(tokens=10, cost=NANO // 4))
        assert not await it.extend(held, tokens=10, cost=NANO // 2)
        assert await it.extend(held, tokens=40, cost=NANO // 4)
        assert (held.tokens, held.cost) == (50, NANO // 2)
        assert not await it.extend(held, tokens=1, cost=0)
        await it.settle(held, tokens=0, cost=0)
        assert not await it.extend(held, tokens=1, cost=0)
        assert [(one.used, one.held) for one in await it.usage()] == [(1, 0)]

    run(scene())


def test_the_longest_wait_is_told(hand: Hand, ask: Any) -> None:
    async def scene() -> None:
        it = limiter(hand, LimitRule(requests=1, per="hour"), LimitRule(requests=1, per="minute"))
        await it.reserve(ask())
        assert (await refused(it.reserve(ask()))).retry_after == 3600

    run(scene())


def test_each_counts_apart_and_names_stay_within_their_owner(hand: Hand, ask: Any) -> None:
    async def scene() -> None:
        it = limiter(hand, LimitRule(requests=1, each="user"), LimitRule(requests=2, match={"route": "gpt"}))
        await it.reserve(ask())
        await refused(it.reserve(ask()))
        await it.reserve(ask(tenant=OTHER))
        await refused(it.reserve(ask(tenant=Tenant(key="k3"))))
        await it.reserve(ask(tenant=Tenant(key="k3"), route="else"))
        assert {state.value for state in await it.usage()} == {"acme/ml/ann", "acme/ops/ann", "//", ""}

    run(scene())


def test_a_key_is_matched_by_id_or_name(hand: Hand) -> None:
    it = limiter(hand, LimitRule(requests=1, match={"key": "k1"}), LimitRule(concurrency=1, match={"key": "ci"}))
    assert it.applied(ACME, "", "gpt") is not None
    assert it.applied(OTHER, "", "gpt") is None
    both = it.applied(ACME, "ci", "gpt")
    assert both is not None
    assert (both.requests, both.concurrency, both.tokens, both.money) == (True, True, False, False)


def test_a_raised_limit_keeps_the_count(hand: Hand, ask: Any) -> None:
    async def scene() -> None:
        state = LimiterState()
        low = limiter(hand, LimitRule(requests=2), LimitRule(dollars=1.0), state=state)
        await low.reserve(ask(cost=NANO // 2))
        held = await low.reserve(ask(cost=NANO // 2))
        high = limiter(hand, LimitRule(requests=3), LimitRule(dollars=1.5), state=state)
        await high.reserve(ask(cost=NANO // 2))
        await refused(high.reserve(ask()))
        await high.settle(held, tokens=0, cost=0)
        assert [(one.used, one.held) for one in await high.usage()] == [(3, 0), (0, NANO)]

    run(scene())


def test_shadow_counts_and_refuses_nothing(hand: Hand, ask: Any) -> None:
    async def scene() -> None:
        it = limiter(hand, LimitRule(name="soft", requests=1, mode="shadow", warn=1.0))
        await it.reserve(ask())
        for _ in range(3):
            assert (await it.reserve(ask())).warnings == ("soft",)
        (state,) = await it.usage()
        assert (state.used, state.limit, state.enforced) == (4, 1, False)

    run(scene())


def test_a_warning_is_told_once_in_a_window(hand: Hand, ask: Any) -> None:
    async def scene() -> None:
        told: list[tuple[str, str, int, int]] = []
        it = limiter(
            hand,
            LimitRule(name="purse", dollars=1.0, per="day", each="team"),
            on_warning=lambda rule, value, used, limit: told.append((rule.name, value, used, limit)),
        )
        assert (await it.reserve(ask(cost=7 * NANO // 10))).warnings == ()
        assert (await it.reserve(ask(cost=NANO // 10))).warnings == ("purse",)
        assert (await it.reserve(ask(cost=NANO // 10))).warnings == ("purse",)
        assert told == [("purse", "acme/ml", 8 * NANO // 10, NANO)]
        hand.pass_(86_400)
        await it.reserve(ask(cost=NANO))
        assert len(told) == 2

    run(scene())


def test_a_budget_survives_a_restart(hand: Hand, ask: Any) -> None:
    class Ledger:
        def spent(self, since_ns: int) -> list[Spend]:
            assert since_ns == hand.at // (86_400 * NANO) * 86_400 * NANO
            return [
                Spend(tenant=ACME, route="gpt", cost=3 * NANO),
                Spend(tenant=ACME, route="else", cost=NANO),
                Spend(tenant=OTHER, route="gpt", cost=NANO),
            ]

    async def scene() -> None:
        rules = [
            LimitRule(dollars=5.0, per="day", each="team", match={"key": "ci"}),
            LimitRule(requests=1, match={"route": "none"}),
        ]
        balances = opening_balances(rules, Ledger(), hand.at, {"k1": "ci"})
        assert list(balances.values()) == [4 * NANO]
        state = LimiterState()
        it = limiter(hand, *rules, state=state)
        early = await it.reserve(ask(cost=NANO, key_name="ci"))
        state.open(balances)
        await refused(it.reserve(ask(cost=1, key_name="ci")))
        await it.settle(early, tokens=0, cost=0)
        state.open(balances)
        await it.reserve(ask(cost=NANO, key_name="ci"))
        hand.pass_(86_400)
        await it.reserve(ask(cost=5 * NANO, key_name="ci"))

    run(scene())


def test_a_thousand_at_once_share_what_there_is(hand: Hand, ask: Any) -> None:
    async def scene() -> None:
        it = limiter(hand, LimitRule(dollars=1.0), LimitRule(concurrency=300), LimitRule(tokens=10_000))

        async def call() -> int:
            try:
                held = await it.reserve(ask(tokens=10, cost=NANO // 250))
            except Refusal:
                return 0
            await asyncio.sleep(0)
            await it.settle(held, tokens=8, cost=NANO // 250)
            return 1

        assert sum(await asyncio.gather(*(call() for _ in range(1000)))) == 250
        money, at_once, tokens = (await it.usage())[0], None, (await it.usage())[-1]
        assert (money.used, money.held, at_once) == (NANO, 0, None)
        assert (tokens.used, tokens.held) == (2000, 0)

    run(scene())


def test_what_is_at_rest_is_forgotten(hand: Hand, ask: Any) -> None:
    async def scene() -> None:
        state = LimiterState()
        it = limiter(hand, LimitRule(requests=5, each="key"), LimitRule(concurrency=5, each="key"), state=state)
        for number in range(9_000):
            held = await it.reserve(ask(tenant=Tenant(key=f"k{number}")))
            await it.settle(held, tokens=0, cost=0)
            hand.pass_(0.1)
        assert len(state.meters) <= 16_384 + 1

    run(scene())
