"""What tests of limits share: a clock that is turned by hand, and calls."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from pilothouse.gateway.limits.types import Ask
from pilothouse.gateway.types import NANO, Tenant

from .redis_server import RedisServer

START = 1_767_323_045 * NANO  # 2026-01-02 03:04:05 UTC, a Friday
ACME = Tenant(key="k1", organisation="acme", team="ml", user="ann", use_case="chat")


class Hand:
    """A clock."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> int:
        return self.at

    def pass_(self, seconds: float) -> None:
        self.at += round(seconds * NANO)


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def ask(hand: Hand) -> Any:
    numbers = count()

    def make(**given: Any) -> Ask:
        fields = {"call_id": f"c{next(numbers)}", "tenant": ACME, "route": "gpt", "cost": 0, "at_ns": hand.at}
        return Ask(**{**fields, **given})

    return make


@pytest.fixture
def server() -> Iterator[RedisServer]:
    server = RedisServer()
    yield server
    server.close()
