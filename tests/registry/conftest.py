"""A registry on both databases."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from pilothouse.access.types import Actor
from pilothouse.core.clock import FixedClock
from pilothouse.core.storage.sql import Database
from pilothouse.registry.service import RegistryService
from pilothouse.registry.store import RegistryStore


@pytest.fixture
def registry(database: Database, clock: FixedClock) -> RegistryService:
    return RegistryService(RegistryStore(database), clock, Actor(name="ada"))


@pytest.fixture
def digest_of() -> Callable[[str], str]:
    return lambda text: hashlib.sha256(text.encode()).hexdigest()
