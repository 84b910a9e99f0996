"""What tests of keys share."""

from __future__ import annotations

import pytest

from pilothouse.access.keys.service import KeyService
from pilothouse.access.keys.store import KeyStore
from pilothouse.access.types import Actor
from pilothouse.core.clock import FixedClock
from pilothouse.core.storage.sql import Database


@pytest.fixture
def keys(database: Database, clock: FixedClock) -> KeyService:
    return KeyService(store=KeyStore(database), clock=clock, actor=Actor(name="ada"))
