"""What is heard of a line while it runs: pieces of outputs that stream, and the others once they are known."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from msgspec import Struct

from pilothouse.core.errors import FlowError
from pilothouse.flows.running.plan import OutputSpec, Plan
from pilothouse.flows.streaming.taps import Tap

WAITING = 64
"""Pieces that may wait for the one who listens; the node that gives more waits itself."""

_OUTPUT = "output"


class Known(Struct, frozen=True):
    """Outputs that are there as a whole."""

    outputs: dict[str, Any]


class Piece(Struct, frozen=True):
    """The next piece of an output."""

    output: str
    value: Any

    @property
    def text(self) -> str:
        """The piece as the joined output has it."""
        return str(self.value)


Event = Known | Piece


class ListenerLeft(Exception):
    """Nobody listens any more."""


class Listener:
    """The one place where the events of a line wait to be taken.

    Make it on the event loop that takes them.

    Args:
        plan: What the line runs.
    """

    def __init__(self, plan: Plan) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._events: deque[Event] = deque()
        self._more, self._room = asyncio.Event(), asyncio.Event()
        self._is_closed = self._has_ended = False
        self._taps = plan.taps
        streamed = {name for names in plan.taps.values() for name in names}
        self._specs = [spec for spec in plan.outputs if spec.name not in streamed]
        self._unsettled = {spec.slot for spec in self._specs if spec.slot is not None}

    # For nodes

    def tap(self, place: int) -> Tap | None:
        """Return the tap of a node; None where its output does not stream."""
        names = self._taps.get(place)
        return None if names is None else _NodeTap(self, names)

    def settled(self, place: int, read: Callable[[OutputSpec], Any]) -> None:
        """Note that a node has its output; the outputs beside the streams are told when all of them are known.

        Args:
            place: The node.
            read: Gives an output.
        """
        if threading.get_ident() == self._thread:
            self._settle(place, read)
        else:
            with suppress(RuntimeError):  # a loop that is closed hears nothing
                self._loop.call_soon_threadsafe(self._settle, place, read)

    def _settle(self, place: int, read: Callable[[OutputSpec], Any]) -> None:
        self._unsettled.discard(place)
        if self._specs and not self._unsettled:
            specs, self._specs = self._specs, []
            # A reference that leads nowhere fails the line when it ends.
            with suppress(FlowError):
                self.tell(Known({spec.name: read(spec) for spec in specs}))

    def tell(self, event: Event) -> None:
        """Add an event, from any thread, without waiting for room."""
        if threading.get_ident() == self._thread:
            self._add(event)
        else:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._add, event)

    def _add(self, event: Event) -> None:
        self._events.append(event)
        self._more.set()

    async def put(self, event: Event) -> None:
        """Add an event as soon as there is room for it.

        Raises:
            ListenerLeft: when nobody listens any more.
        """
        if asyncio.get_running_loop() is not self._loop:
            self.put_from_thread(event)
            return
        while len(self._events) >= WAITING and not self._is_closed:
            self._room.clear()
            await self._room.wait()
        if self._is_closed:
            raise ListenerLeft("nobody listens any more")
        self._add(event)

    def put_from_thread(self, event: Event) -> None:
        """Do what `put` does, in a thread that may block."""
        waiting = self.put(event)
        try:
            asyncio.run_coroutine_threadsafe(waiting, self._loop).result()
        except RuntimeError as error:
            waiting.close()
            raise ListenerLeft("the event loop is closed") from error

    # For the one who listens

    async def take(self) -> Event | None:
        """Return the next event; None at the end."""
        while not self._events and not self._has_ended:
            self._more.clear()
            await self._more.wait()
        if not self._events:
            return None
        event = self._events.popleft()
        self._room.set()
        return event

    def end(self) -> None:
        """Say that the line gives no more."""
        self._has_ended = True
        self._more.set()

    def close(self) -> None:
        """Listen no more: whoever waits for room is told."""
        self._is_closed = True
        self._room.set()


class _NodeTap:
    """Gives the pieces of one node the names of the outputs that it is."""

    def __init__(self, listener: Listener, names: tuple[str, ...]) -> None:
        self._listener = listener
        self._names = names

    def known(self, outputs: Mapping[str, Any]) -> None:
        self._listener.tell(Known(dict(outputs)))

    async def put(self, piece: Any, output: str | None) -> None:
        for name in self._names or (output or _OUTPUT,):
            await self._listener.put(Piece(name, piece))

    def put_from_thread(self, piece: Any, output: str | None) -> None:
        for name in self._names or (output or _OUTPUT,):
            self._listener.put_from_thread(Piece(name, piece))
