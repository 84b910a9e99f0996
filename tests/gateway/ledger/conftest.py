"""A ledger in a folder, and entries to put into it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pilothouse.core.clock import FixedClock
from pilothouse.gateway.ledger.service import LedgerService
from pilothouse.gateway.ledger.writer import LedgerWriter
from pilothouse.gateway.types import LedgerEntry, Tenant
from pilothouse.models.rates.card import RateCard
from pilothouse.models.settings import Price
from pilothouse.models.types import Usage

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
NOON_NS = int(NOON.timestamp()) * 10**9
DAY = 86_400 * 10**9


def entry(number: int, **changes: Any) -> LedgerEntry:
    """Return a call of one millidollar."""
    given: dict[str, Any] = {
        "id": f"call-{number:06d}",
        "at_ns": NOON_NS + number,
        "duration_ns": 2 * 10**9,
        "tenant": Tenant(key="k1", organisation="acme", team="search", user="ann", use_case="chat"),
        "route": "fast",
        "deployment": "one",
        "provider": "house",
        "model": "m",
        "status": "ok",
        "http_status": 200,
        "usage": Usage(input_tokens=1_000, output_tokens=10),
        "usage_source": "provider",
        "cost": 1_000_000,
        "price": "own@always",
    }
    return LedgerEntry(**{**given, **changes})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / ".pilothouse" / "ledger"


@pytest.fixture
def ledger(folder: Path) -> Callable[..., LedgerService]:
    """Return a way to write entries and to have the ledger that answers about them."""

    def write(*entries: LedgerEntry, prices: tuple[Price, ...] = (), now: datetime = NOON) -> LedgerService:
        writer = LedgerWriter(folder)
        for item in entries:
            writer.record(item)
        assert writer.flush()
        writer.close()
        return LedgerService(folder, rates=RateCard(prices), clock=FixedClock(now))

    return write
