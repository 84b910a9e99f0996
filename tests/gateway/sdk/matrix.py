"""Every client in front of every upstream: what passes, and what is refused in which words."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import product
from typing import NamedTuple, get_args

import anthropic
import openai

from pilothouse.gateway.settings import GatewaySettings
from pilothouse.gateway.types import LedgerEntry

from ..mock.upstream import MockUpstream
from ..mock.vendors import vendors
from ..running import Gateway, running
from .clients import ASK, Case, Client, Clients, Report, Said, named

UPSTREAMS: Mapping[str, tuple[str, str]] = {
    "openai": ("open_ai", "/v1"),
    "azure": ("azure_open_ai", ""),
    "anthropic": ("anthropic", ""),
    "gemini": ("gemini", "/v1beta"),
    "bedrock": ("bedrock", ""),
    "cohere": ("cohere", ""),
}
"""By the connection's name: its type, and where it is served below its address."""

OWN_FORMS = ("gemini", "bedrock", "cohere")
TEXT = re.compile(r"[0-9a-f]{8} 1 2 3 4 5 6 7")
PASSES = "passes"
CLIENTS: tuple[Client, ...] = get_args(Client)
CASES: tuple[Case, ...] = get_args(Case)


class Cell(NamedTuple):
    """One place of the matrix."""

    client: Client
    upstream: str
    case: Case

    @property
    def model(self) -> str:
        """The model to ask for: its name tells the mock what to do, and two cells apart."""
        return f"{self.upstream}/mock-tokens=8-calls=2-key={self.key}"

    @property
    def key(self) -> str:
        """A name of its own."""
        return f"{self.client}.{self.upstream}.{self.case}".replace(" ", "_")

    @property
    def is_asked(self) -> bool:
        """Whether the client's form has such a thing."""
        return self.client != "openai completions" or self.case in {"plain", "stream"}


CELLS = [Cell(*place) for place in product(CLIENTS, UPSTREAMS, CASES)]


@asynccontextmanager
async def gateway_of_all(settings: GatewaySettings | None = None) -> AsyncIterator[tuple[Gateway, MockUpstream]]:
    """While inside, a gateway serves a mock of every dialect; each connection is a route."""
    async with AsyncExitStack() as stack:
        mock = await stack.enter_async_context(MockUpstream())
        own = await stack.enter_async_context(vendors())
        connections = {
            name: (kind, (own if name in OWN_FORMS else mock.url) + path) for name, (kind, path) in UPSTREAMS.items()
        }
        asked = settings or GatewaySettings(access="open")
        yield await stack.enter_async_context(running(asked, connections)), mock


@asynccontextmanager
async def clients_of(gateway: Gateway, key: str = "no-key") -> AsyncIterator[Clients]:
    """While inside, both clients speak with the gateway."""
    async with (
        openai.AsyncOpenAI(api_key=key, base_url=f"{gateway.url}/v1", max_retries=0, timeout=60) as first,
        anthropic.AsyncAnthropic(api_key=key, base_url=gateway.url, max_retries=0, timeout=60) as second,
    ):
        yield Clients(first, second)


async def outcomes() -> dict[Cell, str]:
    """Run every cell and return what came of it: `passes`, or the words of the refusal."""
    async with gateway_of_all() as (gateway, _), clients_of(gateway) as clients:
        cells = [cell for cell in CELLS if cell.is_asked]
        found = await asyncio.gather(*(_outcome(gateway, clients, cell) for cell in cells))
        return dict(zip(cells, found, strict=True))


async def _outcome(gateway: Gateway, clients: Clients, cell: Cell) -> str:
    try:
        said = await ASK[cell.client](clients, cell.model, cell.case)
    except (openai.APIStatusError, anthropic.APIStatusError) as refused:
        return named(refused)
    check(cell.case, said, TEXT)
    while len(rows := [entry for entry in gateway.ledger.entries if entry.model.endswith(f"={cell.key}")]) < len(
        said.used
    ):
        await asyncio.sleep(0.005)
    check_rows(rows, said)
    return PASSES


def check(case: Case, said: Said, text: re.Pattern[str]) -> None:
    """Compare what a client understood with what the mock says."""
    if case == "structured":
        assert said.report == Report(city="text", is_dry=True)
    else:
        assert text.fullmatch(said.text), said
    if case.startswith("tools"):
        assert list(said.calls) == [{"city": "text", "days": 7}] * 2
    if case in {"stream", "tools streamed"}:
        assert said.pieces > 1


def check_rows(rows: list[LedgerEntry], said: Said) -> None:
    """Compare the ledger with what a client was told."""
    assert [row.status for row in rows] == ["ok"] * len(said.used)
    for row, used in zip(rows, said.used, strict=True):
        assert row.usage is not None
        assert (row.usage.input_tokens, row.usage.output_tokens) == used
        assert row.usage_source == "provider"
        assert 0 < row.first_ns <= row.duration_ns
