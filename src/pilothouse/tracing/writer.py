"""The span processor that makes ended spans durable: encoded at once, written and synced in batches.

Encoding happens on the thread that ends the span: measured, that costs half of what handing the span to another
thread costs, and the buffer's size is known in bytes. A background thread writes what has gathered. A full buffer
makes the thread that ends a span wait for the disk; nothing is dropped for speed. When the disk refuses, the spans of
that batch are counted as lost and standard error is told once.
"""

from __future__ import annotations

import atexit
import itertools
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

from pilothouse.core.errors import StorageError
from pilothouse.core.ids import new_id
from pilothouse.core.storage.files import AppendLog
from pilothouse.tracing.encoding import SpanEncoder
from pilothouse.tracing.hooks import weakly
from pilothouse.tracing.segments import new_segment
from pilothouse.tracing.types import CaptureCounters


class SpanWriter(SpanProcessor):
    """Appends the spans of this process to segments of its own in ``folder``.

    Nothing is opened, and no thread started, before the first span ends.

    Args:
        folder: Where segments are kept.
        encoder: Turns spans into lines.
        interval: Seconds that a span waits in memory at most.
        buffer_bytes: Bytes of lines in memory before the ending thread must wait.
        segment_bytes: Size at which a new segment is begun.
        open_segment: Creates a segment in a folder.
    """

    def __init__(
        self,
        folder: Path,
        *,
        encoder: SpanEncoder | None = None,
        interval: float = 0.1,
        buffer_bytes: int = 8 << 20,
        segment_bytes: int = 64 << 20,
        open_segment: Callable[[Path], AppendLog] = new_segment,
    ) -> None:
        self.folder = folder
        self._encoder = encoder or SpanEncoder()
        self._interval = interval
        self._buffer_bytes = buffer_bytes
        self._segment_bytes = segment_bytes
        self._open_segment = open_segment
        self._segment: AppendLog | None = None
        self._closed = False
        self._begin()
        os.register_at_fork(
            before=weakly(self._before_fork),
            after_in_parent=weakly(self._after_fork_in_parent),
            after_in_child=weakly(self._after_fork_in_child),
        )
        atexit.register(weakly(self.shutdown))

    def _begin(self) -> None:
        """Set what belongs to one process: a forked child starts here again, without its parent's spans."""
        self.id = new_id()
        self._numbers = itertools.count(1)
        self._lines: list[bytes] = []
        self._waiting_bytes = 0
        self._written = 0
        self._lost = 0
        self._lost_told = 0
        self._warned = False
        # Both can be entered again by their own thread: a span may end inside the garbage collector, anywhere.
        self._gathering = threading.RLock()
        self._writing = threading.RLock()
        self._inside = False
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def counters(self) -> CaptureCounters:
        """What has become of this process's spans so far."""
        return CaptureCounters(written=self._written, lost=self._lost, waiting=len(self._lines))

    def on_end(self, span: ReadableSpan) -> None:
        """Take an ended span in; waits for the disk only when the buffer is full."""
        context = span.context
        if context is None or not context.trace_flags & 1:
            return  # sampled out by the user's own sampler
        line = self._encoder.encode(span, self.id, next(self._numbers))
        with self._gathering:
            self._lines.append(line)
            self._waiting_bytes += len(line)
        if self._waiting_bytes > self._buffer_bytes or self._closed:
            self._write_out()
        elif not self._wake.is_set():
            self._wake_thread()
        elif self._waiting_bytes > self._buffer_bytes >> 1:
            self._hurry.set()

    def flush(self) -> bool:
        """Write and sync every span that has ended; return when they would survive a power cut.

        Returns:
            False when spans were lost since the last call, so that nothing before now may be called acknowledged.
        """
        self._write_out()
        with self._writing:
            lost, self._lost_told = self._lost - self._lost_told, self._lost
        return lost == 0

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Do what `flush` does, by the name OpenTelemetry knows."""
        return self.flush()

    def shutdown(self) -> None:
        """Write what is left and give the segment up; a span that ends later is still written, at once."""
        self._closed = True
        self._wake.set()
        self._hurry.set()
        self._write_out()
        with self._writing:
            self._leave_segment()

    def _wake_thread(self) -> None:
        with self._gathering:
            running = self._thread is not None and self._thread.is_alive()
            if not running:
                self._thread = threading.Thread(target=self._run, name="pilothouse-spans", daemon=True)
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
            self._hurry.wait(self._interval)  # a batch gathers
            # Cleared before the lines are taken: a span that ends in between wakes us once too often, never too seldom.
            self._wake.clear()
            self._hurry.clear()
            self._write_out()

    def _write_out(self) -> None:
        with self._writing:
            if self._inside:
                self._wake.set()  # a span ended in the garbage collector while this thread writes: next time
                return
            self._inside = True
            try:
                with self._gathering:
                    lines, size = self._lines.copy(), self._waiting_bytes
                if lines:
                    self._append(lines)
                # Only now: after Ctrl-C in the middle they are written again, and a reader knows a span by its ids.
                with self._gathering:
                    del self._lines[: len(lines)]
                    self._waiting_bytes -= size
            finally:
                self._inside = False

    def _append(self, lines: list[bytes]) -> None:
        try:
            if self._segment is None:
                self._segment = self._open_segment(self.folder)
            self._segment.append(lines)
        except StorageError as error:
            self._lost += len(lines)
            # A reader may have seen the lines that were taken back, so this file is not continued.
            self._leave_segment()
            self._warn(len(lines), error)
            return
        except BaseException:
            self._leave_segment()  # nobody knows how far it came
            raise
        self._written += len(lines)
        if self._segment.size >= self._segment_bytes:
            self._leave_segment()

    def _leave_segment(self) -> None:
        if self._segment is not None:
            self._segment.close()
            self._segment = None

    def _warn(self, lost: int, error: StorageError) -> None:
        if not self._warned:
            self._warned = True
            sys.stderr.write(
                f"pilothouse: {lost} spans could not be recorded and are lost; your work goes on. {error}\n"
                "pilothouse: later losses are counted without a further word.\n"
            )

    def _before_fork(self) -> None:
        self._writing.acquire()
        self._gathering.acquire()

    def _after_fork_in_parent(self) -> None:
        self._gathering.release()
        self._writing.release()

    def _after_fork_in_child(self) -> None:
        self._leave_segment()  # the parent's: our copy of its lock would outlive the parent
        self._encoder.forget_process()
        self._begin()
        util = sys.modules.get("multiprocessing.util")
        if util is not None:
            # Workers of multiprocessing leave without running atexit.
            util.register_after_fork(self, _flush_when_worker_ends)


def _flush_when_worker_ends(writer: SpanWriter) -> None:
    util: Any = sys.modules["multiprocessing.util"]
    util.Finalize(writer, writer.shutdown, exitpriority=0)
