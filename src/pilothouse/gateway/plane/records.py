"""What ended calls leave behind: a span, a ledger row and figures each, made for several in a row.

Measured, it costs half of what it costs between two steps of other calls, whose code and data it would push out of the
processor's caches.
"""

from __future__ import annotations

import asyncio
import sys
import traceback
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace
from opentelemetry.trace import Tracer

from pilothouse.gateway.ledger.writer import LedgerWriter
from pilothouse.gateway.plane.call import Call
from pilothouse.gateway.plane.metrics import Metrics
from pilothouse.gateway.types import LedgerEntry
from pilothouse.tracing import conventions as names
from pilothouse.tracing.completed import CompletedSpans, remote_parent

CALL: Final = "pilothouse.gateway.call"
KEY: Final = "pilothouse.gateway.key"
ROUTE: Final = "pilothouse.gateway.route"
DEPLOYMENT: Final = "pilothouse.gateway.deployment"
CONFIG: Final = "pilothouse.gateway.config"
ATTEMPTS: Final = "pilothouse.gateway.attempts"
OVERHEAD: Final = "pilothouse.gateway.overhead_ms"
COST: Final = "pilothouse.cost.nano_dollars"
ARM: Final = "pilothouse.experiment.arm"

MOST_WAITING: Final = 16
"""Calls that are told of in a row: about a millisecond in which no other call goes on."""

LARGEST_WAITING: Final = 65_536
"""Bytes of the longest request that is kept in memory for the sake of a row."""

LONGEST_WAIT: Final = 0.02
"""Seconds that a call's row waits for others at most."""

_OPERATIONS: Final = {"chat": names.CHAT, "embeddings": names.EMBEDDINGS}


class Ended(Struct, frozen=True):
    """A call that is over.

    Attributes:
        call: All that became of it.
        took: Nanoseconds from its arrival to its end.
        overhead: Nanoseconds of these that were the gateway's own.
        given_up: Attempts that may be billed though they were given up.
        may_cost: The most that may be billed for them, nano-dollars; None where that is not known.
    """

    call: Call
    took: int
    overhead: int
    given_up: int = 0
    may_cost: int | None = None


class Records:
    """Tells of ended calls; of one at once where no other call is under way.

    Args:
        ledger: Where rows go.
        tracer: Who makes spans.
        metrics: What is counted.

    Attributes:
        begin_span: Names a call's span before it is told; see ``CompletedSpans.begin``.
    """

    def __init__(self, ledger: LedgerWriter, tracer: Tracer, metrics: Metrics) -> None:
        self._ledger = ledger
        self._spans = CompletedSpans(tracer)
        self.begin_span = self._spans.begin
        self._metrics = metrics
        self._ended: list[Ended] = []
        self._flushing: asyncio.TimerHandle | None = None

    def put(self, ended: Ended) -> None:
        """Take an ended call in."""
        self._ended.append(ended)
        is_large = len(ended.call.raw) > LARGEST_WAITING
        if is_large or len(self._ended) >= MOST_WAITING or self._metrics.in_flight <= 1:
            self.flush()
        elif self._flushing is None:
            self._flushing = asyncio.get_running_loop().call_later(LONGEST_WAIT, self.flush)

    def flush(self) -> None:
        """Tell of all that were taken in."""
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        ended, self._ended = self._ended, []
        for item in ended:
            try:
                self._tell(item)
            except Exception:  # noqa: BLE001  one call's record must not cost the others theirs, nor their settlement
                sys.stderr.write(traceback.format_exc())
                self._metrics.incident("record_failed")

    def _tell(self, ended: Ended) -> None:
        call = ended.call
        if call.key is not None or call.snapshot.keys is None:
            self._trace(call, ended.took, ended.overhead)
            entry = _entry(call, ended.took, ended.overhead)
            self._ledger.record(_unsure(entry, ended) if ended.given_up else entry)
        self._metrics.ended(call, ended.took, ended.overhead)
        if ended.given_up:
            self._metrics.given_up(call)

    def _trace(self, call: Call, took: int, overhead: int) -> None:
        route = call.route.name if call.route else call.facts.model
        operation = _OPERATIONS.get(call.endpoint.operation, call.endpoint.operation)
        told: dict[str, Any] = {
            names.OPERATION: operation,
            names.REQUEST_MODEL: call.facts.model,
            names.REQUEST_STREAM: call.facts.stream,
            CALL: call.id,
            ROUTE: route,
            CONFIG: call.snapshot.version,
            OVERHEAD: overhead / 1e6,
            ATTEMPTS: tuple(f"{item.deployment}:{item.failure or item.status}" for item in call.attempts),
        }
        if call.key is not None:
            told[KEY] = call.key.name
        if call.facts.user:
            told[names.USER_ID] = call.facts.user
        if call.facts.session:
            told[names.CONVERSATION] = call.facts.session
        if call.arm:
            told[ARM] = f"{call.experiment}:{call.arm}"
        if call.deployment is not None:
            told[names.PROVIDER] = call.deployment.provider.name
            told[DEPLOYMENT] = call.deployment.id
        if call.response_model:
            told[names.RESPONSE_MODEL] = call.response_model
        if call.first:
            told[names.TIME_TO_FIRST_CHUNK] = call.first / 1e9
        if call.usage is not None:
            told[names.INPUT_TOKENS] = call.usage.input_tokens
            told[names.OUTPUT_TOKENS] = call.usage.output_tokens
        if call.cost is not None:
            told[COST] = call.cost
        if call.code:
            told[names.ERROR_TYPE] = call.code
        named = call.headers.get("traceparent")
        call.trace_id = self._spans.record(
            f"{operation} {route}",
            told,
            start_ns=call.at_ns,
            end_ns=call.at_ns + took,
            error=call.code,
            parent=remote_parent(named) if named and call.span is None else None,
            begun=call.span,
        )


def _unsure(entry: LedgerEntry, ended: Ended) -> LedgerEntry:
    """Return a row with what may be billed beyond its cost."""
    charged, call = entry.charged, ended.call
    if ended.may_cost is None and call.reservation is not None:
        charged = max(call.reservation.cost, call.cost or 0)
    return replace(entry, given_up=ended.given_up, may_cost=ended.may_cost, charged=charged)


def _entry(call: Call, took: int, overhead: int) -> LedgerEntry:
    deployment = call.deployment
    return LedgerEntry(
        id=call.id,
        at_ns=call.at_ns,
        duration_ns=took,
        first_ns=call.first,
        overhead_ns=overhead,
        tenant=call.tenant,
        end_user=call.facts.user,
        session=call.facts.session,
        metadata=call.facts.metadata,
        route=call.route.name if call.route else "",
        wire=call.endpoint.wire,
        stream=call.facts.stream,
        deployment=deployment.id if deployment else "",
        provider=deployment.provider.name if deployment else "",
        model=(deployment.model or call.model) if deployment else "",
        response_model=call.response_model,
        status=call.status,
        http_status=call.http_status,
        code=call.code,
        usage=call.usage,
        usage_source=call.usage_source,
        cost=call.cost,
        charged=call.reservation.cost if call.cost is None and call.reservation is not None else None,
        price=call.price,
        attempts=tuple(call.attempts),
        config=call.snapshot.version,
        experiment=call.experiment,
        arm=call.arm,
        cache=call.cache,
        shadow=call.shadow,
        trace_id=call.trace_id,
    )
