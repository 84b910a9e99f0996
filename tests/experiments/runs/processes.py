"""Processes that a test has started, and all that came of them, found by a mark in their environment."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

MARK = "PILOTHOUSE_TEST_MARK"


def marked(mark: str) -> Iterator[Path]:
    """Yield the folders in /proc of the living processes that carry the mark."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes():
                yield folder


def none_is_left(mark: str, *, within: float = 20.0) -> bool:
    """Return whether all marked processes are gone, after waiting for them."""
    deadline = time.monotonic() + within
    while found := list(marked(mark)):
        if time.monotonic() > deadline:
            print([(path.name, (path / "cmdline").read_bytes()[:80]) for path in found])
            return False
        time.sleep(0.01)
    return True
