"""The models that judge: each asked as often as it has votes, all at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from pilothouse.core.errors import ConfigError, ConnectionFault, ModelError
from pilothouse.flows.nodes.work import ModelLookup
from pilothouse.models.client import ModelClient
from pilothouse.models.types import AudioPart, ChatRequest, ImagePart, Message

_MOST_AT_ONCE = 1024
_REFUSALS = {400, 413, 415, 422}
_WORDS = {ImagePart: "images", AudioPart: "sounds"}


class Seat(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A place on the panel: a connection, and the model behind it (the connection's own when empty)."""

    connection: str
    model: str = ""


class Asking(Struct, frozen=True, kw_only=True):
    """How judges are asked.

    Attributes:
        votes: Times each is asked about a row; with more than one, ``temperature`` should not be 0.
        temperature: Of all of them.
        max_tokens: Of an answer, its reason included.
        timeout: Seconds an answer may take once it is asked for; it decides no verdict.
    """

    votes: int = 1
    temperature: float = 0.0
    max_tokens: int = 512
    timeout: float = 120.0


class Answer(Struct, frozen=True, kw_only=True):
    """What one judge said, or why it said nothing; ``judge`` is its provider and model."""

    judge: str
    text: str = ""
    error: str | None = None


class Seats:
    """Judges at work.

    Args:
        seats: At least one.
        models: Where connections are found.
        asking: How they are asked.

    Raises:
        ConfigError: without a seat or a vote.
        ConnectionFault: for a connection that is missing or incomplete.
    """

    def __init__(self, seats: Sequence[Seat], models: ModelLookup, asking: Asking) -> None:
        if not seats or asking.votes < 1:
            raise ConfigError("a judge needs a connection and a vote", expected="connection: NAME, votes: at least 1")
        for seat in seats:
            models.check(seat.connection, seat.model)
        self._seats = [(seat, models.client(seat.connection)) for seat in seats]
        self._asking = asking
        self._slots = {seat.connection: models.slots(seat.connection) for seat in seats}
        self.open()
        models_asked = [
            [{k: v for k, v in models.connection(seat.connection).identity().items() if k != "name"}, seat.model]
            for seat in seats
        ]
        self.identity: list[Any] = [models_asked, asking.votes, asking.temperature, asking.max_tokens]

    @property
    def calls(self) -> int:
        """How many answers are asked for at a time."""
        return len(self._seats) * self._asking.votes

    def open(self) -> None:
        """Begin to ask in this event loop.

        No more is asked at once than a connection serves: the time that an answer may take is not spent in a queue.
        """
        self._gates = {name: asyncio.Semaphore(slots or _MOST_AT_ONCE) for name, slots in self._slots.items()}

    async def ask(self, messages: tuple[Message, ...], form: dict[str, Any]) -> list[Answer]:
        """Return the answers of all judges, in the order of seats and votes; whatever fails is an answer too.

        Args:
            messages: The conversation.
            form: JSON Schema that an answer should have.
        """
        asked = [(seat, client, vote) for seat, client in self._seats for vote in range(self._asking.votes)]
        return await asyncio.gather(*(self._ask(seat, client, vote, messages, form) for seat, client, vote in asked))

    async def _ask(
        self, seat: Seat, client: ModelClient, vote: int, messages: tuple[Message, ...], form: dict[str, Any]
    ) -> Answer:
        name = f"{client.provider}/{seat.model}".rstrip("/")
        schema = {"name": "verdict", "strict": True, "schema": form}
        request = ChatRequest(
            model=seat.model,
            messages=messages,
            temperature=self._asking.temperature,
            max_tokens=self._asking.max_tokens,
            seed=vote,
            response_format={"type": "json_schema", "json_schema": schema},
        )
        try:
            async with self._gates[seat.connection], asyncio.timeout(self._asking.timeout):
                response = await client.chat(request)
        except TimeoutError:
            return Answer(judge=name, error=f"no answer within {self._asking.timeout:g} s")
        except (ModelError, ConnectionFault) as error:
            return Answer(judge=name, error=f"{error}{_blindness(error, messages)}")
        return Answer(judge=f"{client.provider}/{response.model}" if response.model else name, text=response.text)


def _blindness(error: ModelError | ConnectionFault, messages: tuple[Message, ...]) -> str:
    """Return what to think of first when a request with images or sounds was refused for what it says."""
    parts = [part for message in messages if not isinstance(message.content, str) for part in message.content]
    kinds = [word for kind, word in _WORDS.items() if any(isinstance(part, kind) for part in parts)]
    if not kinds or not isinstance(error, ModelError) or error.status not in _REFUSALS:
        return ""
    return f"; the row holds {' and '.join(kinds)}, which not every model takes"
