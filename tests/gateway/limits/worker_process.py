"""A worker of its own process: ``worker_process.py URL SEED CALLS LEASE``; tells each settled cost on a line."""

from __future__ import annotations

import asyncio
import random
import sys
import time

from pilothouse.gateway.limits.shared.limiter import SharedLimiter
from pilothouse.gateway.limits.shared.link import Link
from pilothouse.gateway.limits.shared.state import SharedState
from pilothouse.gateway.limits.types import Ask
from pilothouse.gateway.refusals import Refusal
from pilothouse.gateway.settings import LimitRule
from pilothouse.gateway.types import Tenant

LIMIT = 200.0
RULES = (
    LimitRule(dollars=LIMIT, per="total"),
    LimitRule(tokens=10**9, per="month", each="key"),
    LimitRule(concurrency=24),
)
MILLI = 1_000_000


async def work(url: str, seed: int, calls: int, lease: float) -> None:
    chance = random.Random(seed)
    state = SharedState(Link(url, name="ph", timeout=5.0), lease=lease, gather=0.3)
    limiter = SharedLimiter(RULES, state)
    assert await limiter.start()
    print("ready", flush=True)
    left = iter(range(calls))

    async def one(number: int) -> None:
        most = chance.randrange(1, 100) * MILLI
        ask = Ask(
            call_id=f"{seed}-{number}", tenant=Tenant(key="k"), tokens=9, cost=most, at_ns=time.time_ns(), route="r"
        )
        try:
            held = await limiter.reserve(ask)
        except Refusal as error:
            print("refused", error.code, flush=True)
            return
        spent = 0
        try:
            await asyncio.sleep(chance.random() * 0.002)
            if chance.random() < 0.3 and await limiter.extend(held, tokens=1, cost=MILLI):
                most += MILLI
            spent = chance.randrange(0, most + 1)
        finally:
            await limiter.settle(held, tokens=spent // MILLI, cost=spent)
            print("spent", spent, flush=True)

    async def stream() -> None:
        for number in left:
            task = asyncio.create_task(one(number))
            if chance.random() < 0.1:
                await asyncio.sleep(chance.random() * 0.002)
                task.cancel()
            await asyncio.wait([task])

    await asyncio.gather(*(stream() for _ in range(8)))
    while state.pending:
        await asyncio.sleep(0.01)
    await state.aclose()


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))
