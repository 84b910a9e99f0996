"""The tap: where a node that streams hands its pieces on, while its own output is put together as ever."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping
from contextvars import ContextVar
from typing import Any, Protocol


class Tap(Protocol):
    """Who listens to one node of one line. Both ways to put wait while the listener has enough."""

    def known(self, outputs: Mapping[str, Any]) -> None:
        """Take outputs that stand beside those that stream."""
        ...

    async def put(self, piece: Any, output: str | None) -> None:
        """Take a piece, on the event loop."""
        ...

    def put_from_thread(self, piece: Any, output: str | None) -> None:
        """Take a piece, in a thread that may block."""
        ...


tap: ContextVar[Tap | None] = ContextVar("pilothouse_tap", default=None)
"""Set around a node whose output streams; None everywhere else."""


def read(items: Iterable[Any], output: str | None = None) -> list[Any]:
    """Read a sync generator to its end; each item goes to the tap before the next one is asked for.

    Args:
        items: The generator.
        output: The output that it stands for, where the node gives several.
    """
    listener = tap.get()
    if listener is None:
        return list(items)
    found: list[Any] = []
    try:
        for item in items:
            found.append(item)
            listener.put_from_thread(item, output)
    finally:
        # Whoever stops listening stops the generator: it must not work on for nobody.
        close = getattr(items, "close", None)
        if close is not None:
            close()
    return found


async def read_async(items: AsyncIterable[Any], output: str | None = None) -> list[Any]:
    """Read an async generator to its end; see `read`."""
    listener = tap.get()
    found: list[Any] = []
    try:
        async for item in items:
            found.append(item)
            if listener is not None:
                await listener.put(item, output)
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            await close()
    return found


def tell_known(outputs: Mapping[str, Any]) -> None:
    """Tell the tap of outputs that are there before the others have streamed."""
    listener = tap.get()
    if listener is not None and outputs:
        listener.known(outputs)
