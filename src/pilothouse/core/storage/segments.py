"""Segments: the append-only files that processes write what they record to, each file with one writer.

A writer holds a lock on its segment (`AppendLog` takes it) until it closes the file or dies, so whoever reads can tell
a finished segment from a growing one, after ``kill -9`` too. Names sort by time.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pilothouse.core.errors import Conflict, StorageError
from pilothouse.core.storage.files import AppendLog

FOLDER: Final = "incoming"
_ATTEMPTS: Final = 8


def new_segment(folder: Path) -> AppendLog:
    """Create and hold a segment of this process in ``folder``.

    Raises:
        StorageError: when it cannot be created.
    """
    for _ in range(_ATTEMPTS):
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        path = folder / f"{stamp}-{os.getpid()}-{secrets.token_hex(4)}.jsonl"
        try:
            log = AppendLog(path)
        except Conflict:
            continue  # a reader looks at the new file before it is ours
        # A reader may also have taken the empty file for an abandoned one and removed it before we had the lock.
        if path.exists():
            return log
        log.close()
    raise StorageError("a new segment was taken away each time it was created", where=str(folder))


def list_segments(folder: Path) -> list[Path]:
    """Return the segments in ``folder``, the oldest first."""
    return sorted(folder.glob("*.jsonl"))


@contextmanager
def abandoned(path: Path) -> Generator[bool]:
    """Tell whether the segment's writer is gone; while the block runs, nobody can take the segment up again."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
