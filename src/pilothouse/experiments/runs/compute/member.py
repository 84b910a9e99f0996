"""A worker on Ray as the driver sees it."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any

from pilothouse.core.errors import ConfigError
from pilothouse.core.version import VERSION
from pilothouse.experiments.runs.compute.actor import RayWorker
from pilothouse.experiments.runs.compute.types import Hello, NoRoom, RayOrder, WorkerLost
from pilothouse.experiments.runs.isolation.types import Opening, Report, decode_report, encode_order


class Member:
    """One worker: an actor that has a processor for itself.

    Args:
        ray: Ray's module, connected.
    """

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._actor = ray.remote(RayWorker).options(num_cpus=1, max_restarts=0).remote()

    async def begin(self, wait: float) -> Hello:
        """Wait until it runs.

        Args:
            wait: Seconds in which the cluster has to find a place for it.

        Raises:
            NoRoom: when it does not.
            ConfigError: when Pilothouse is missing there, or is of another version.
        """
        try:
            async with asyncio.timeout(wait):
                hello: Hello = await self._said(self._actor.hello.remote())
        except TimeoutError as error:
            raise NoRoom(
                f"Ray had no free processor for a worker within {wait:g} s ({_processors(self._ray)})",
                expected="one free processor for each worker",
                fix="use fewer workers (--workers), wait until others have ended, or let it wait longer: "
                "runs.compute_wait",
            ) from error
        except WorkerLost as lost:
            raise ConfigError(
                "a worker cannot be started on Ray",
                expected=f"pilothouse {VERSION} on every machine of the cluster",
                fix=str(lost.__cause__ or lost).strip(),
            ) from lost
        if (hello.pilothouse, _minor(hello.python)) != (VERSION, _minor(platform.python_version())):
            raise ConfigError(
                f"the worker on {hello.node} has pilothouse {hello.pilothouse} on Python {hello.python}",
                expected=f"pilothouse {VERSION} on Python {platform.python_version()}, as here",
                fix="install the same versions on every machine of the cluster",
            )
        return hello

    async def open(self, opening: Opening, shipment: Any) -> Report:
        """Have it open the flow.

        Variables are an argument of a call, which Ray passes from process to process; nothing of it is recorded by
        the cluster, as arguments of an actor's creation or a runtime environment would be.

        Raises:
            WorkerLost: when it ends instead.
        """
        return decode_report(await self._said(self._actor.open.remote(encode_order(opening), shipment)))

    def tell(self, *orders: RayOrder) -> None:
        """Tell it what to do; whether it lives is seen by `hear`."""
        self._actor.tell.remote([encode_order(order) for order in orders])

    async def hear(self) -> list[Report]:
        """Return its next reports.

        Raises:
            WorkerLost: when it ended instead.
        """
        return [decode_report(data) for data in await self._said(self._actor.listen.remote())]

    async def leave(self, within: float) -> list[Report]:
        """Let it end tidily, and return what it still had to say; nothing when it does not end in time."""
        with suppress(TimeoutError, WorkerLost):
            async with asyncio.timeout(within):
                return [decode_report(data) for data in await self._said(self._actor.leave.remote())]
        return []

    def kill(self) -> None:
        """End it, whatever it does."""
        with suppress(self._ray.exceptions.RayError):
            self._ray.kill(self._actor)

    async def _said(self, answer: Awaitable[Any]) -> Any:
        try:
            return await answer
        except self._ray.exceptions.RayError as error:
            raise WorkerLost(f"the worker on Ray has ended: {_first_line(error)}") from error


def _processors(ray: Any) -> str:
    free, total = (sizes.get("CPU", 0.0) for sizes in (ray.available_resources(), ray.cluster_resources()))
    return f"{free:g} of {total:g} free"


def _minor(version: str) -> str:
    return version.rpartition(".")[0]


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
