"""Access tokens that expire: fetched beside the event loop, renewed before they end, one fetch at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from pilothouse.core.clock import Clock
from pilothouse.core.errors import ModelError, UserError
from pilothouse.models.providers import answers
from pilothouse.models.secret import Secret

Fetch = Callable[[], tuple[str, float]]
"""Returns a token and the second since 1970 at which it ends; blocks, and raises what its vendor raises."""

_EARLY: Final = 300.0
_LEAST: Final = 60.0
_PATIENCE: Final = 30.0


class TokenSource:
    """Keeps one token good.

    Args:
        fetch: Gets a new one.
        faults: The exceptions of the vendor that mean that none can be had.
        where: The connection, for messages.
        clock: Tells when a token ends.
    """

    def __init__(self, fetch: Fetch, *, faults: tuple[type[Exception], ...], where: str, clock: Clock) -> None:
        self._fetch = fetch
        self._faults = faults
        self._where = where
        self._clock = clock
        self._header = Secret("")
        self._ends = 0.0
        self._running: asyncio.Task[None] | None = None

    @property
    def header(self) -> Secret:
        """The value of the header ``authorization``; empty before the first fetch."""
        return self._header

    def forget(self) -> None:
        """Have the token fetched anew: the vendor said that it is not good any more."""
        self._ends = 0.0

    async def ready(self) -> None:
        """Make sure that the token holds for the next minute.

        A token that ends within five minutes is renewed beside the calls that still use it.

        Raises:
            ModelError: when none can be had.
        """
        left = self._ends - self._clock.now().timestamp()
        if left > _EARLY:
            return
        if self._running is None or self._running.done() or self._running.get_loop() is not asyncio.get_running_loop():
            self._running = asyncio.create_task(self._renew())
            # Where nobody waits for it any more its failure is told by the next call.
            self._running.add_done_callback(_noticed)
        if left > _LEAST:
            return
        try:
            async with asyncio.timeout(_PATIENCE):
                await asyncio.shield(self._running)
        except TimeoutError as error:
            raise ModelError("no access token came in time", retryable=True, where=self._where) from error

    async def close(self) -> None:
        """End a fetch under way."""
        if self._running is not None:
            self._running.cancel()
            self._running = None

    async def _renew(self) -> None:
        try:
            token, ends = await asyncio.to_thread(self._fetch)
        except UserError:
            raise
        except self._faults as error:
            raise ModelError(
                f"no access token can be had: {answers.clean(str(error), (self._header,))}",
                status=401,
                retryable=False,
                where=self._where,
                fix="check the credentials of the connection",
            ) from None
        self._header, self._ends = Secret(f"Bearer {token}"), ends


def _noticed(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()
