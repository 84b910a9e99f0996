"""Credentials that expire: fetched beside the event loop, renewed before they end, one fetch at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from pilothouse.core.clock import Clock
from pilothouse.core.errors import ModelError
from pilothouse.models.providers import answers
from pilothouse.models.secret import Secret

T = TypeVar("T")

_EARLY: Final = 300.0
_LEAST: Final = 60.0
_PATIENCE: Final = 30.0


class Renewed(Generic[T]):
    """Keeps one credential good.

    Args:
        fetch: Gets a new one and the second since 1970 at which it ends; it may block, and raises ``faults``.
        faults: The exceptions of the vendor that mean that none can be had.
        where: The connection, for messages.
        secrets: What must never show in a message.
        clock: Tells when a credential ends.
    """

    def __init__(
        self,
        fetch: Callable[[], tuple[T, float]],
        *,
        faults: tuple[type[Exception], ...],
        where: str,
        secrets: tuple[Secret, ...],
        clock: Clock,
    ) -> None:
        self._fetch = fetch
        self._faults = faults
        self._where = where
        self._secrets = secrets
        self._clock = clock
        self._value: T | None = None
        self._ends = 0.0
        self._running: asyncio.Task[None] | None = None

    @property
    def value(self) -> T:
        """The credential.

        Raises:
            ModelError: before the first fetch.
        """
        if self._value is None:
            raise ModelError("no credential was fetched yet", status=401, retryable=True, where=self._where)
        return self._value

    def forget(self) -> None:
        """Have it fetched anew: the vendor said that it is not good any more."""
        self._ends = 0.0

    async def ready(self) -> None:
        """Make sure that it holds for the next minute.

        One that ends within five minutes is renewed beside the calls that still use it.

        Raises:
            ModelError: when none can be had.
        """
        left = self._ends - self._clock.now().timestamp()
        if left > _EARLY:
            return
        running = self._running
        if running is None or running.done() or running.get_loop() is not asyncio.get_running_loop():
            running = self._running = asyncio.create_task(self._renew())
            # Where nobody waits for it any more its failure is told by the next call.
            running.add_done_callback(_noticed)
        if left > _LEAST:
            return
        try:
            async with asyncio.timeout(_PATIENCE):
                await asyncio.shield(running)
        except TimeoutError as error:
            raise ModelError("no credential came in time", retryable=True, where=self._where) from error

    async def close(self) -> None:
        """End a fetch under way."""
        if self._running is not None:
            self._running.cancel()
            self._running = None

    async def _renew(self) -> None:
        try:
            self._value, self._ends = await asyncio.to_thread(self._fetch)
        except self._faults as error:
            # The cause is left out: it may quote what must not be seen.
            raise ModelError(
                f"no credential can be had: {answers.clean(str(error), self._secrets)}",
                status=401,
                retryable=False,
                where=self._where,
                fix="check the credentials of the connection: pilothouse connection show NAME",
            ) from None


def _noticed(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()
