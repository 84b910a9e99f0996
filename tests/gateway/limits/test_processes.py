"""Several processes over one server, one of them killed: no rule is overshot, nothing stays set aside."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from itertools import islice
from pathlib import Path

from pilothouse.gateway.limits.shared.limiter import SharedLimiter
from pilothouse.gateway.limits.shared.link import Link
from pilothouse.gateway.limits.shared.state import SharedState
from pilothouse.gateway.types import NANO

from .redis_server import RedisServer
from .worker_process import LIMIT, RULES

SCRIPT = Path(__file__).with_name("worker_process.py")


def begin(server: RedisServer, seed: int, calls: int, lease: float) -> subprocess.Popen[str]:
    words = [sys.executable, str(SCRIPT), server.url, str(seed), str(calls), str(lease)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def spent(lines: list[str]) -> int:
    return sum(int(line.split()[1]) for line in lines if line.startswith("spent "))


async def at_the_end(server: RedisServer, lease: float) -> tuple[int, int]:
    """Return what is used of the budget once nothing is set aside any more."""
    state = SharedState(Link(server.url, name="ph", timeout=5.0), lease=lease, gather=0.3)
    limiter = SharedLimiter(RULES, state)
    assert await limiter.start()
    for _ in range(2000):
        counts = await limiter.usage()
        if not any(one.held for one in counts):
            break
        await asyncio.sleep(0.01)
    await state.aclose()
    used = {one.resource: one.used for one in counts}
    return used["dollars"], sum(one.held for one in counts)


def check(server: RedisServer, processes: int, calls: int, lease: float) -> dict[str, int]:
    workers = [begin(server, seed, calls, lease) for seed in range(processes)]
    victim = workers[0]
    assert victim.stdout is not None
    # Whatever the others have left of the budget, each call is a line, of which this one has twice as many to write.
    lines = list(islice(victim.stdout, calls // 2))
    victim.kill()
    told = [lines + victim.communicate()[0].splitlines()]
    told += [worker.communicate()[0].splitlines() for worker in workers[1:]]
    assert all(worker.returncode == 0 for worker in workers[1:])
    used, held = asyncio.run(at_the_end(server, lease))
    settled = sum(spent(lines) for lines in told)
    assert held == 0
    assert settled <= used <= LIMIT * NANO
    assert used - settled <= 16 * NANO // 10  # what the killed one had in flight: eight calls, at most $0.2 each
    refused = sum(line.startswith("refused") for lines in told for line in lines)
    return {"settled": settled, "used": used, "refused": refused, "calls": sum(map(len, told))}


def test_processes_share_a_budget_and_one_is_killed(server: RedisServer) -> None:
    check(server, processes=3, calls=100, lease=3.0)
