"""Where the rows of an attempt run: here, or in processes of their own. Both make the same records."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Protocol

from msgspec import Struct

from pilothouse.experiments.runs.engine.feed import Feed
from pilothouse.experiments.runs.engine.lines import Line
from pilothouse.experiments.runs.engine.loop import Engine, EngineOptions
from pilothouse.experiments.runs.engine.outcome import RowMaker
from pilothouse.experiments.runs.engine.progress import Meter
from pilothouse.experiments.runs.interrupts import Stop
from pilothouse.experiments.runs.journal import Journal, RowWriter
from pilothouse.experiments.runs.settings import RunSettings
from pilothouse.flows.results import AggregationResult, LineResult
from pilothouse.flows.runner import FlowRunner


class Batch(Struct, frozen=True, kw_only=True):
    """The lines of one attempt and what is done with them.

    Attributes:
        lines: What is to be run.
        writer: The open journal.
        finish: Makes the recorded row of a line.
        stop: Whether somebody asked to stop.
        meter: Shows what is in flight.
        concurrency: Rows in flight, where the run says so.
    """

    lines: Iterator[Line]
    writer: RowWriter
    finish: RowMaker
    stop: Stop
    meter: Meter
    concurrency: int | None


class Backend(Protocol):
    """Runs lines and aggregates them."""

    @property
    def timeout(self) -> float | None:
        """Seconds a row may take."""
        ...

    @property
    def remedy(self) -> str:
        """What the error of a row that took too long says besides."""
        ...

    async def run(self, batch: Batch) -> bool:
        """Run lines until none is left or somebody asks to stop; return whether every one has an outcome.

        Raises:
            DataError: when the data cannot be read any further; the rows before that are recorded.
            StorageError: when rows cannot be recorded.
        """
        ...

    async def aggregate(self, journal: Journal) -> AggregationResult:
        """Aggregate the completed rows of a journal."""
        ...


class InProcess:
    """Rows in this process: on its event loop, sync tools in threads.

    Args:
        runner: The open flow.
        settings: How batches behave.
    """

    remedy = "; a tool that hangs cannot be stopped in its thread: with --isolation process it is killed"

    def __init__(self, runner: FlowRunner, settings: RunSettings) -> None:
        self._runner = runner
        self._settings = settings

    @property
    def timeout(self) -> float | None:
        """Seconds a row may take."""
        return self._runner.settings.line_timeout

    async def run(self, batch: Batch) -> bool:
        """Run lines, many at once."""
        runner, settings = self._runner, self._settings
        most = most_in_flight(settings, is_sync=runner.is_sync, slots=runner.slots)
        engine = Engine(
            runner,
            feed=Feed(batch.lines, batch.stop, batch.meter),
            writer=batch.writer,
            finish=batch.finish,
            options=EngineOptions(concurrency=batch.concurrency or most, timeout=self.timeout, grace=settings.grace),
            stop=batch.stop,
            meter=batch.meter,
        )
        await engine.run()
        return engine.is_complete

    async def aggregate(self, journal: Journal) -> AggregationResult:
        """Aggregate the completed rows of a journal."""
        lines = await asyncio.to_thread(completed_lines, journal, self._runner.needs_for_aggregation)
        return await self._runner.aggregate(lines)


def most_in_flight(settings: RunSettings, *, is_sync: bool, slots: int | None) -> int:
    """Return the rows that a process has in flight, where the run does not say.

    Args:
        settings: How batches behave.
        is_sync: Whether the flow is of plain Python functions.
        slots: Lines that the flow's models serve at once, where they say so.
    """
    return settings.threads if is_sync else min(settings.concurrency, slots or settings.concurrency)


def completed_lines(journal: Journal, needed: Sequence[str]) -> list[LineResult]:
    """Return all completed lines in input order, whenever and by whichever attempt they were run.

    Args:
        journal: The rows.
        needed: The nodes that aggregation reads; nothing else of the lines is kept.
    """
    return [
        LineResult(
            line_number=row.number * journal.repeat + row.repeat,
            status="completed",
            inputs=row.inputs,
            nodes=tuple(node for node in row.nodes if node.node in needed),
        )
        for row in journal.rows(status="completed")
    ]
