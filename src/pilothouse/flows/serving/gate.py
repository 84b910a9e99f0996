"""The gate: so many requests are worked on at once, so many wait, the next one is sent away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from pilothouse.flows.serving.answers import Problem
from pilothouse.flows.settings import ServingSettings

_RETRY = {"retry-after": "1"}


class Gate:
    """Counts requests in and out.

    Attributes:
        running: Requests that are worked on.
        waiting: Requests that wait for a place.
    """

    def __init__(self, settings: ServingSettings) -> None:
        self._places = asyncio.Semaphore(settings.concurrency)
        self._queue = settings.queue
        self._patience = settings.queue_timeout
        self.running = 0
        self.waiting = 0

    @asynccontextmanager
    async def passed(self) -> AsyncGenerator[None]:
        """Wait for a place and hold it.

        Raises:
            Problem: 503, when too many wait already, or no place came free in time.
        """
        if self._places.locked() and self.waiting >= self._queue:
            raise Problem(503, f"the server is busy: {self.running} requests run, {self.waiting} wait", headers=_RETRY)
        self.waiting += 1
        try:
            async with asyncio.timeout(self._patience):
                await self._places.acquire()
        except TimeoutError as error:
            raise Problem(503, f"no place came free within {self._patience:g} s", headers=_RETRY) from error
        finally:
            self.waiting -= 1
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
            self._places.release()
