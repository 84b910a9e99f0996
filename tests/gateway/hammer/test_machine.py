"""Any sequence of calls through one gateway: after each, three accounts agree and nothing stays set aside."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from itertools import count
from typing import Any

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pilothouse.gateway.settings import (
    BreakerSettings,
    CallRetries,
    CallTimeouts,
    DeploymentSettings,
    GatewaySettings,
    Hedge,
    LimitRule,
    RouteSettings,
)
from pilothouse.gateway.types import NANO

from ..mock.upstream import MockUpstream
from ..running import Gateway, running
from .callers import Crowd, Plan
from .verdict import judge

BUDGET = 12_000_000
LIMITS = (
    LimitRule(name="money", dollars=BUDGET / NANO, per="total"),
    LimitRule(name="tokens", tokens=50_000, per="total"),
    LimitRule(name="calls", requests=60, per="total"),
    LimitRule(name="at-once", concurrency=6),
)
NUMBERS = count()
FORM = st.sampled_from(["chat", "messages"])


def route(most: int | None, *, hedge: Hedge | None = None) -> RouteSettings:
    names = ("one",) if hedge is None else ("one", "two")
    return RouteSettings(
        deployments=tuple(DeploymentSettings(connection="mock", model="priced", name=name) for name in names),
        hedge=hedge,
        max_output_tokens=most,
        timeouts=CallTimeouts(first_token=0.3, idle=0.3),
        retries=CallRetries(attempts=2, base=0.0, budget=1.0),
        breaker=BreakerSettings(failures=10_000),
    )


ROUTES = {
    "bounded": route(200),
    "endless": route(None),
    "hedged": route(100, hedge=Hedge(after=0.02, share=1.0)),
}


class Calls(RuleBasedStateMachine):
    """One gateway, one upstream, and whatever clients do."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.runner.run(self.begin())

    async def begin(self) -> None:
        self.mock = await self.stack.enter_async_context(MockUpstream())
        made = GatewaySettings(access="open", routes=ROUTES, limits=LIMITS)
        connections = {"mock": ("open_ai", self.mock.url + "/v1")}
        self.gateway: Gateway = await self.stack.enter_async_context(running(made, connections))
        self.crowd = Crowd([self.gateway.url], [""], at_once=1000)

    def teardown(self) -> None:
        try:
            self.runner.run(self.stack.aclose())
        finally:
            self.runner.close()

    def make(self, words: str, times: int = 1, **more: Any) -> None:
        plans = [
            Plan(**{"words": f"mock-{words}-key={next(NUMBERS)}", "owner": 0, "form": "chat", "stream": True, **more})
            for _ in range(times)
        ]
        self.runner.run(self.crowd.make(plans))
        self.runner.run(self.quiet())

    async def quiet(self) -> None:
        """Wait until no call is under way; a client that has gone is noticed in the server's next turns."""
        async with asyncio.timeout(60):
            await self.gateway.settled()
        for _ in range(12_000):
            waiting = [
                line
                for line in self.mock.bill.lines
                if line.status == "open" and (line.stream or "hang" not in line.told)
            ]
            if not waiting:
                break
            await asyncio.sleep(0.005)
        else:
            raise AssertionError(f"the upstream is still asked: {waiting}")
        await self.gateway.settled()

    @rule(tokens=st.integers(4, 250), form=FORM, stream=st.booleans(), times=st.integers(1, 9))
    def patient(self, tokens: int, form: str, stream: bool, times: int) -> None:
        self.make(f"tokens={tokens}", times, form=form, stream=stream)

    @rule(tokens=st.integers(5, 40), left=st.integers(1, 4), form=FORM, reset=st.booleans(), times=st.integers(1, 5))
    def gone_inside(self, tokens: int, left: int, form: str, reset: bool, times: int) -> None:
        self.make(f"tokens={tokens}-pace=4", times, form=form, leaves_at=left, reset=reset)

    @rule(after=st.floats(0.0, 0.05), stream=st.booleans(), times=st.integers(1, 5))
    def gone_before(self, after: float, stream: bool, times: int) -> None:
        self.make("tokens=5-first=5000", times, stream=stream, leaves_after=after)

    @rule(
        fault=st.sampled_from(
            ["500", "500-times=1", "cut", "cut@3", "nousage", "usagetwice", "hang@2", "hang@0-times=1", "disconnect"]
        ),
        stream=st.booleans(),
        form=FORM,
        times=st.integers(1, 3),
    )
    def failed(self, fault: str, stream: bool, form: str, times: int) -> None:
        self.make(f"tokens=9-fault={fault}", times, fault=fault, stream=stream, form=form)

    @rule(first=st.integers(0, 80), stream=st.booleans(), form=FORM, times=st.integers(1, 4))
    def hedged(self, first: int, stream: bool, form: str, times: int) -> None:
        self.make(f"tokens=20-first={first}", times, route="hedged", stream=stream, form=form)

    @rule(tokens=st.integers(700, 4000), times=st.integers(1, 2))
    def endless(self, tokens: int, times: int) -> None:
        self.make(f"tokens={tokens}", times, route="endless")

    @invariant()
    def the_accounts_agree(self) -> None:
        rows = self.gateway.ledger.entries
        verdict = judge(self.crowd.outcomes, rows, self.mock.bill.lines, LIMITS)
        assert (verdict.lost, verdict.twice, verdict.outside) == ([], [], [])
        assert [row.id for row in rows if row.given_up and row.route == "bounded" and row.may_cost is None] == []
        assert self.gateway.limiter is not None
        states = {state.rule: state for state in self.runner.run(self.gateway.limiter.usage())}
        assert [state.rule for state in states.values() if state.held] == []
        taken, used = sum(row.budgeted for row in rows), states.get("money")
        assert (used.used if used else 0) == taken <= BUDGET
        assert all(row.route == "endless" for row in rows if row.given_up and row.may_cost is None)
        let_in = sum(row.status != "refused" for row in rows)
        assert (states["calls"].used if "calls" in states else 0) == let_in
        assert self.crowd.most[0] <= 6


Calls.TestCase.settings = settings(
    max_examples=3, stateful_step_count=6, deadline=None, phases=(Phase.generate,), derandomize=True
)
TestCalls = Calls.TestCase
