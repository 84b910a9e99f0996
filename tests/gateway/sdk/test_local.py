"""The official clients in front of the local model, real weights and all."""

from __future__ import annotations

import asyncio

import pytest

from . import local
from .page import PAGE, local_table


@pytest.mark.local_model
def test_the_local_model_serves_both_clients() -> None:
    found = asyncio.run(local.outcomes())
    assert local_table(found) in PAGE.read_text(), "write it anew: python -m tests.gateway.sdk"
