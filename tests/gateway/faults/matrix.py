"""Faults of an upstream, met in every way the gateway has: what the client gets, and what the ledger says of it.

`python -m tests.gateway.faults` writes the table of outcomes into `docs/gateway-faults.md`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import AsyncExitStack
from itertools import product
from pathlib import Path
from typing import Any, Literal, NamedTuple

import aiohttp

from pilothouse.gateway.settings import (
    BreakerSettings,
    CallRetries,
    CallTimeouts,
    DeploymentSettings,
    GatewaySettings,
    LimitRule,
    RouteSettings,
)
from pilothouse.gateway.types import LedgerEntry

from ..mock.upstream import MockUpstream
from ..running import Gateway, running

PAGE = Path(__file__).parents[3] / "docs" / "gateway-faults.md"
TOKENS = 8
Dialect = Literal["openai", "anthropic"]
Way = Literal["alone", "retry", "fallback", "continuation", "breaker"]

FAULTS: Mapping[str, tuple[str, str]] = {
    "429": ("fault=429", "answers 429"),
    "500": ("fault=500", "answers 500"),
    "529": ("fault=529", "answers 529, as Anthropic does when it is overloaded"),
    "hang": ("fault=hang", "takes the request and never answers"),
    "disconnect": ("fault=disconnect", "ends the connection without a byte"),
    "cut": ("fault=cut@2", "ends the connection inside its answer"),
    "stall": ("fault=hang@2", "stops inside its answer and keeps the connection"),
    "lielength": ("fault=lielength", "sends less than it promised"),
    "malformed": ("fault=malformed", "sends broken JSON"),
    "badutf8": ("fault=badutf8", "sends bytes that are no UTF-8 inside a text"),
    "html": ("fault=html", "answers 200 with a web page"),
    "emptybody": ("fault=emptybody", "answers 200 without a byte"),
    "slow": ("fault=slow-pace=1", "sends small parts, cut anywhere"),
    "error inside": ("fault=error-in-stream@2", "reports an error inside the stream"),
    "no end": ("fault=noend", "ends the stream properly, but the answer is not over"),
}
"""What the mock is told, and what that is."""

SILENT = frozenset({"hang", "stall"})
"""Faults that a time-out alone can show; their cells run by themselves, so that no busy moment looks like one."""

STREAMED_ALONE = frozenset({"error inside", "no end"})

WAYS: Mapping[Way, str] = {
    "alone": "one deployment, one attempt",
    "retry": "one deployment that fails once, up to three attempts",
    "fallback": "a second deployment that is well",
    "continuation": "the same with `continuation: true`",
    "breaker": "a second deployment that is well; the breaker of the first opens after two failures; the third call",
}


class Cell(NamedTuple):
    """One place of the matrix."""

    fault: str
    stream: bool
    way: Way

    @property
    def route(self) -> str:
        """A name of its own."""
        return f"{self.fault.replace(' ', '-')}.{'stream' if self.stream else 'whole'}.{self.way}"


CELLS = [
    Cell(fault, stream, way)
    for fault, stream, way in product(FAULTS, (False, True), WAYS)
    if stream or not (fault in STREAMED_ALONE or way == "continuation")
]


class Outcome(NamedTuple):
    """What became of the last call of a cell.

    Attributes:
        status: HTTP status the client got.
        code: The stable code of the error it got, before or inside the answer; empty for none.
        text: The answer's text as far as it came.
        whole: Whether the answer ended as its dialect wants.
        row: The ledger's row of the call.
        rows: How many rows the cell's calls left.
        calls: How many calls there were.
        asked: How often an upstream was asked for the last call.
    """

    status: int
    code: str
    text: str
    whole: bool
    row: LedgerEntry
    rows: int
    calls: int
    asked: int

    @property
    def words(self) -> str:
        """The outcome as the table shows it."""
        if self.code:
            if self.status != 200:
                return f"{self.status} `{self.code}`"
            return f"{'text' if self.text else 'begun'}, then `{self.code}`"
        if not self.whole:
            return "text, then no end"
        if self.row.attempts[0].deployment.endswith(".second"):
            return "served, the first left alone"
        served = len(self.row.attempts)
        return "served" if served == 1 else f"served by attempt {served}"


def route_of(cell: Cell) -> RouteSettings:
    """Return the route of a cell."""
    told = f"mock-tokens={TOKENS}-{FAULTS[cell.fault][0]}-key={cell.route}"
    deployments = [
        DeploymentSettings(connection="mock", model=f"{told}-times=1" if cell.way == "retry" else told, name="first")
    ]
    if cell.way in {"fallback", "continuation", "breaker"}:
        well = f"mock-tokens={TOKENS}-key={cell.route}"
        deployments.append(DeploymentSettings(connection="mock", model=well, name="second", priority=1))
    deployments = [
        DeploymentSettings(
            connection=item.connection, model=item.model, name=f"{cell.route}.{item.name}", priority=item.priority
        )
        for item in deployments
    ]
    patience = 0.6 if cell.fault in SILENT else 20.0
    return RouteSettings(
        deployments=tuple(deployments),
        retries=CallRetries(attempts=1 if cell.way == "alone" else 3, base=0.0, budget=1.0),
        timeouts=CallTimeouts(connect=20.0, first_token=patience, idle=patience, total=60.0),
        breaker=BreakerSettings(failures=2 if cell.way == "breaker" else 100, cooldown=60.0),
        continuation=cell.way == "continuation",
    )


def settings(*, metered: bool) -> GatewaySettings:
    """Return a gateway with a route for each cell; `metered` adds limits of tokens and money."""
    limits = [LimitRule(name="at-once", each="route", concurrency=100)]
    if metered:
        limits.append(LimitRule(name="tokens", each="route", tokens=10**9))
        limits.append(LimitRule(name="money", each="route", dollars=10**6, per="month"))
    return GatewaySettings(access="open", routes={cell.route: route_of(cell) for cell in CELLS}, limits=tuple(limits))


async def outcomes(dialect: Dialect, *, metered: bool) -> dict[Cell, Outcome]:
    """Run the whole matrix against a gateway and a mock of its own."""
    async with AsyncExitStack() as stack:
        mock = await stack.enter_async_context(MockUpstream())
        kind, address = ("open_ai", mock.url + "/v1") if dialect == "openai" else ("anthropic", mock.url)
        gateway = await stack.enter_async_context(running(settings(metered=metered), {"mock": (kind, address)}))
        connector = aiohttp.TCPConnector(limit=0)
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        found: dict[Cell, Outcome] = {}
        for silent in (False, True):
            cells = [cell for cell in CELLS if (cell.fault in SILENT) == silent]
            asked = [_cell(session, gateway, mock, cell, dialect) for cell in cells]
            found |= zip(cells, await asyncio.gather(*asked), strict=True)
        await gateway.settled()
        assert gateway.limiter is not None
        held = [state for state in await gateway.limiter.usage() if state.held]
        assert held == [], "a reservation was not given back"
        return found


async def _cell(
    session: aiohttp.ClientSession, gateway: Gateway, mock: MockUpstream, cell: Cell, dialect: Dialect
) -> Outcome:
    calls = 3 if cell.way == "breaker" else 1
    asked = 0
    status, code, text, whole = 0, "", "", False
    for number in range(calls):
        before = _asked(mock, cell)
        status, code, text, whole = await _ask(session, gateway.url, cell, dialect)
        while len(gateway.entries(cell.route)) <= number:
            await asyncio.sleep(0.005)
        asked = _asked(mock, cell) - before
    rows = gateway.entries(cell.route)
    return Outcome(status, code, text, whole, rows[-1], len(rows), calls, asked)


def _asked(mock: MockUpstream, cell: Cell) -> int:
    return sum(f"-key={cell.route}" in line.model for line in mock.bill.lines)


async def _ask(session: aiohttp.ClientSession, url: str, cell: Cell, dialect: Dialect) -> tuple[int, str, str, bool]:
    """Return status, error code, text, and whether the answer came to its proper end."""
    path = "/v1/chat/completions" if dialect == "openai" else "/v1/messages"
    body = {
        "model": cell.route,
        "max_tokens": 50,
        "messages": [{"role": "user", "content": "hello"}],
        "stream": cell.stream,
    }
    async with session.post(url + path, json=body, timeout=aiohttp.ClientTimeout(60)) as answer:
        try:
            raw = await answer.read()
        except aiohttp.ClientError:
            return answer.status, "connection_broken", "", False
        if answer.status == 200 and cell.stream:
            return (answer.status, *_read_stream(raw, dialect))
        said = json.loads(raw.decode("utf-8", "replace"))
        if answer.status != 200:
            return answer.status, _code(said, answer.headers), "", False
        text = said["choices"][0]["message"]["content"] if dialect == "openai" else said["content"][0]["text"]
        return answer.status, "", text, True


def _read_stream(raw: bytes, dialect: Dialect) -> tuple[str, str, bool]:
    code, text, whole = "", "", False
    for line in raw.decode("utf-8", "replace").splitlines():
        if line == "data: [DONE]":
            whole = True
        elif line.startswith("data: "):
            said = json.loads(line[6:])
            if "error" in said:
                code = _code(said, {})
            elif said.get("type") == "message_stop":
                whole = True
            elif dialect == "anthropic":
                text += said.get("delta", {}).get("text", "")
            elif said["choices"]:
                text += said["choices"][0]["delta"].get("content") or ""
    return code, text, whole and not code


def _code(said: dict[str, Any], headers: Mapping[str, str]) -> str:
    error = said["error"]
    return str(error.get("code") or headers.get("x-pilothouse-error") or error.get("type"))


HEAD = """# Faults of an upstream

What a client gets when a deployment fails, and how that changes with retries, a fallback, continuation and the circuit
breaker. The table is what the gateway did in front of an upstream that was told to fail; it is written by
`python -m tests.gateway.faults`, and a test keeps it true. Outcomes are the same for both dialects, and with and without
limits of tokens and money.

In every cell: one row in the ledger for each call, every reservation given back, no byte of a second answer after bytes
of a first one unless continuation is on.

"""


def page(found: Mapping[Cell, Outcome]) -> str:
    """Return the table as Markdown."""
    ways = "\\n".join(f"- **{way}**: {words}" for way, words in WAYS.items())
    lines = [HEAD, ways.replace("\\n", "\n"), ""]
    for stream in (False, True):
        shown = [way for way in WAYS if stream or way != "continuation"]
        lines += ["", f"## {'Streams' if stream else 'Whole answers'}", ""]
        lines.append("| The upstream | " + " | ".join(shown) + " |")
        lines.append("|---" * (len(shown) + 1) + "|")
        for fault, (_, words) in FAULTS.items():
            cells = [found[Cell(fault, stream, way)].words for way in shown if Cell(fault, stream, way) in found]
            if cells:
                lines.append(f"| {words} | " + " | ".join(cells) + " |")
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"
