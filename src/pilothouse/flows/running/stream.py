"""A line that is heard while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Self

from pilothouse.flows.results import LineResult
from pilothouse.flows.running.attempt import Attempt
from pilothouse.flows.running.listening import Event, Known, Listener
from pilothouse.flows.running.plan import Plan

Begin = Callable[[Listener], Attempt]
Finish = Callable[[Attempt], Awaitable[LineResult]]


class LineStream:
    """One running line: iterate over what it says, then look at its `result`. Use it as an async context manager.

    The line runs by itself, at most `WAITING` pieces ahead of its listener. Leaving early stops it: the model's stream
    is closed, a sync generator is closed at its next piece, and every span ends.

    Args:
        plan: What is run.
        begin: Makes the attempt that the listener hears.
        finish: Runs it to its result.
    """

    def __init__(self, plan: Plan, begin: Begin, finish: Finish) -> None:
        self._plan = plan
        self._begin = begin
        self._finish = finish
        self._listener: Listener | None = None
        self._attempt: Attempt | None = None
        self._task: asyncio.Task[LineResult] | None = None
        self._told: set[str] = set()

    @property
    def streams(self) -> bool:
        """Whether some output is certain to come piece by piece; others may still, as a function returns them."""
        return self._plan.streams

    @property
    def trace_id(self) -> str | None:
        """The trace of the line, 32 hexadecimal digits; None when it is not recorded."""
        return self._attempt.trace_id if self._attempt is not None else None

    @property
    def is_done(self) -> bool:
        """Whether the line has ended."""
        return self._task is not None and self._task.done()

    @property
    def result(self) -> LineResult:
        """What became of the line, its streams joined; there when the iteration has ended."""
        assert self._task is not None
        return self._task.result()

    async def finish(self) -> LineResult:
        """Return the result; what has not been taken is passed over."""
        async for _ in self:
            pass
        return self.result

    async def __aenter__(self) -> Self:
        listener = self._listener = Listener(self._plan)
        attempt = self._attempt = self._begin(listener)
        self._task = asyncio.create_task(self._run(attempt, listener))
        return self

    async def _run(self, attempt: Attempt, listener: Listener) -> LineResult:
        try:
            return await self._finish(attempt)
        finally:
            listener.end()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._listener is not None:
            self._listener.close()
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def __aiter__(self) -> AsyncIterator[Event]:
        assert self._listener is not None
        assert self._task is not None
        while (event := await self._listener.take()) is not None:
            self._told.update(event.outputs if isinstance(event, Known) else (event.output,))
            yield event
        outputs = (await self._task).outputs
        # What did not stream after all: an answer of the cache, the message of a tool call, a bypassed node's null.
        rest = {name: value for name, value in outputs.items() if name not in self._told}
        if rest:
            self._told.update(rest)
            yield Known(rest)
