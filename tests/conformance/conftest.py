"""The endpoint that all cases ask."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .endpoint import serving


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    with serving() as address:
        yield address
