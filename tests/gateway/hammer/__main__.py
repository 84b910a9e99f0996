"""Many calls of all manners through real gateways whose processes and counters are killed, and what is left of them.

`nice -n 10 python -m tests.gateway.hammer` takes a minute or two on two cores; it prints a verdict and leaves with 1 where
anything does not hold. `--calls 2000 --gateways 1 --workers 1 --blows 0` is a small one; `--hosts --kill-host` makes it two
hosts over one PostgreSQL, of which one dies for good.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from msgspec import Struct

from pilothouse.gateway.limits.types import LimitState
from pilothouse.gateway.settings import LimitRule
from pilothouse.gateway.types import NANO

from ...postgres import PostgresServer
from ..limits.redis_server import RedisServer
from ..mock.upstream import MockUpstream
from .callers import Crowd, plans
from .site import CALM, OWNERS, PATIENT, Site
from .verdict import Account, Verdict, judge

_LEASE = 6.0
"""Seconds after which a dead worker is missed, see `PATIENT`."""


class Run(Struct, kw_only=True):
    """What a run left.

    Attributes:
        verdict: The accounts side by side.
        took: Seconds.
        at_once: The most answers under way of one owner who may have 40 at once.
        held: What is still set aside at the end, over all limits.
        shared: What the counters in Redis say is used, by budget.
        blows: What was killed, and when by the clock of the system.
        codes: Exit codes of the gateways.
        alike: Whether all hosts have the same ledger.
    """

    verdict: Verdict
    took: float
    at_once: int
    held: int
    shared: dict[str, int]
    blows: list[tuple[str, float]]
    codes: list[int]
    alike: bool = True


def rules(given: argparse.Namespace) -> tuple[LimitRule, ...]:
    """Return limits of every kind; the budgets in dollars are to run out."""
    return (
        LimitRule(name="acme", match={"organisation": "acme"}, dollars=given.acme, per="total"),
        LimitRule(name="calm", match={"organisation": "gamma"}, dollars=given.calm, per="total"),
        LimitRule(name="user", each="user", dollars=given.user, per="day"),
        LimitRule(name="tokens", each="team", tokens=10**9, per="minute"),
        LimitRule(name="calls", each="key", requests=10**6, per="hour"),
        LimitRule(name="beta", match={"organisation": "beta"}, concurrency=40),
    )


async def hammer(folder: Path, given: argparse.Namespace) -> Run:
    """Run; return what was left."""
    server = RedisServer()
    rows_server = PostgresServer() if given.hosts else None
    site: Site | None = None
    twin: Site | None = None
    try:
        async with MockUpstream() as mock:
            database = rows_server.create("hammer") if rows_server is not None else ""
            site = Site(folder, mock.url, rules(given), redis=server.url, patience=8.0, database=database)
            urls = site.start_all(given.gateways, workers=given.workers, before=PATIENT)
            if rows_server is not None:
                twin = site.twin(folder / "twin", rows_server.url("hammer"))
                urls += twin.start_all(given.gateways, workers=given.workers, before=PATIENT)
            crowd = Crowd(urls, site.secrets, given.at_once, given.pause)
            begun = time.monotonic()
            made = plans(given.seed, given.calls, owners=len(OWNERS), faults=not given.no_faults, calm=CALM)
            running = asyncio.ensure_future(crowd.make(made))
            blows = await _disturb(site, server, given, crowd, running)
            if twin is not None and given.kill_host:
                blows.append(("host", time.time()))
                twin.kill()
            await running
            took = time.monotonic() - begun
            left = await site.quiet(60.0)
            codes = [*(twin.stop() if twin is not None else []), *site.stop()]
            alike = twin is None or twin.rows() == site.rows() == twin.rows()
            verdict = judge(crowd.outcomes, site.rows(), mock.bill.lines, site.limits, OWNERS)
            return Run(
                verdict=verdict,
                took=took,
                at_once=crowd.most[3],
                held=sum(state.held for state in left),
                shared={_whose(state): state.used for state in left if state.resource == "dollars"},
                blows=blows,
                codes=codes,
                alike=alike,
            )
    finally:
        for one in (site, twin):
            if one is not None:
                one.kill()
        if rows_server is not None:
            rows_server.stop()
        server.close()


async def _disturb(
    site: Site, server: RedisServer, given: argparse.Namespace, crowd: Crowd, running: asyncio.Future[None]
) -> list[tuple[str, float]]:
    """Kill a worker and Redis by turns, evenly over the calls; never both within a lease."""
    done: list[tuple[str, float]] = []
    for number in range(given.blows):
        while len(crowd.outcomes) < given.calls * (number + 1) // (given.blows + 1) and not running.done():
            await asyncio.sleep(0.01)
        done.append(("worker" if number % 2 == 0 else "redis", time.time()))
        if number % 2 == 0:
            workers = site.workers(number // 2 % given.gateways)
            assert workers, (site.folder / "stderr.txt").read_text()[-3000:]
            os.kill(workers[number // 2 % len(workers)], signal.SIGKILL)
        else:
            server.kill()
            await asyncio.sleep(0.5)
            server.start()
        await asyncio.sleep(1.5 * _LEASE)
    return done


def _whose(state: LimitState) -> str:
    return f"{state.rule} {state.value}".strip()


def told(run: Run, given: argparse.Namespace) -> tuple[str, bool]:
    """Return a run as text, and whether all holds."""
    found = run.verdict
    killed = [at for what, at in run.blows if what != "redis"]
    near = [outcome for outcome in found.lost if any(outcome.begun <= at <= outcome.ended + 2.0 for at in killed)]
    ages = [min(abs(at - outcome.ended) for at in killed) for outcome in found.lost_whole if killed]
    lost = f"{len(found.lost_whole)} of calls answered whole (at most {max(ages, default=0.0):.2f} s from a kill), rest in flight"
    interval = Account()
    for part in (found.counted, found.given_up):
        for name in Account.__struct_fields__:
            setattr(interval, name, getattr(interval, name) + getattr(part, name))
    checks = {
        "every call equal, or between cost and cost + may be billed": not found.outside and interval.holds,
        "no budget overshot": found.overshoot == 0,
        "nothing set aside at the end": run.held == 0,
        "no call has two rows": not found.twice,
        "rows are lost by kill -9 of a worker alone": len(near) == len(found.lost),
        "the shared counters hold at least what rows say": all(
            run.shared.get(name, 0) >= scope.taken for name, scope in found.scopes.items()
        ),
        "40 at once were never exceeded": run.at_once <= 40,
        "the gateways ended well": not any(run.codes),
        "all hosts have the same ledger": run.alike,
    }
    seconds = [f"{what} at {at - min(at for _, at in run.blows):.0f} s" for what, at in run.blows]
    lines = [
        f"{given.gateways} gateways of {given.workers} workers, {given.at_once} calls at once, {run.took:.0f} s; killed: "
        + (", ".join(seconds) or "nothing"),
        "",
        f"calls      {found.calls:>8,}    answered whole {found.answered:,}, clients vanished {found.vanished:,}",
        f"refused    {sum(found.refused.values()):>8,}    {_listed(found.refused)}",
        f"rows       {found.rows:>8,}    {_listed(found.outcomes)}",
        f"lost rows  {len(found.lost):>8,}    by kill -9: {lost}, billed {_money(found.lost_bill)}",
        f"held       {run.held:>8,}    set aside at the end, over all limits",
        "",
        _line("", "calls", "ledger: sure", "bill", "may be billed", "holds"),
        _account("counted by the provider", found.counted, "equal"),
        _account("with attempts given up", found.given_up, "between"),
        _account("both", interval, "between"),
        _account("estimates (no count)", found.uncounted, ""),
        f"per call outside: {len(found.outside)}; with two rows: {len(found.twice)}",
        *found.outside[:10],
        "",
        _line("budget", "limit", "bill", "sure", "taken", "share taken"),
        *(
            _line(
                name,
                _money(one.limit),
                _money(one.bill),
                _money(one.cost),
                _money(run.shared.get(name, 0)),
                f"{run.shared.get(name, 0) / one.limit:.1%}",
            )
            for name, one in sorted(found.scopes.items())
        ),
        f"overshoot of any budget, by its count or by the bill: {_money(found.overshoot)}",
        "",
        *(f"{'yes' if holds else 'NO '}  {words}" for words, holds in checks.items()),
    ]
    return "\n".join(lines), all(checks.values())


def _line(name: str, *cells: str) -> str:
    return f"{name:<26}" + "".join(f"{cell:>17}" for cell in cells)


def _account(name: str, one: Account, wanted: str) -> str:
    holds = "" if not wanted else wanted if one.holds else f"NOT {wanted}"
    return _line(name, f"{one.calls:,}", _money(one.cost), _money(one.bill), _money(one.may), holds)


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items(), key=lambda item: -item[1]))


def _money(nano: int) -> str:
    return f"${nano // NANO}.{nano % NANO:09d}"


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=12_000)
    parser.add_argument("--at-once", type=int, default=1000)
    parser.add_argument("--gateways", type=int, default=2)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--blows", type=int, default=4, help="kills, of a worker and of Redis by turns")
    parser.add_argument("--hosts", action="store_true", help="two hosts over one PostgreSQL, each with these gateways")
    parser.add_argument("--kill-host", action="store_true")
    parser.add_argument("--no-faults", action="store_true")
    parser.add_argument("--acme", type=float, default=0.3, help="dollars")
    parser.add_argument("--calm", type=float, default=0.015, help="dollars of those whose calls all end well")
    parser.add_argument("--user", type=float, default=0.3, help="dollars of each user")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds that a refused client waits")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = asyncio.run(hammer(Path(folder), given))
        text, holds = told(run, given)
        errors = (Path(folder) / "stderr.txt").read_text()
    print(text)
    strange = [line for line in errors.splitlines() if not line.startswith(("limit '", "worker"))]
    if strange:
        print(f"\nstandard error of the gateways, {len(strange)} lines:\n" + "\n".join(strange[-10:]))
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
