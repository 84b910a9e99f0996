"""A wish to stop that travels between processes: a file beside the rows, which the working process looks for.

A file needs no process id, so it reaches a run in another container that shares the folder, and no stranger.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from pilothouse.core.storage.files import write_atomic
from pilothouse.experiments.runs.interrupts import Stop

FILE = "cancel"

#: Seconds between two looks.
LOOK = 0.1

_TIDY, _AT_ONCE = b"tidily\n", b"at once\n"


def ask(folder: Path, *, is_urgent: bool) -> None:
    """Ask the process that works on the run of ``folder`` to stop; a request that stands already is only sharpened."""
    if is_urgent or not (folder / FILE).exists():
        write_atomic(folder / FILE, _AT_ONCE if is_urgent else _TIDY)


def forget(folder: Path) -> None:
    """Take back what was asked: of an attempt that is over, or before one begins."""
    (folder / FILE).unlink(missing_ok=True)


@asynccontextmanager
async def obeyed(folder: Path, stop: Stop) -> AsyncGenerator[None]:
    """Pass on what other processes ask while the block runs."""

    async def look() -> None:
        while not stop.is_urgent:
            with suppress(FileNotFoundError):
                stop.cancel(is_urgent=(folder / FILE).read_bytes() == _AT_ONCE)
            await asyncio.sleep(LOOK)

    task = asyncio.create_task(look())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        forget(folder)
