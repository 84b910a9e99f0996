"""Failures of the disk, said so that a person knows what to do."""

from __future__ import annotations

import errno
from pathlib import Path

from pilothouse.core.errors import StorageError

FREE_SPACE = "free some space (or raise the quota) and run the same command again; what was acknowledged is kept"

_DISK_FIXES = {
    errno.ENOSPC: ("the disk is full", FREE_SPACE),
    errno.EDQUOT: ("the disk quota is used up", FREE_SPACE),
    errno.EFBIG: ("the file may not grow any further", "raise the limit on file sizes (ulimit -f) or free some space"),
    errno.EROFS: ("the file system is read-only", "mount it writable, or move the project to a writable place"),
    errno.EACCES: ("permission denied", "give this user the right to write there"),
    errno.EPERM: ("permission denied", "give this user the right to write there"),
    errno.EMFILE: ("too many open files", "raise the limit on open files (ulimit -n)"),
}


def disk_fault(error: OSError, path: Path, doing: str) -> StorageError:
    """Return the error to raise when ``doing`` something with ``path`` failed."""
    reason, fix = _DISK_FIXES.get(error.errno or 0, (error.strerror or str(error), None))
    return StorageError(f"cannot {doing}: {reason}", where=str(path), fix=fix)
