"""Clients of all manners: patient ones, ones that go away before or inside the answer, and upstreams that fail them."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import struct
import time
from typing import Any

import aiohttp
from msgspec import Struct

FORMS = {"chat": "/v1/chat/completions", "messages": "/v1/messages"}
FAULTS = ("cut@3", "cut", "hang", "hang@3", "500", "500-times=1", "nousage", "usagetwice", "hang@0-times=1")


class Plan(Struct, frozen=True, kw_only=True):
    """One call to be made.

    Attributes:
        words: What the upstream is told; they name the call, too.
        owner: Whose key it shows, by number.
        form: A key of `FORMS`.
        stream: Whether the answer is streamed.
        route: What is asked for.
        fault: Of the upstream; empty for none.
        leaves_at: Pieces after which the client is gone; None for one that stays.
        leaves_after: Seconds after which it is gone if no answer has begun.
        reset: Whether it goes with a reset instead of an end.
    """

    words: str
    owner: int
    form: str
    stream: bool
    route: str = "bounded"
    fault: str = ""
    leaves_at: int | None = None
    leaves_after: float | None = None
    reset: bool = False


class Outcome(Struct, kw_only=True):
    """What a client saw.

    Attributes:
        plan: What it did.
        status: HTTP status; 0 for no answer.
        code: Of the error.
        pieces: Pieces of text it got.
        complete: Whether the answer came to its proper end.
        vanished: Whether its client went away before its end.
        begun: When, by the clock of the system.
        ended: When.
    """

    plan: Plan
    status: int = 0
    code: str = ""
    pieces: int = 0
    complete: bool = False
    vanished: bool = False
    begun: float = 0.0
    ended: float = 0.0


class Crowd:
    """Makes calls, many at once.

    Args:
        urls: Of the gateways; calls go round.
        secrets: Of the keys.
        at_once: How many calls.
        pause: Seconds that a client waits after a refusal before it goes.

    Attributes:
        outcomes: Of all calls so far.
        begun: Answers that have begun.
        most: By owner, the most answers that were under way at once.
    """

    def __init__(self, urls: list[str], secrets: list[str], at_once: int, pause: float = 0.0) -> None:
        self._urls = urls
        self._secrets = secrets
        self._pause = pause
        self._at_once = asyncio.Semaphore(at_once)
        self._under_way = [0] * len(secrets)
        self.outcomes: list[Outcome] = []
        self.begun = 0
        self.most = [0] * len(secrets)

    async def make(self, plans: list[Plan]) -> None:
        """Make calls to their ends."""
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        patience = aiohttp.ClientTimeout(total=120)
        async with aiohttp.ClientSession(connector=connector, timeout=patience) as session:
            await asyncio.gather(*(self._one(session, number, plan) for number, plan in enumerate(plans)))

    async def _one(self, session: aiohttp.ClientSession, number: int, plan: Plan) -> None:
        async with self._at_once:
            outcome = Outcome(plan=plan, begun=time.time())
            self.outcomes.append(outcome)
            try:
                async with asyncio.timeout(plan.leaves_after):
                    await self._call(session, self._urls[number % len(self._urls)], outcome)
            except TimeoutError:
                outcome.complete, outcome.vanished = False, plan.leaves_after is not None
            except (aiohttp.ClientError, ConnectionError):
                outcome.complete = False
            outcome.ended = time.time()
            if outcome.status in (429, 503):
                # Without counters nobody is let in, and a budget may be full of what is only set aside.
                await asyncio.sleep(self._pause)

    async def _call(self, session: aiohttp.ClientSession, url: str, outcome: Outcome) -> None:
        plan = outcome.plan
        headers = {"authorization": f"Bearer {self._secrets[plan.owner]}"}
        async with session.post(url + FORMS[plan.form], json=body(plan), headers=headers) as answer:
            outcome.status = answer.status
            if answer.status != 200:
                said = await answer.json()
                outcome.code = str(said["error"].get("code") or said["error"].get("type"))
                return
            self.begun += 1
            self._under_way[plan.owner] += 1
            self.most[plan.owner] = max(self.most[plan.owner], self._under_way[plan.owner])
            try:
                if plan.stream:
                    await _streamed(answer, outcome)
                else:
                    await answer.read()
                    outcome.complete = True
            finally:
                self._under_way[plan.owner] -= 1


async def _streamed(answer: aiohttp.ClientResponse, outcome: Outcome) -> None:
    plan = outcome.plan
    async for line in answer.content:
        if not line.startswith(b"data: "):
            continue
        if line.startswith(b"data: [DONE]") or b'"message_stop"' in line:
            outcome.complete = not outcome.code
            continue
        event = json.loads(line[6:])
        if "error" in event:
            outcome.code = str(event["error"].get("code") or event["error"].get("type"))
        outcome.pieces += bool(_text(event))
        if plan.leaves_at is not None and outcome.pieces >= plan.leaves_at:
            _leave(answer, reset=plan.reset)
            outcome.vanished = True
            return


def _text(event: dict[str, Any]) -> str:
    if "choices" in event:
        return "".join(choice["delta"].get("content") or "" for choice in event["choices"])
    return event.get("delta", {}).get("text", "")


def _leave(answer: aiohttp.ClientResponse, *, reset: bool) -> None:
    connection = answer.connection
    if connection is None or connection.transport is None:
        return
    if reset:
        found = connection.transport.get_extra_info("socket")
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.transport.abort()


def body(plan: Plan) -> dict[str, Any]:
    """Return a request's body."""
    said: dict[str, Any] = {
        "model": plan.route,
        "messages": [{"role": "user", "content": "hello"}],
        "stream": plan.stream,
    }
    if plan.form == "messages":
        return said | {"max_tokens": 100, "metadata": {"user_id": plan.words}}
    return said | {"user": plan.words}


def plans(seed: int, count: int, *, owners: int, faults: bool = True, calm: frozenset[int] = frozenset()) -> list[Plan]:
    """Draw calls: two thirds of them well-behaved, and all of owners who are ``calm``."""
    chance = random.Random(seed)
    return [_plan(chance, f"{seed}.{number}", owners, faults=faults, calm=calm) for number in range(count)]


def _plan(chance: random.Random, name: str, owners: int, *, faults: bool, calm: frozenset[int]) -> Plan:
    owner = chance.randrange(owners)
    tokens, stream = chance.randrange(4, 40), chance.random() < 0.7
    words = f"mock-tokens={tokens}-first={chance.randrange(0, 60)}"
    if stream:
        words += f"-pace={chance.choice((0, 1, 3))}"
    kind = 1.0 if owner in calm else chance.random()
    leaves_at = leaves_after = None
    fault = ""
    if kind < 0.12 and stream:
        leaves_at, words = chance.randrange(1, tokens), words.rpartition("-pace=")[0] + "-pace=5"
    elif kind < 0.17:
        leaves_after, words = chance.random() * 0.4, words.replace("-first=", "-first=9")
    elif kind < 0.33 and faults:
        fault = chance.choice(FAULTS)
        words += f"-fault={fault}"
    return Plan(
        words=f"{words}-key={name}",
        owner=owner,
        form=chance.choice(("chat", "chat", "messages")),
        stream=stream,
        fault=fault,
        leaves_at=leaves_at,
        leaves_after=leaves_after,
        reset=chance.random() < 0.5,
    )
