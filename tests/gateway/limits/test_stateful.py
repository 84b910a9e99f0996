"""Any sequence of verbs, on both backends, with a server that is killed in between: counts are what they should be."""

from __future__ import annotations

import asyncio
import time
from itertools import count
from typing import Any, ClassVar

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pilothouse.gateway.limits.memory import LimiterState, MemoryLimiter
from pilothouse.gateway.limits.shared.limiter import SharedLimiter
from pilothouse.gateway.limits.shared.link import Link
from pilothouse.gateway.limits.shared.state import SharedState
from pilothouse.gateway.limits.types import Ask
from pilothouse.gateway.refusals import Refusal
from pilothouse.gateway.settings import LimitRule

from .conftest import ACME
from .redis_server import RedisServer

MONEY, TOKENS, REQUESTS, AT_ONCE = 1000, 50_000, 40, 6
RULES = (
    LimitRule(dollars=MONEY / 1e9, per="total"),
    LimitRule(tokens=TOKENS, per="total", each="team"),
    LimitRule(requests=REQUESTS, per="total", each="key"),
    LimitRule(concurrency=AT_ONCE),
    LimitRule(dollars=1 / 1e9, per="day", mode="shadow"),
)
NUMBERS = count()


class Machine(RuleBasedStateMachine):
    """The model: what should be used and held by now."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.live: list[tuple[Any, Any]] = []
        self.money = self.tokens = self.requests = 0
        self.limiters = self.begin()

    def begin(self) -> list[Any]:
        raise AssertionError

    def teardown(self) -> None:
        self.runner.close()

    def reserved(self) -> tuple[int, int]:
        return sum(held.tokens for _, held in self.live), sum(held.cost for _, held in self.live)

    @rule(which=st.integers(0, 1), tokens=st.integers(0, 30_000), cost=st.integers(0, 600))
    def reserve(self, which: int, tokens: int, cost: int) -> None:
        limiter = self.limiters[which % len(self.limiters)]
        ask = Ask(call_id=f"c{next(NUMBERS)}", tenant=ACME, route="r", tokens=tokens, cost=cost, at_ns=time.time_ns())
        held_tokens, held_cost = self.reserved()
        fits = (
            self.money + held_cost + cost <= MONEY
            and self.tokens + held_tokens + tokens <= TOKENS
            and self.requests < REQUESTS
            and len(self.live) < AT_ONCE
        )
        if fits:
            self.live.append((limiter, self.runner.run(limiter.reserve(ask))))
            self.requests += 1
            return
        with pytest.raises(Refusal) as refused:
            self.runner.run(limiter.reserve(ask))
        assert refused.value.code in {"rate_limit_exceeded", "budget_exceeded", "concurrency_exceeded"}

    @precondition(lambda self: self.live)
    @rule(index=st.integers(0, 99), tokens=st.integers(0, 20_000), cost=st.integers(0, 300))
    def extend(self, index: int, tokens: int, cost: int) -> None:
        limiter, held = self.live[index % len(self.live)]
        held_tokens, held_cost = self.reserved()
        fits = (not cost or self.money + held_cost + cost <= MONEY) and (
            not tokens or self.tokens + held_tokens + tokens <= TOKENS
        )
        assert self.runner.run(limiter.extend(held, tokens=tokens, cost=cost)) == fits

    @precondition(lambda self: self.live)
    @rule(index=st.integers(0, 99), share=st.sampled_from([0.0, 0.5, 1.0]), known=st.booleans())
    def settle(self, index: int, share: float, known: bool) -> None:
        limiter, held = self.live.pop(index % len(self.live))
        tokens, cost = int(held.tokens * share), int(held.cost * share) if known else None
        self.tokens += tokens
        self.money += held.cost if cost is None else cost
        for _ in range(2):
            self.runner.run(limiter.settle(held, tokens=tokens, cost=cost))

    @invariant()
    def counts_are_right(self) -> None:
        held_tokens, held_cost = self.reserved()
        found = {
            one.resource: (one.used, one.held) for one in self.runner.run(self.limiters[0].usage()) if one.enforced
        }
        assert found.get("dollars", (0, 0)) == (self.money, held_cost)
        assert found.get("tokens", (0, 0)) == (self.tokens, held_tokens)
        assert found.get("requests", (0, 0)) == (self.requests, 0)
        assert found.get("concurrency", (0, 0)) == (0, len(self.live))
        assert self.money + held_cost <= MONEY
        assert self.tokens + held_tokens <= TOKENS


class MemoryMachine(Machine):
    def begin(self) -> list[Any]:
        self.state = LimiterState()
        return [MemoryLimiter(RULES, self.state)]

    @rule()
    def configuration_changes(self) -> None:
        self.limiters = [MemoryLimiter(RULES[::-1], self.state), *self.limiters[:1]]


class SharedMachine(Machine):
    server: ClassVar[RedisServer]
    kills = 0

    def begin(self) -> list[Any]:
        name = f"ph{next(NUMBERS)}"
        self.states = []
        limiters: list[SharedLimiter] = []

        async def workers() -> None:
            for _ in range(2):
                self.states.append(SharedState(Link(self.server.url, name=name, timeout=5.0), lease=60, gather=0.15))
                limiters.append(SharedLimiter(RULES, self.states[-1]))
                assert await limiters[-1].start()

        self.runner.run(workers())
        return limiters

    def teardown(self) -> None:
        for state in self.states:
            self.runner.run(state.aclose())
        super().teardown()

    @precondition(lambda self: self.kills < 2)
    @rule(settled=st.booleans(), share=st.sampled_from([0.0, 1.0]))
    def server_is_killed(self, settled: bool, share: float) -> None:
        """And a call may end while it is away."""
        self.kills += 1
        epoch = self.states[0].epoch
        self.server.kill()
        if settled and self.live:
            self.settle(0, share, True)
        self.server.start()

        async def again() -> None:
            while any(state.epoch == epoch or not state.joined or state.pending for state in self.states):
                await asyncio.sleep(0.01)
            for limiter in self.limiters:
                assert await limiter.start()

        self.runner.run(again())


class TestMemory(MemoryMachine.TestCase):
    settings = settings(max_examples=40, stateful_step_count=40, deadline=None)


class TestShared(SharedMachine.TestCase):
    settings = settings(max_examples=6, stateful_step_count=25, deadline=None, phases=[Phase.generate])

    def setUp(self) -> None:
        SharedMachine.server = RedisServer()

    def tearDown(self) -> None:
        SharedMachine.server.close()
