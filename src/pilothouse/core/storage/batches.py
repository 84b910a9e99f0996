"""Lines made durable in batches: taken in at once, written and synced by a thread to segments of this process.

A full buffer makes the thread that puts a line wait for the disk; nothing is dropped for speed. What happens when the
disk refuses is the user's choice: lines that are `precious` stay in memory and are written as soon as the disk takes
them, others are counted as lost. Either is told on standard error once.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from pilothouse.core.errors import StorageError
from pilothouse.core.storage.files import AppendLog
from pilothouse.core.storage.hooks import weakly
from pilothouse.core.storage.segments import new_segment

_RETRY: Final = 1.0


class BatchOptions(Struct, frozen=True, kw_only=True):
    """How lines are gathered and written.

    Attributes:
        what: What the lines are, for messages: ``spans``.
        interval: Seconds that a line waits in memory at most.
        batch_lines: Lines that are written without waiting for the interval.
        buffer_bytes: Bytes of lines in memory before the putting thread must wait.
        segment_bytes: Size at which a new segment is begun.
        precious: Whether lines that the disk refuses are kept and tried again; otherwise they are lost.
    """

    what: str
    interval: float = 0.1
    batch_lines: int = 1_000
    buffer_bytes: int = 8 << 20
    segment_bytes: int = 64 << 20
    precious: bool = False


class BatchWriter:
    """Appends the lines of this process to segments of its own in ``folder``.

    Nothing is opened, and no thread started, before the first line. A forked child begins anew without its parent's
    lines. Lines may be put from any thread, and inside the garbage collector.

    Args:
        folder: Where segments are kept.
        options: How lines are gathered and written.
        open_segment: Creates a segment in a folder.
    """

    def __init__(
        self, folder: Path, options: BatchOptions, open_segment: Callable[[Path], AppendLog] = new_segment
    ) -> None:
        self.folder = folder
        self._options = options
        self._open_segment = open_segment
        self._segment: AppendLog | None = None
        self._closed = False
        self._begin()
        os.register_at_fork(
            before=weakly(self._before_fork),
            after_in_parent=weakly(self._after_fork_in_parent),
            after_in_child=weakly(self._after_fork_in_child),
        )
        atexit.register(weakly(self.close))

    def _begin(self) -> None:
        """Set what belongs to one process: a forked child starts here again, without its parent's lines."""
        self._lines: list[bytes] = []
        self._waiting_bytes = 0
        self._written = 0
        self._lost = 0
        self._lost_told = 0
        self._failures = 0
        self._failing = False
        self._warned = False
        # Both can be entered again by their own thread: a line may be put inside the garbage collector, anywhere.
        self._gathering = threading.RLock()
        self._writing = threading.RLock()
        self._inside = False
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def written(self) -> int:
        """Lines that are on the disk."""
        return self._written

    @property
    def lost(self) -> int:
        """Lines that the disk refused and that are gone."""
        return self._lost

    @property
    def waiting(self) -> int:
        """Lines in memory."""
        return len(self._lines)

    @property
    def failures(self) -> int:
        """How often the disk refused a batch."""
        return self._failures

    @property
    def healthy(self) -> bool:
        """Whether the disk took the last batch."""
        return not self._failing

    def put(self, line: bytes) -> None:
        """Take a line in, without its line end; waits for the disk only when the buffer is full and the disk works."""
        with self._gathering:
            self._lines.append(line)
            self._waiting_bytes += len(line)
        if self._closed or (self._waiting_bytes > self._options.buffer_bytes and not self._failing):
            self._write_out()
        elif not self._wake.is_set():
            self._wake_thread()
        elif len(self._lines) >= self._options.batch_lines or self._waiting_bytes > self._options.buffer_bytes >> 1:
            self._hurry.set()

    def flush(self) -> bool:
        """Write and sync every line that was put; return when they would survive a power cut.

        Returns:
            False when lines were lost since the last call or are still waiting for the disk, so that nothing before
            now may be called acknowledged.
        """
        self._write_out()
        with self._writing:
            lost, self._lost_told = self._lost - self._lost_told, self._lost
            return lost == 0 and not self._failing

    def close(self) -> None:
        """Write what is left and give the segment up; a line that is put later is still written, at once."""
        self._closed = True
        self._wake.set()
        self._hurry.set()
        self._write_out()
        with self._writing:
            self._leave_segment()
        if self._failing and self._lines:
            sys.stderr.write(
                f"pilothouse: {len(self._lines)} {self._options.what} were refused to the end and are lost.\n"
            )

    def _wake_thread(self) -> None:
        with self._gathering:
            running = self._thread is not None and self._thread.is_alive()
            if not running:
                name = f"pilothouse-{self._options.what.replace(' ', '-')}"
                self._thread = threading.Thread(target=self._run, name=name, daemon=True)
                try:
                    self._thread.start()
                    running = True
                except RuntimeError:  # the interpreter is ending, or the system allows no more threads
                    self._thread = None
        if running:
            self._wake.set()
        else:
            self._write_out()

    def _run(self) -> None:
        while not self._closed:
            self._wake.wait()
            self._hurry.wait(self._options.interval)  # a batch gathers
            # Cleared before the lines are taken: a line put in between wakes us once too often, never too seldom.
            self._wake.clear()
            self._hurry.clear()
            self._write_out()
            if self._failing and self._lines and not self._closed:
                self._wake.set()  # try again, with more patience
                self._hurry.wait(_RETRY)

    def _write_out(self) -> None:
        with self._writing:
            if self._inside:
                self._wake.set()  # a line was put in the garbage collector while this thread writes: next time
                return
            self._inside = True
            try:
                with self._gathering:
                    lines, size = self._lines.copy(), self._waiting_bytes
                if lines and not self._append(lines):
                    return
                # Only now: after Ctrl-C in the middle they are written again, and a reader knows a line by its id.
                with self._gathering:
                    del self._lines[: len(lines)]
                    self._waiting_bytes -= size
            finally:
                self._inside = False

    def _append(self, lines: list[bytes]) -> bool:
        """Write lines; return whether they are done with, on the disk or lost."""
        try:
            if self._segment is None:
                self._segment = self._open_segment(self.folder)
            self._segment.append(lines)
        except StorageError as error:
            self._refused(len(lines), error)
            return not self._options.precious
        except BaseException:
            self._leave_segment()  # nobody knows how far it came
            raise
        self._written += len(lines)
        self._failing = False
        if self._segment.size >= self._options.segment_bytes:
            self._leave_segment()
        return True

    def _refused(self, lines: int, error: StorageError) -> None:
        # A reader may have seen the lines that were taken back, so this file is not continued.
        self._leave_segment()
        self._failures += 1
        what = self._options.what
        if self._options.precious:
            self._failing = True
            said = f"{lines} {what} could not be recorded yet and are kept in memory. {error}\n"
            more = f"pilothouse: it is tried again every {_RETRY:g} s; what is refused until then is counted."
        else:
            self._lost += lines
            said = f"{lines} {what} could not be recorded and are lost; your work goes on. {error}\n"
            more = "pilothouse: later losses are counted without a further word."
        if not self._warned:
            self._warned = True
            sys.stderr.write(f"pilothouse: {said}{more}\n")

    def _leave_segment(self) -> None:
        if self._segment is not None:
            self._segment.close()
            self._segment = None

    def _before_fork(self) -> None:
        self._writing.acquire()
        self._gathering.acquire()

    def _after_fork_in_parent(self) -> None:
        self._gathering.release()
        self._writing.release()

    def _after_fork_in_child(self) -> None:
        self._leave_segment()  # the parent's: our copy of its lock would outlive the parent
        self._begin()
        util = sys.modules.get("multiprocessing.util")
        if util is not None:
            # Workers of multiprocessing leave without running atexit.
            util.register_after_fork(self, _flush_when_worker_ends)


def _flush_when_worker_ends(writer: BatchWriter) -> None:
    util: Any = sys.modules["multiprocessing.util"]
    util.Finalize(writer, writer.close, exitpriority=0)
