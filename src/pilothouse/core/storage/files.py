"""Files that survive: replaced whole or not at all, and logs whose every acknowledged line stays."""

from __future__ import annotations

import fcntl
import os
import secrets
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Self

from pilothouse.core.errors import Conflict, DataError, StorageError
from pilothouse.core.storage.faults import disk_fault

_BLOCK = 1 << 16

# macOS has no fdatasync; fsync also waits for the times, which costs more and loses nothing.
_sync_data = getattr(os, "fdatasync", os.fsync)


def write_atomic(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """Put ``data`` into ``path`` so that a reader sees the old content or the new, never a part, even after a crash.

    Missing folders are made. A file that exists keeps its permissions.

    Args:
        path: The file to write.
        data: Its whole content.
        mode: Permissions of a new file, before the process's umask.

    Raises:
        StorageError: when the disk is full, read-only or forbidden; ``path`` is as it was and nothing else is left.
    """
    temporary = path.with_name(f".{path.name[:200]}.{secrets.token_hex(6)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
            try:
                if path.exists():
                    os.fchmod(descriptor, path.stat().st_mode & 0o7777)
                _write_all(descriptor, data)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            temporary.replace(path)
            sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise disk_fault(error, path, "write the file") from error


def sync_folder(folder: Path) -> None:
    """Make new and renamed names in ``folder`` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(stream: BinaryIO) -> None:
    """Make what was written to ``stream`` survive a power cut."""
    stream.flush()
    os.fsync(stream.fileno())


class AppendLog:
    """A file of lines that only grows; ``append`` returns when its lines are on the disk.

    One process holds the file at a time. Threads may share one ``AppendLog``. When an append fails, the file is cut
    back to the last acknowledged line; somebody who reads along may have seen the lines that were taken back, so a
    writer whose file is read while it grows goes on in a new file after a ``StorageError``.

    Attributes:
        path: The file.
        truncated_bytes: How many bytes of a torn last line, left by a crash, were cut off when the file was opened.
    """

    def __init__(self, path: Path) -> None:
        """Open or create ``path`` (readable by its owner alone) and cut off a torn last line.

        Raises:
            Conflict: when another process, or another ``AppendLog``, holds the file.
            StorageError: when it cannot be opened or created.
        """
        self.path = path
        self._guard = threading.Lock()
        self._broken = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            is_new = not path.exists()
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                self._lock()
                self._size, self.truncated_bytes = self._cut_torn_line()
                if is_new:
                    sync_folder(path.parent)
            except BaseException:
                self.close()
                raise
        except OSError as error:
            raise disk_fault(error, path, "open the log") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def size(self) -> int:
        """The length in bytes of all acknowledged lines."""
        return self._size

    def append(self, lines: Iterable[bytes]) -> None:
        """Write ``lines``, each without its line end, and return when they would survive a power cut.

        Raises:
            DataError: when a line holds a line end; nothing is written.
            StorageError: when the disk is full or fails; nothing of this batch stays in the file.
        """
        batch = list(lines)
        for line in batch:
            if b"\n" in line:
                raise DataError("a line of a log holds a line end", where=str(self.path))
        if not batch:
            return
        data = b"\n".join(batch) + b"\n"
        with self._guard:
            self._refuse_when_unusable()
            try:
                _write_all(self._descriptor, data)
                _sync_data(self._descriptor)
            except OSError as error:
                self._take_back()
                raise disk_fault(error, self.path, "append to the log") from error
            self._size += len(data)

    def close(self) -> None:
        """Close the file and let others have it; closing twice does nothing."""
        with self._guard:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1

    def _lock(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict(
                "another process is writing this log",
                where=str(self.path),
                fix="wait until it has finished, or stop it",
            ) from error

    def _cut_torn_line(self) -> tuple[int, int]:
        """Cut off what follows the last line end; return the size that stays and the bytes that went."""
        size = os.fstat(self._descriptor).st_size
        end = size
        while end > 0:
            start = max(0, end - _BLOCK)
            position = os.pread(self._descriptor, end - start, start).rfind(b"\n")
            if position >= 0:
                end = start + position + 1
                break
            end = start
        if end < size:
            os.ftruncate(self._descriptor, end)
            os.fsync(self._descriptor)
        return end, size - end

    def _take_back(self) -> None:
        try:
            os.ftruncate(self._descriptor, self._size)
            os.fsync(self._descriptor)
        except OSError:
            self._broken = True  # reported by the next append; opening the file anew mends it

    def _refuse_when_unusable(self) -> None:
        if self._descriptor < 0:
            raise StorageError("the log is closed", where=str(self.path))
        if self._broken:
            raise StorageError(
                "the log could not be cut back after a failure", where=str(self.path), fix="run it again"
            )


def read_log(path: Path, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield ``(end offset, line)`` for each complete line from ``start`` on, one line in memory at a time.

    A last line without its line end is left out: it is torn, or still being written. The end offset of the last line
    that was taken is the ``start`` of the next reading.

    Raises:
        StorageError: when the file cannot be read.
    """
    try:
        with path.open("rb", buffering=_BLOCK) as stream:
            stream.seek(start)
            for line in stream:
                if not line.endswith(b"\n"):
                    return
                start += len(line)
                yield start, line[:-1]
    except OSError as error:
        raise disk_fault(error, path, "read the log") from error


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
