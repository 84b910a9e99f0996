"""What every worker has, whoever started it: the open flow, the parent's node cache, and the project's services."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar, cast

from msgspec.structs import replace

from pilothouse.core.clock import Clock, SystemClock
from pilothouse.core.environment import Environment
from pilothouse.core.settings import Settings
from pilothouse.experiments.runs.engine.opening import run_flow, run_limits
from pilothouse.experiments.runs.engine.outcome import RowMaker
from pilothouse.experiments.runs.engine.pricing import Tariffs
from pilothouse.experiments.runs.isolation.types import Answer, Asked, Kept, Opening, Ready, Report
from pilothouse.flows.results import AggregationResult, LineResult
from pilothouse.models.types import Usage

T = TypeVar("T")


class Desk:
    """The open flow, and what rows are made with. Use it as a context manager.

    Args:
        opening: What is opened.
        cache: Answers in place of nodes.

    Attributes:
        runner: The open flow.
        timeout: Seconds a row may take.
        clock: Where the time comes from.
    """

    def __init__(self, opening: Opening, cache: ParentsCache | None) -> None:
        self._services = WorkerServices(opening)
        self.clock = self._services.clock
        self.runner = run_flow(self._services, opening.run, opening.flow, opening.spec, cache)
        self.timeout = run_limits(self._services, opening.spec).line_timeout
        # The catalogue of prices costs half a second to load: the parent alone knows what rows cost.
        self._tariffs = Tariffs(_no_price, datetime.now(UTC))
        self._finish: dict[int, RowMaker] = {}

    def __enter__(self) -> Desk:
        self.runner.open()
        # Tools that open files by relative names find them; this process does nothing else.
        os.chdir(self.runner.folder)
        return self

    def __exit__(self, *_: object) -> None:
        self.runner.close()
        self._services.close()

    @property
    def ready(self) -> Ready:
        """Say that the flow is open, and what its rows need."""
        runner = self.runner
        return Ready(slots=runner.slots, is_sync=runner.is_sync, needed=tuple(runner.needs_for_aggregation))

    def finish(self, attempt: int, remedy: str = "") -> RowMaker:
        """Return what makes the rows of an attempt, without prices."""
        if attempt not in self._finish:
            self._finish[attempt] = RowMaker(
                attempt=attempt,
                timeout=self.timeout,
                remedy=remedy,
                tariffs=self._tariffs,
                clock=self.clock,
            )
        return self._finish[attempt]

    async def gather(self, lines: Sequence[LineResult]) -> AggregationResult:
        """Aggregate completed lines; what the nodes returned is left out."""
        made = await self.runner.aggregate(lines)
        return replace(made, nodes=tuple(replace(node, output=None) for node in made.nodes))


def _no_price(_provider: str, _model: str, _usage: Usage, _at: datetime) -> None:
    return None


class ParentsCache:
    """The node cache, which the parent keeps for all workers.

    Args:
        tell: Sends a report to the parent.
    """

    def __init__(self, tell: Callable[[Report], None]) -> None:
        self._tell = tell
        self._asked: dict[int, asyncio.Future[bytes | None]] = {}
        self._count = 0

    async def get(self, key: str) -> bytes | None:
        """Return an entry, or None when there is none."""
        self._count += 1
        future = self._asked[self._count] = asyncio.get_running_loop().create_future()
        self._tell(Asked(self._count, key))
        return await future

    async def put(self, key: str, value: bytes) -> None:
        """Send an entry."""
        self._tell(Kept(key, value))

    def answered(self, answer: Answer) -> None:
        """Give an answer to who asked, unless that was cancelled."""
        future = self._asked.pop(answer.number)
        if not future.cancelled():
            future.set_result(answer.value)


class WorkerServices:
    """The project as a flow needs it: connections and spans. The database stays with the parent.

    Args:
        opening: Where the project is, and its variables.
    """

    def __init__(self, opening: Opening) -> None:
        self.root: Path = opening.root
        self.state: Path = opening.state
        self.settings = Settings.load(opening.root, Environment(opening.variables))
        self.clock: Clock = SystemClock()
        self._built: dict[type[Any], Any] = {}

    def get(self, kind: type[T]) -> T:
        """Return the one instance of ``kind``."""
        if kind not in self._built:
            self._built[kind] = self._made(kind)
        return cast("T", self._built[kind])

    def _made(self, kind: Any) -> object:
        return kind.build(self)

    def close(self) -> None:
        """Close what was built, the last first: spans are written."""
        for part in reversed(self._built.values()):
            part.close()
