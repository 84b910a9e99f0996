"""Rows of ended calls: of one at once, of several together, and of all before the end."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

from pilothouse.gateway.dialects.endpoints import endpoint
from pilothouse.gateway.limiting import Limiting
from pilothouse.gateway.plane.call import Call
from pilothouse.gateway.plane.metrics import Metrics
from pilothouse.gateway.plane.records import LARGEST_WAITING, LONGEST_WAIT, MOST_WAITING, Ended, Records
from pilothouse.gateway.types import LedgerEntry

from ..running import ListLedger

SNAPSHOT: Any = SimpleNamespace(version="1", keys=None)


class Kept:
    """Records, and what they told."""

    def __init__(self, in_flight: int) -> None:
        self.ledger = ListLedger()
        self.metrics = Metrics()
        self.metrics.in_flight = in_flight
        ledger: Any = self.ledger
        self.records = Records(ledger, TracerProvider(shutdown_on_exit=False).get_tracer("test"), self.metrics)

    def end(self, raw: bytes = b"{}") -> str:
        call = Call(endpoint("POST", "/v1/chat/completions"), {}, SNAPSHOT)
        call.raw = raw
        self.records.put(Ended(call, 2_000, 1_000))
        return call.id

    @property
    def told(self) -> list[str]:
        return [entry.id for entry in self.ledger.entries]


def test_the_row_of_a_call_that_is_alone_is_there_at_once() -> None:
    kept = Kept(in_flight=1)
    identity = kept.end()
    assert kept.told == [identity]


def test_rows_of_many_come_together_in_their_order() -> None:
    async def inside() -> None:
        kept = Kept(in_flight=100)
        ended = [kept.end() for _ in range(MOST_WAITING - 1)]
        assert kept.told == []
        ended.append(kept.end())
        assert kept.told == ended
        assert b"pilothouse_gateway_calls_total" in kept.metrics.exposition()

    asyncio.run(inside())


def test_no_row_waits_for_calls_that_do_not_come() -> None:
    async def inside() -> None:
        kept = Kept(in_flight=100)
        ended = [kept.end(), kept.end()]
        await asyncio.sleep(LONGEST_WAIT * 5)
        assert kept.told == ended
        kept.end()
        kept.records.flush()
        kept.records.flush()
        assert len(kept.told) == 3

    asyncio.run(inside())


def test_a_call_that_cannot_be_recorded_costs_no_other_its_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def inside() -> None:
        kept = Kept(in_flight=100)
        take, failures = kept.ledger.record, [OSError("no more")]

        def record(entry: LedgerEntry) -> None:
            if failures:
                raise failures.pop()
            take(entry)

        monkeypatch.setattr(kept.ledger, "record", record)
        _, second, third = kept.end(), kept.end(), kept.end()
        kept.records.flush()
        assert kept.told == [second, third]
        assert b'incidents_total{kind="record_failed"} 1.0' in kept.metrics.exposition()

    asyncio.run(inside())
    assert "OSError: no more" in capsys.readouterr().err


def test_a_large_request_is_not_kept_in_memory_for_its_row() -> None:
    async def inside() -> None:
        kept = Kept(in_flight=100)
        small, large = kept.end(), kept.end(b"x" * (LARGEST_WAITING + 1))
        assert kept.told == [small, large]

    asyncio.run(inside())


def test_counters_are_rebuilt_from_rows_that_were_told() -> None:
    """Between a call's settlement and its row nothing may be forgotten: a new Redis asks the ledger alone."""

    async def inside() -> None:
        told: list[str] = []
        services: Any = SimpleNamespace(
            get=lambda kind: SimpleNamespace(flush=lambda: told.append("disk"), send=lambda: told.append("hosts"))
        )
        limiting = Limiting(services, "redis://localhost", tell=lambda: told.append("rows"))
        await limiting._flush()
        assert told == ["rows", "disk", "hosts"]

    asyncio.run(inside())
