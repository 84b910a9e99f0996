"""What is recorded of a line: its row, with tokens and cost, encoded."""

from __future__ import annotations

import traceback
from decimal import Decimal

import msgspec

from pilothouse.core.clock import Clock
from pilothouse.core.errors import PilothouseError
from pilothouse.experiments.runs.engine.lines import Line
from pilothouse.experiments.runs.engine.pricing import Tariffs
from pilothouse.experiments.runs.journal import Recorded
from pilothouse.experiments.runs.rowcodec import encode_row
from pilothouse.experiments.runs.types import NO_USAGE, RunRow
from pilothouse.flows.results import ErrorInfo, LineResult, NodeResult
from pilothouse.models.types import Usage

#: Type of the error of what took too long.
TIMEOUT = "Timeout"

Outcome = LineResult | Exception | None
"""What came of a line; None when it could not even be begun."""


class RowMaker:
    """Makes rows; threads may share it.

    Args:
        attempt: The run's attempt.
        timeout: Seconds a row may take, for the message of one that hangs.
        remedy: What the error of a row that took too long says besides.
        tariffs: What calls cost.
        clock: Where the time comes from.
    """

    def __init__(
        self, *, attempt: int, timeout: float | None, tariffs: Tariffs, clock: Clock, remedy: str = ""
    ) -> None:
        self.attempt = attempt
        self._remedy = remedy
        self._timeout = timeout
        self._tariffs = tariffs
        self._clock = clock

    def __call__(self, line: Line, outcome: Outcome) -> Recorded:
        """Return the row of a line and its encoded form."""
        row = self._ran(line, outcome) if isinstance(outcome, LineResult) else self._failed(line, outcome)
        return row, encode_row(row)

    def priced(self, row: RunRow, line: bytes) -> Recorded:
        """Return a row that was made without prices, and its encoded form, with what its nodes cost."""
        if all(node.model is None for node in row.nodes):
            return row, line
        spent = cost_of(row.nodes, self._tariffs)
        row = msgspec.structs.replace(row, cost=spent.cost, cached_cost=spent.cached_cost, unpriced=spent.unpriced)
        return row, encode_row(row)

    def _ran(self, line: Line, result: LineResult) -> RunRow:
        spent = cost_of(result.nodes, self._tariffs)
        return RunRow(
            line_id=line.line_id,
            number=line.number,
            repeat=line.repeat,
            status=result.status,
            inputs=result.inputs or line.inputs or {},
            outputs=result.outputs,
            nodes=result.nodes,
            usage=_kept(result.usage),
            cached_usage=_kept(result.cached_usage),
            cost=spent.cost,
            cached_cost=spent.cached_cost,
            unpriced=spent.unpriced,
            cached=result.usage == NO_USAGE and any(node.status == "cached" for node in result.nodes),
            duration=result.duration,
            error=self._remedied(result.error),
            trace_id=result.trace_id,
            attempt=self.attempt,
            ended_at=self._clock.now().timestamp(),
            notes=result.notes,
        )

    def _failed(self, line: Line, error: Exception | None) -> RunRow:
        timed_out = isinstance(error, TimeoutError)
        return RunRow(
            line_id=line.line_id,
            number=line.number,
            repeat=line.repeat,
            status="missing" if line.is_missing else "failed",
            inputs=line.inputs or {},
            duration=(self._timeout or 0.0) if timed_out else 0.0,
            error=line.error if error is None else self._info(error),
            attempt=self.attempt,
            ended_at=self._clock.now().timestamp(),
        )

    def _remedied(self, error: ErrorInfo | None) -> ErrorInfo | None:
        if error is None or not is_time_limit(error):
            return error
        return msgspec.structs.replace(error, message=error.message + self._remedy)

    def _info(self, error: Exception) -> ErrorInfo:
        if isinstance(error, TimeoutError):
            return ErrorInfo(type=TIMEOUT, message=f"the row took longer than {self._timeout:g} s{self._remedy}")
        if isinstance(error, PilothouseError):
            return ErrorInfo(type=type(error).__name__, message=str(error))
        return ErrorInfo(
            type=type(error).__name__, message=str(error), traceback="".join(traceback.format_exception(error))
        )


def is_time_limit(error: ErrorInfo | None) -> bool:
    """Return whether a row, or a node of it, took longer than it may; user code has timeouts of its own."""
    return error is not None and error.type == TIMEOUT and error.traceback is None


def _kept(usage: Usage) -> Usage:
    # A default that is the same object is left out of the record.
    return usage if usage != NO_USAGE else NO_USAGE


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What nodes cost; see `Totals`."""

    cost: Decimal | None = None
    cached_cost: Decimal | None = None
    unpriced: int = 0


def cost_of(nodes: tuple[NodeResult, ...], tariffs: Tariffs) -> Spent:
    """Return what nodes cost."""
    cost: Decimal | None = None
    cached_cost: Decimal | None = None
    unpriced = 0
    for node in nodes:
        if node.model is None:
            continue
        usage = node.cached_usage if node.status == "cached" else node.usage
        price = tariffs.cost(node.provider or "", node.model, usage) if usage is not None else None
        if price is None:
            unpriced += node.status == "completed"
        elif node.status == "cached":
            cached_cost = (cached_cost or Decimal(0)) + price
        else:
            cost = (cost or Decimal(0)) + price
    return Spent(cost=cost, cached_cost=cached_cost, unpriced=unpriced)
