"""What is heard of a line while it runs: pieces of outputs that stream, and the others once they are known."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

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

T = TypeVar("T")


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
        self._coming = 0
        self._for_threads = threading.Condition()
        self._is_closed = self._has_ended = False
        self._taps = plan.taps
        streamed = {place for place in plan.taps if plan.nodes[place].work.streams}
        # What may stream and does not is told with the others; what does leaves them with its first piece.
        self._specs = [spec for spec in plan.outputs if spec.slot not in streamed]
        self._unsettled = {spec.slot for spec in self._specs if spec.slot is not None}
        self._read: Callable[[OutputSpec], Any] = _nothing

    # For nodes

    def begin(self, read: Callable[[OutputSpec], Any]) -> None:
        """Begin to listen to a line; ``read`` gives an output of it whose node has run."""
        self._read = read
        self._tell_known()

    def tap(self, place: int) -> Tap | None:
        """Return the tap of a node; None where its output does not stream."""
        names = self._taps.get(place)
        return None if names is None else _NodeTap(self, place, names)

    def settled(self, place: int) -> None:
        """Note that a node has its output; the outputs beside the streams are told when all of them are known."""
        self._soon(self._settle, place)

    def _settle(self, place: int) -> None:
        if place in self._unsettled:
            self._unsettled.discard(place)
            self._tell_known()

    def streaming(self, place: int) -> None:
        """Note that the output of a node comes in pieces."""
        self._soon(self._stream, place)

    def _stream(self, place: int) -> None:
        if place in self._unsettled:
            self._specs = [spec for spec in self._specs if spec.slot != place]
            self._settle(place)

    def _tell_known(self) -> None:
        if self._specs and not self._unsettled:
            specs, self._specs = self._specs, []
            # A reference that leads nowhere fails the line when it ends.
            with suppress(FlowError):
                self._add(Known({spec.name: self._read(spec) for spec in specs}))

    def tell(self, event: Event) -> None:
        """Add an event, from any thread, without waiting for room."""
        self._soon(self._add, event)

    def _soon(self, call: Callable[[T], None], argument: T) -> None:
        if threading.get_ident() == self._thread:
            call(argument)
        else:
            with suppress(RuntimeError):  # a loop that is closed hears nothing
                self._loop.call_soon_threadsafe(call, argument)

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
        # The loop itself is not waited for: one that stops meanwhile would never answer.
        with self._for_threads:
            self._for_threads.wait_for(lambda: self._is_closed or self._coming + len(self._events) < WAITING)
            if self._is_closed:
                raise ListenerLeft("nobody listens any more")
            self._coming += 1
        try:
            self._loop.call_soon_threadsafe(self._arrive, event)
        except RuntimeError as error:
            raise ListenerLeft("the event loop is closed") from error

    def _arrive(self, event: Event) -> None:
        with self._for_threads:
            self._coming -= 1
        self._add(event)

    # For the one who listens

    async def take(self) -> Event | None:
        """Return the next event; None at the end."""
        while not self._events and not self._has_ended:
            self._more.clear()
            await self._more.wait()
        if not self._events:
            return None
        with self._for_threads:
            event = self._events.popleft()
            self._for_threads.notify()
        self._room.set()
        return event

    def end(self) -> None:
        """Say that the line gives no more."""
        self._has_ended = True
        self._more.set()

    def close(self) -> None:
        """Listen no more: whoever waits for room is told."""
        with self._for_threads:
            self._is_closed = True
            self._for_threads.notify_all()
        self._room.set()


def _nothing(spec: OutputSpec) -> None:
    """Stand in until there is a line."""


class _NodeTap:
    """Gives the pieces of one node the names of the outputs that it is."""

    def __init__(self, listener: Listener, place: int, names: tuple[str, ...]) -> None:
        self._listener = listener
        self._place = place
        self._names = names
        self._is_first = True

    def _begin(self) -> None:
        if self._is_first:
            self._is_first = False
            self._listener.streaming(self._place)

    def known(self, outputs: Mapping[str, Any]) -> None:
        self._listener.tell(Known(dict(outputs)))

    async def put(self, piece: Any, output: str | None) -> None:
        self._begin()
        for name in self._names or (output or _OUTPUT,):
            await self._listener.put(Piece(name, piece))

    def put_from_thread(self, piece: Any, output: str | None) -> None:
        self._begin()
        for name in self._names or (output or _OUTPUT,):
            self._listener.put_from_thread(Piece(name, piece))
