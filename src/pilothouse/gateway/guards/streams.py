"""A guarded stream: whole events in, in order; out comes what no guard holds back any more."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, cast

import msgspec

from pilothouse.gateway.guards.deltas import ALL, DELTAS, Piece, ended
from pilothouse.gateway.guards.holding import Arguments, Channel, Event
from pilothouse.gateway.guards.shapes import ANSWERS, Shape
from pilothouse.gateway.guards.texts import Slot, Texts, without_logprobs
from pilothouse.gateway.guards.types import Edit
from pilothouse.gateway.refusals import Refusal
from pilothouse.gateway.types import Wire

_CALLS: Final = Shape(texts=frozenset(), values=frozenset({"args"}))
_LONGEST_EVENT: Final = 33_554_432

CheckText = Callable[[str], Awaitable[Sequence[Edit]]]
CheckSlots = Callable[[Sequence[Slot]], Awaitable[None]]


class Stage:
    """One guard over a stream.

    Args:
        wire: The form of the stream.
        window: Characters held back.
        check: Asks the guard about a text that goes on.
        check_slots: Asks it about texts that are whole, and changes them.
        on_release: Told of each change that is handed on.
    """

    def __init__(
        self,
        wire: Wire,
        window: int,
        *,
        check: CheckText,
        check_slots: CheckSlots,
        on_release: Callable[[Edit], None],
    ) -> None:
        self._deltas = DELTAS.get(wire)
        self._shape = ANSWERS.get(wire)
        self._is_gemini = wire == "gemini.generate"
        self._window = window
        self._check = check
        self._check_slots = check_slots
        self._on_release = on_release
        self._channels: dict[tuple[Any, ...], Channel] = {}
        self._queue: deque[Event] = deque()
        self._characters = 0

    async def feed(self, event: Event) -> list[Event]:
        """Take an event and return those that go on.

        Raises:
            Refusal: when the guard blocks, or fails.
        """
        self._queue.append(event)
        value = event.value
        if value is None:
            await self._close()
            return self._ready()
        pieces = list(self._deltas(value)) if self._deltas else []
        for piece in pieces:
            await self._hold(event, piece)
        if not pieces or self._is_gemini:
            await self._whole(event, value, has_pieces=bool(pieces))
        over = ended(value)
        if over:
            await self._close(over)
        return self._ready()

    async def finish(self) -> list[Event]:
        """Return the rest, at the end of the stream.

        Raises:
            Refusal: when the guard blocks, or fails.
        """
        await self._close()
        return self._ready()

    async def _hold(self, event: Event, piece: Piece) -> None:
        channel = self._channels.get(piece.channel)
        if channel is None:
            channel = self._channels[piece.channel] = (
                Arguments(self._rewrite) if piece.is_arguments else Channel(self._check, self._window, self._on_release)
            )
        channel.add(event, piece)
        self._characters += len(piece.container[piece.key])
        channel.seen = self._characters
        if isinstance(channel, Arguments):
            if channel.is_too_long:
                raise Refusal("guard_failed", "the answer calls a tool with arguments too long to be looked at")
        elif channel.is_due:
            await channel.advance(final=False)
        # A text that nothing has come for while another grew by a window is over: it must not hold up the other.
        if len(self._channels) > 1:
            for other in self._channels.values():
                if self._characters - other.seen > 4 * self._window and not isinstance(other, Arguments):
                    await other.advance(final=True)

    async def _whole(self, event: Event, value: dict[str, Any], *, has_pieces: bool) -> None:
        """Look at an event whose texts are whole."""
        if has_pieces:
            shape: Shape | None = _CALLS
        else:
            shape = self._shape
        texts = Texts()
        if shape is None:
            texts.look_everywhere({"": value}, "")
        else:
            texts.look(value, _NESTED.get(id(shape), shape))
        if texts.slots:
            await self._check_slots(texts.slots)
            event.is_changed = texts.write() or event.is_changed

    async def _rewrite(self, document: str) -> str:
        """Return the arguments of a tool call as they may be handed on."""
        texts, holder = Texts(), {"arguments": document}
        texts.look(holder, _DOCUMENT)
        await self._check_slots(texts.slots)
        texts.write()
        return holder["arguments"]

    async def _close(self, over: frozenset[Any] = ALL) -> None:
        for name, channel in self._channels.items():
            if over is ALL or name[0] in over:
                await channel.advance(final=True)

    def _ready(self) -> list[Event]:
        ready: list[Event] = []
        while self._queue and not self._queue[0].held:
            ready.append(self._queue.popleft())
        return ready


_DOCUMENT: Final = Shape(texts=frozenset(), arguments=frozenset({"arguments"}))
# An event wraps what a whole answer is: its outermost keys are others, so none of them is left out.
_NESTED: Final = {
    id(shape): Shape(texts=shape.texts, arguments=shape.arguments, values=shape.values, skip=shape.skip)
    for wire, shape in ANSWERS.items()
    if wire in {"cohere.chat", "bedrock.converse"}
}


class GuardedStream:
    """A stream to a client under the guards of its route.

    Args:
        stages: One for each guard, in order.
    """

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._stages = stages
        self._rest = b""

    async def feed(self, data: bytes) -> bytes:
        r"""Take bytes of a stream, normally whole events, and return those that may go to the client.

        Keep-alive comments pass at once. Events stay in order; those without a change go on byte by byte.

        Raises:
            Refusal: ``guard_blocked``, or ``guard_failed`` for what cannot be looked at.
        """
        if self._rest:
            data = self._rest + data
        if not data.endswith((b"\n\n", b"\r\n\r\n")):
            whole = max(data.rfind(b"\n\n") + 2, data.rfind(b"\r\n\r\n") + 4)
            whole = 0 if whole < 4 and not data[:whole].endswith(b"\n\n") else whole
            data, self._rest = data[:whole], data[whole:]
            if len(self._rest) > _LONGEST_EVENT:
                raise Refusal("guard_failed", "the answer has an event too long to be looked at")
        else:
            self._rest = b""
        passed: list[bytes] = []
        for raw in _split(data):
            if raw.startswith(b":") and b"\ndata" not in raw:
                passed.append(raw)
                continue
            await self._pass(Event(raw, _decode(raw)), passed)
        return b"".join(passed)

    async def finish(self) -> bytes:
        """Return what was still held back, at the end of the upstream's bytes.

        Raises:
            Refusal: as ``feed``.
        """
        passed: list[bytes] = []
        if self._rest.strip():
            await self._pass(Event(self._rest, _decode(self._rest)), passed)
        self._rest = b""
        for index, stage in enumerate(self._stages):
            await self._through(await stage.finish(), index + 1, passed)
        return b"".join(passed)

    async def _pass(self, event: Event, passed: list[bytes]) -> None:
        await self._through([event], 0, passed)

    async def _through(self, events: list[Event], begin: int, passed: list[bytes]) -> None:
        for stage in self._stages[begin:]:
            following: list[Event] = []
            for event in events:
                following += await stage.feed(event)
            events = following
        passed.extend(_encode(event) if event.is_changed else event.raw for event in events)


def _split(data: bytes) -> list[bytes]:
    """Split bytes into events, each with the empty line that ends it."""
    if b"\r\n" in data:
        data = data.replace(b"\r\n", b"\n")
    return [part + b"\n\n" for part in data.split(b"\n\n") if part.strip()]


def _decode(raw: bytes) -> dict[str, Any] | None:
    """Return an event's data; None where it is no object, such as the mark of the end."""
    data = (
        raw[5:].strip()
        if raw.startswith(b"data:") and raw.find(b"\n") >= len(raw) - 2
        else b"\n".join(line[5:].strip() for line in raw.split(b"\n") if line.startswith(b"data:"))
    )
    if not data or data == b"[DONE]":
        return None
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refusal("guard_failed", "the answer has an event that cannot be looked at: it is no JSON") from error
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {"": value}


def _encode(event: Event) -> bytes:
    """Write an event that was changed."""
    without_logprobs(event.value)
    lines = [line for line in event.raw.split(b"\n") if line and not line.startswith(b"data:")]
    return b"\n".join([*lines, b"data: " + msgspec.json.encode(event.value), b"", b""])
