"""Clients in a process of their own: each asks again as soon as it was answered, until nobody takes its calls any more.

A connection that is refused, or ends before a byte of the answer, is tried anew: that is what a client's library does,
and no call is lost by it. An answer that has begun and does not end is a broken one.

`python -m tests.gateway.operations.client` reads a spec (JSON, one line); a further line `leaving` says that the
gateway is about to end: from then on a client that is turned away goes home. What every call got is printed as JSON.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from typing import Any

import aiohttp
import msgspec
from msgspec import Struct

TEXT = re.compile(rb'"content":"[^"]')
PATIENCE = 8.0
"""Seconds in which a call that is turned away is tried again."""


class Clients(Struct, frozen=True, kw_only=True):
    """Some clients that do the same; `tokens` of a whole stream, 0 for answers in one piece."""

    name: str
    route: str
    key: str
    number: int
    tokens: int = 0


class Spec(Struct, frozen=True, kw_only=True):
    """What is asked, and where."""

    url: str
    clients: list[Clients]


class Outcome(Struct, kw_only=True):
    """What became of one call.

    Attributes:
        clients: Whose.
        begun: When, seconds since 1970.
        ended: Likewise.
        status: HTTP status; 0 where no answer began.
        code: Of an error.
        whole: Whether the answer came to its end.
        turned_away: How often a connection was refused, or ended before the answer.
        call: The gateway's id of the call.
        config: The version it was decided by.
        deployment: Who answered.
    """

    clients: str
    begun: float
    ended: float = 0.0
    status: int = 0
    code: str = ""
    whole: bool = False
    turned_away: int = 0
    call: str = ""
    config: str = ""
    deployment: str = ""


class Everybody:
    """All clients of a spec."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self.outcomes: list[Outcome] = []
        self.leaving = False

    async def run(self) -> None:
        """Ask until the gateway is gone."""
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:
            loops = [self._loop(session, clients) for clients in self._spec.clients for _ in range(clients.number)]
            await asyncio.gather(*loops)

    async def _loop(self, session: aiohttp.ClientSession, clients: Clients) -> None:
        while True:
            outcome = Outcome(clients=clients.name, begun=time.time())
            self.outcomes.append(outcome)
            await self._call(session, clients, outcome)
            outcome.ended = time.time()
            if not outcome.status:
                return
            if outcome.status != 200:
                await asyncio.sleep(0.05)

    async def _call(self, session: aiohttp.ClientSession, clients: Clients, outcome: Outcome) -> None:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            try:
                await self._answer(session, clients, outcome)
            except aiohttp.ClientError:
                if outcome.status:
                    return  # broken off
                outcome.turned_away += 1
                if self.leaving:
                    return
                await asyncio.sleep(0.02)
            else:
                return

    async def _answer(self, session: aiohttp.ClientSession, clients: Clients, outcome: Outcome) -> None:
        body: dict[str, Any] = {"model": clients.route, "messages": [{"role": "user", "content": "hello"}]}
        body |= {"stream": True} if clients.tokens else {}
        headers = {"authorization": f"Bearer {clients.key}"}
        async with session.post(f"{self._spec.url}/chat/completions", json=body, headers=headers) as answer:
            outcome.status = answer.status
            outcome.call = answer.headers.get("x-pilothouse-call", "")
            outcome.config = answer.headers.get("x-pilothouse-config", "")
            outcome.deployment = answer.headers.get("x-pilothouse-deployment", "")
            text = await answer.read()
        if outcome.status != 200:
            outcome.whole, outcome.code = True, json.loads(text)["error"]["code"]
        elif clients.tokens:
            frames = len(TEXT.findall(text))
            outcome.whole = frames == clients.tokens and text.endswith(b"data: [DONE]\n\n")
        else:
            outcome.whole = bool(json.loads(text)["choices"])


async def main() -> None:
    spec = msgspec.json.decode(sys.stdin.buffer.readline(), type=Spec)
    everybody = Everybody(spec)

    async def listen() -> None:
        line = await asyncio.to_thread(sys.stdin.buffer.readline)
        everybody.leaving = bool(line)

    listening = asyncio.create_task(listen())
    await everybody.run()
    sys.stdout.buffer.write(msgspec.json.encode(everybody.outcomes))
    await listening


if __name__ == "__main__":
    asyncio.run(main())
