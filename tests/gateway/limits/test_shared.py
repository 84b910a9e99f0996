"""Limits over a real Redis: the same answers as within a process, and none that is wrong when it goes away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pilothouse.core.errors import ConfigError
from pilothouse.gateway.limits.opening import Spend
from pilothouse.gateway.limits.shared.limiter import SharedLimiter
from pilothouse.gateway.limits.shared.link import Link
from pilothouse.gateway.limits.shared.state import SharedState
from pilothouse.gateway.limits.types import Ask
from pilothouse.gateway.refusals import Refusal
from pilothouse.gateway.settings import LimitRule
from pilothouse.gateway.types import NANO, Tenant

from .conftest import ACME
from .redis_server import RedisServer

GATHER = 0.15


def ask(call_id: str, **given: Any) -> Ask:
    fields = {"tenant": ACME, "route": "gpt", "cost": 0, "at_ns": time.time_ns()}
    return Ask(call_id=call_id, **{**fields, **given})


@asynccontextmanager
async def worker(server: RedisServer, *rules: LimitRule, **more: Any) -> AsyncIterator[SharedLimiter]:
    state = SharedState(Link(server.url, name="ph", timeout=5.0), lease=60, gather=GATHER)
    limiter = SharedLimiter(rules, state, **more)
    try:
        assert await limiter.start()
        yield limiter
    finally:
        await state.aclose()


def state_of(limiter: SharedLimiter) -> SharedState:
    return limiter._state


async def refused(coroutine: Awaitable[Any]) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await coroutine
    return caught.value


async def until(what: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(1000):
        if await what():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come to be")


async def counts(limiter: SharedLimiter) -> list[tuple[str, int, int]]:
    return sorted((one.resource, one.used, one.held) for one in await limiter.usage())


def test_reserve_extend_settle(server: RedisServer) -> None:
    rules = [
        LimitRule(requests=100, per="month"),
        LimitRule(tokens=1000, per="month"),
        LimitRule(dollars=2.0, per="total"),
        LimitRule(concurrency=2),
    ]

    async def scene() -> None:
        async with worker(server, *rules) as it, worker(server, *rules) as other:
            one = await it.reserve(ask("a", tokens=400, cost=NANO))
            two = await other.reserve(ask("b", tokens=400, cost=NANO // 2))
            error = await refused(it.reserve(ask("c", tokens=100)))
            assert (error.code, error.retry_after) == ("concurrency_exceeded", 1.0)
            assert await it.extend(one, tokens=200, cost=0)
            assert not await it.extend(one, tokens=1, cost=0)
            assert not await it.extend(one, tokens=0, cost=NANO)
            assert await counts(it) == [
                ("concurrency", 0, 2),
                ("dollars", 0, 3 * NANO // 2),
                ("requests", 2, 0),
                ("tokens", 0, 1000),
            ]
            await it.settle(one, tokens=50, cost=None)
            await it.settle(one, tokens=50, cost=None)
            await other.settle(two, tokens=1500, cost=NANO)
            assert not await it.extend(one, tokens=1, cost=0)
            assert await counts(other) == [("dollars", 2 * NANO, 0), ("requests", 2, 0), ("tokens", 1550, 0)]
            error = await refused(it.reserve(ask("d", cost=1)))
            assert (error.code, error.retry_after) == ("budget_exceeded", None)

    asyncio.run(scene())


@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_exactly_so_many_requests(server: RedisServer, limit: int) -> None:
    async def scene() -> None:
        async with worker(server, LimitRule(requests=limit, per="day")) as it:
            for number in range(limit):
                await it.reserve(ask(str(number)))
            error = await refused(it.reserve(ask("more")))
            assert error.code == "rate_limit_exceeded"
            assert error.retry_after is not None
            assert 86_400 / limit - 30 < error.retry_after <= 86_400 / limit

    asyncio.run(scene())


def test_a_rolling_limit_lets_pass_again_when_told(server: RedisServer) -> None:
    async def scene() -> None:
        async with worker(server, LimitRule(tokens=100, per="second")) as it:
            await it.settle(await it.reserve(ask("a", tokens=100)), tokens=105, cost=0)
            error = await refused(it.reserve(ask("b", tokens=5)))
            assert error.retry_after is not None
            await asyncio.sleep(error.retry_after + 0.002)
            await it.reserve(ask("c", tokens=5))

    asyncio.run(scene())


def test_a_thousand_at_once(server: RedisServer) -> None:
    rules = [LimitRule(dollars=1.0, per="total"), LimitRule(requests=10_000, per="day", each="key")]

    async def scene() -> None:
        async with worker(server, *rules) as it:

            async def call(number: int) -> int:
                try:
                    held = await it.reserve(ask(str(number), cost=NANO // 250))
                except Refusal as error:
                    codes.add(error.code)
                    return 0
                await it.settle(held, tokens=0, cost=NANO // 250)
                return 1

            codes: set[str] = set()
            passed = sum(await asyncio.gather(*(call(number) for number in range(1000))))
            assert (passed, codes) == (250, {"budget_exceeded"})
            assert await counts(it) == [("dollars", NANO, 0), ("requests", 250, 0)]

    asyncio.run(scene())


def test_cancelled_reservations_leave_nothing(server: RedisServer) -> None:
    async def scene() -> None:
        async with worker(server, LimitRule(concurrency=1000), LimitRule(dollars=9.0, per="total")) as it:
            tasks = [asyncio.create_task(it.reserve(ask(str(number), cost=NANO // 1000))) for number in range(300)]
            for number, task in enumerate(tasks):
                if number % 3 == 0:
                    await asyncio.sleep(0)
                task.cancel()
            for held in await asyncio.gather(*tasks, return_exceptions=True):
                if not isinstance(held, BaseException):
                    await it.settle(held, tokens=0, cost=0)

            async def nothing() -> bool:
                return not state_of(it).pending and await counts(it) == []

            await until(nothing)

    asyncio.run(scene())


def test_a_request_that_arrives_after_it_was_taken_back_holds_nothing(server: RedisServer) -> None:
    async def scene() -> None:
        async with worker(server, LimitRule(concurrency=1)) as it:
            state_of(it).void("late")

            async def told() -> bool:
                return not state_of(it).pending

            await until(told)
            assert (await refused(it.reserve(ask("late")))).code == "limits_unavailable"
            assert await counts(it) == []
            await it.reserve(ask("other"))

    asyncio.run(scene())


def test_a_worker_that_died_is_charged_and_can_be_corrected(server: RedisServer) -> None:
    rules = [LimitRule(dollars=1.0, per="total"), LimitRule(concurrency=1), LimitRule(tokens=100, per="month")]

    async def scene() -> None:
        dead = SharedState(Link(server.url, name="ph", timeout=5.0), lease=60, gather=GATHER)
        last = SharedLimiter(rules, dead)
        assert await last.start()
        held = await last.reserve(ask("a", tokens=60, cost=NANO // 2))
        assert dead._task is not None
        dead._task.cancel()
        link = dead.link
        async with worker(server, *rules) as it:
            assert (await refused(it.reserve(ask("b")))).code == "concurrency_exceeded"

            await link._command("ZADD", f"{link.key}:{dead.epoch}:workers", 0, dead.worker)

            async def released() -> bool:
                return await counts(it) == [("dollars", NANO // 2, 0), ("tokens", 60, 0)]

            await until(released)
            await last.settle(held, tokens=10, cost=NANO // 4)
            assert await counts(it) == [("dollars", NANO // 4, 0), ("tokens", 60, 0)]
            await it.reserve(ask("c", tokens=40, cost=3 * NANO // 4))
        await dead.aclose()

    asyncio.run(scene())


def test_without_the_server_nothing_passes_but_shadows(server: RedisServer) -> None:
    async def scene() -> None:
        soft = LimitRule(requests=1, mode="shadow", match={"organisation": "soft"})
        async with worker(server, LimitRule(dollars=1.0, match={"organisation": "acme"}), soft) as it:
            held = await it.reserve(ask("a", cost=NANO // 2))
            server.kill()
            error = await refused(it.reserve(ask("b")))
            assert (error.code, error.status) == ("limits_unavailable", 503)
            assert not await it.extend(held, tokens=0, cost=1)
            passed = await it.reserve(ask("c", tenant=Tenant(organisation="soft")))
            await it.settle(passed, tokens=0, cost=0)
            assert it.unchecked == 1
            await it.reserve(ask("d", tenant=Tenant()))
            await it.settle(held, tokens=0, cost=NANO)
            assert "a" in state_of(it).pending

    asyncio.run(scene())


@pytest.mark.parametrize("log", [False, True])
def test_a_server_started_anew_learns_what_was_used_before_a_call_passes(log: bool) -> None:
    server = RedisServer(log=log)
    rules = [LimitRule(dollars=3.0, per="total"), LimitRule(concurrency=5), LimitRule(requests=3, per="day")]

    async def scene() -> None:
        async with worker(server, *rules) as it, worker(server, *rules) as other:
            await it.settle(await it.reserve(ask("a", cost=NANO)), tokens=0, cost=NANO)
            open_ = await other.reserve(ask("b", cost=NANO))
            late = await it.reserve(ask("c", cost=NANO))
            epoch = state_of(it).epoch
            server.kill()
            await it.settle(late, tokens=0, cost=NANO)
            server.start()

            async def ready() -> bool:
                try:
                    await it.reserve(ask("d", cost=1))
                except Refusal as error:
                    return error.code in {"rate_limit_exceeded", "budget_exceeded"}
                raise AssertionError("it let pass more than there is")

            await until(ready)
            assert state_of(it).epoch != epoch

            async def told() -> bool:
                return await counts(other) == [
                    ("concurrency", 0, 1),
                    ("dollars", 2 * NANO, NANO),
                    ("requests", 3, 0),
                ]

            await until(told)
            await other.settle(open_, tokens=0, cost=0)
            assert await counts(it) == [("dollars", 2 * NANO, 0), ("requests", 3, 0)]

    try:
        asyncio.run(scene())
    finally:
        server.close()


def test_a_settlement_waits_until_all_have_told_a_new_epoch_what_they_saw(server: RedisServer) -> None:
    rule = LimitRule(dollars=9.0, per="total")
    may_tell = asyncio.Event()

    async def until_told() -> None:
        await may_tell.wait()

    async def scene() -> None:
        slow = SharedState(Link(server.url, name="ph", timeout=5.0), lease=60, gather=3.0, flush=until_told)
        quick = SharedState(Link(server.url, name="ph", timeout=5.0), lease=60, gather=3.0)
        may_tell.set()
        it, other = SharedLimiter([rule], quick), SharedLimiter([rule], slow)
        try:
            assert await it.start()
            assert await other.start()
            open_ = await it.reserve(ask("a", cost=NANO))
            await it.settle(await it.reserve(ask("b", cost=NANO)), tokens=0, cost=NANO)
            await other.settle(await other.reserve(ask("c", cost=NANO)), tokens=0, cost=NANO)
            may_tell.clear()
            epoch = quick.epoch
            server.kill()
            server.start()

            async def joined() -> bool:
                return quick.epoch != epoch and quick.joined

            await until(joined)
            await it.settle(open_, tokens=0, cost=NANO)
            assert "a" in quick.pending, "the other one has seen more than this one"
            may_tell.set()

            async def told() -> bool:
                return await counts(it) == [("dollars", 3 * NANO, 0)]

            await until(told)
        finally:
            await quick.aclose()
            await slow.aclose()

    asyncio.run(scene())


def test_the_ledger_opens_a_window_even_for_a_rule_that_is_new(server: RedisServer) -> None:
    class Ledger:
        def spent(self, since_ns: int) -> list[Spend]:
            return [Spend(tenant=ACME, route="gpt", cost=NANO, tokens=10, requests=1)]

    async def scene() -> None:
        first = LimitRule(dollars=2.0, per="total", each="team")
        async with worker(server, first, history=Ledger()) as it:
            held = await it.reserve(ask("a", cost=NANO))
            assert (await refused(it.reserve(ask("b", cost=1)))).code == "budget_exceeded"
            more = SharedLimiter([first, LimitRule(tokens=12, per="total")], state_of(it), history=Ledger())

            async def opened() -> bool:
                try:
                    await more.reserve(ask("c", tokens=3))
                except Refusal as error:
                    return error.code == "rate_limit_exceeded"
                raise AssertionError("it let pass more than there is")

            await until(opened)
            await it.settle(held, tokens=0, cost=NANO)
            await more.reserve(ask("d", tokens=2))
            assert await counts(more) == [("dollars", 2 * NANO, 0), ("tokens", 10, 2)]

    asyncio.run(scene())


def test_a_warning_is_told_by_one_worker(server: RedisServer) -> None:
    told: list[tuple[str, int, int]] = []
    rule = LimitRule(name="purse", dollars=1.0, per="total")

    def on_warning(rule: Any, value: str, used: int, limit: int) -> None:
        told.append((rule.name, used, limit))

    async def scene() -> None:
        both = worker(server, rule, on_warning=on_warning), worker(server, rule, on_warning=on_warning)
        async with both[0] as it, both[1] as other:
            assert (await it.reserve(ask("a", cost=NANO // 2))).warnings == ()
            assert (await other.reserve(ask("b", cost=NANO * 3 // 10))).warnings == ("purse",)
            assert (await it.reserve(ask("c", cost=1))).warnings == ("purse",)
        assert told == [("purse", 8 * NANO // 10, NANO)]

    asyncio.run(scene())


def test_limits_that_the_server_could_not_count_exactly_are_refused(server: RedisServer) -> None:
    state = SharedState(Link(server.url, name="ph", timeout=1.0))
    with pytest.raises(ConfigError, match="too high"):
        SharedLimiter([LimitRule(dollars=9_000_001.0)], state)
    with pytest.raises(ConfigError, match="too high"):
        SharedLimiter([LimitRule(tokens=1 << 51)], state)
    SharedLimiter([LimitRule(tokens=10**12, per="month"), LimitRule(dollars=9_000_000.0)], state)
