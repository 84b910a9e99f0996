"""The models that judge: each asked as often as it has votes, all at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from pilothouse.core.errors import ConfigError, ConnectionFault, ModelError
from pilothouse.evaluation.judges.reply import Reply, read
from pilothouse.evaluation.judges.rubric import Rubric
from pilothouse.flows.nodes.work import ModelLookup
from pilothouse.models.client import ModelClient
from pilothouse.models.types import ChatRequest, Message


class Seat(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A place on the panel: a connection, and the model behind it (the connection's own when empty)."""

    connection: str
    model: str = ""


class Panel:
    """Judges of one rubric.

    Args:
        rubric: What they are asked.
        seats: At least one.
        models: Where connections are found.
        votes: Times each is asked about a row; with more than one, ``temperature`` should not be 0.
        temperature: Of all of them.
        max_tokens: Of an answer, its reason included.
        timeout: Seconds an answer may take.

    Raises:
        ConfigError: without a seat or a vote.
        ConnectionFault: for a connection that is missing or incomplete.
    """

    def __init__(
        self,
        rubric: Rubric,
        seats: Sequence[Seat],
        models: ModelLookup,
        *,
        votes: int = 1,
        temperature: float = 0.0,
        max_tokens: int = 512,
        timeout: float = 120.0,
    ) -> None:
        if not seats or votes < 1:
            raise ConfigError("a judge needs a connection and a vote", expected="connection: NAME, votes: at least 1")
        for seat in seats:
            models.check(seat.connection, seat.model)
        self._rubric = rubric
        self._seats = [(seat, models.client(seat.connection)) for seat in seats]
        self._votes = votes
        self._temperature = temperature
        self._max_tokens = max_tokens
        self._timeout = timeout
        self.identity: list[Any] = [
            [{k: v for k, v in models.connection(seat.connection).identity().items() if k != "name"}, seat.model]
            for seat in seats
        ]

    async def ask(self, messages: tuple[Message, ...]) -> list[Reply]:
        """Return the answers of all judges, in the order of seats and votes; whatever fails is an answer too."""
        asked = [(seat, client, vote) for seat, client in self._seats for vote in range(self._votes)]
        return await asyncio.gather(*(self._ask(seat, client, vote, messages) for seat, client, vote in asked))

    async def _ask(self, seat: Seat, client: ModelClient, vote: int, messages: tuple[Message, ...]) -> Reply:
        name = f"{client.provider}/{seat.model}".rstrip("/")
        form = {"name": "verdict", "strict": True, "schema": self._rubric.schema()}
        request = ChatRequest(
            model=seat.model,
            messages=messages,
            temperature=self._temperature,
            max_tokens=self._max_tokens,
            seed=vote,
            response_format={"type": "json_schema", "json_schema": form},
        )
        try:
            async with asyncio.timeout(self._timeout):
                response = await client.chat(request)
        except TimeoutError:
            return Reply(state="error", reason=f"no answer within {self._timeout:g} s", judge=name)
        except (ModelError, ConnectionFault) as error:
            return Reply(state="error", reason=str(error), judge=name)
        said = f"{client.provider}/{response.model}" if response.model else name
        return replace(read(response.text, self._rubric), judge=said)


def agreed(replies: Sequence[Reply], rubric: Rubric) -> Reply:
    """Return what the answers come to together.

    Yes and no by majority, and abstained when they are even; of levels, and of two answers, the median. Less than half
    of the judges decide nothing: then it is abstained when any judge did, else unparsable when any answer was, else
    the first error.
    """
    told = [reply for reply in replies if reply.state == "ok"]
    if 2 * len(told) < len(replies) or not told:
        order = ("abstained", "unparsable", "error")
        return min((reply for reply in replies if reply.state != "ok"), key=lambda reply: order.index(reply.state))
    verdicts = [reply.verdict for reply in told if reply.verdict is not None]
    if rubric.kind != "binary":
        middle = median(verdicts)
        nearest = min(told, key=lambda reply: abs((reply.verdict or 0) - middle))
        return Reply(state="ok", verdict=float(middle), reason=nearest.reason)
    times = Counter(verdicts)
    if times[True] == times[False]:
        return Reply(state="abstained", reason="the judges are divided")
    verdict = times[True] > times[False]
    return next(reply for reply in told if reply.verdict is verdict)
