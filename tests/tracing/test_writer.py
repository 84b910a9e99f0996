"""Capture: what is acknowledged is on the disk, a full buffer waits, and a loss is counted and told."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from pilothouse.core.errors import StorageError
from pilothouse.core.storage import segments
from pilothouse.core.storage.files import AppendLog
from pilothouse.core.storage.segments import new_segment
from pilothouse.tracing.writer import SpanWriter


def writer_of(folder: Path, **options: Any) -> tuple[SpanWriter, Callable[[str], None]]:
    """Return a writer and a way to make it a span."""
    writer = SpanWriter(folder / "incoming", **options)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(writer)
    tracer = provider.get_tracer("tests")
    return writer, lambda name: tracer.start_span(name).end()


def written(folder: Path) -> list[bytes]:
    return [line for path in sorted((folder / "incoming").glob("*.jsonl")) for line in path.read_bytes().splitlines()]


class FailingLog(AppendLog):
    """A disk that refuses while `full` is set."""

    full = False

    def append(self, lines: Iterable[bytes]) -> None:
        if self.full:
            raise StorageError("cannot append to the log: the disk is full", where=str(self.path))
        super().append(lines)


def failing_segment(folder: Path) -> AppendLog:
    new_segment(folder).close()
    return FailingLog(max(folder.glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns))


def test_nothing_is_opened_before_the_first_span(folder: Path) -> None:
    writer, _ = writer_of(folder)
    assert writer.flush()
    writer.shutdown()
    assert not folder.exists()


def test_flush_returns_when_the_spans_are_on_the_disk(folder: Path) -> None:
    writer, end_span = writer_of(folder, interval=3600)
    for number in range(50):
        end_span(str(number))
    assert written(folder) == []
    assert writer.flush()
    assert len(written(folder)) == 50
    assert (writer.counters.written, writer.counters.waiting, writer.counters.lost) == (50, 0, 0)
    writer.shutdown()


def test_spans_reach_the_disk_by_themselves(folder: Path) -> None:
    reached = threading.Event()

    class Watched(AppendLog):
        def append(self, lines: Iterable[bytes]) -> None:
            super().append(lines)
            reached.set()

    def open_watched(where: Path) -> AppendLog:
        return Watched(where / "watched.jsonl")

    writer, end_span = writer_of(folder, interval=0.001, open_segment=open_watched)
    end_span("alone")
    assert reached.wait(30)
    assert len(written(folder)) == 1
    reached.clear()
    end_span("again, after the thread slept")
    assert reached.wait(30)
    writer.shutdown()


def test_a_full_buffer_makes_the_ending_thread_wait_for_the_disk(folder: Path) -> None:
    writer, end_span = writer_of(folder, interval=3600, buffer_bytes=20_000)
    most = 0
    for number in range(500):
        end_span(f"{number} {'x' * 500}")
        most = max(most, writer.counters.waiting)
    assert most < 50
    assert writer.flush()
    assert len(written(folder)) == 500
    assert writer.counters.lost == 0
    writer.shutdown()


def test_many_threads_lose_nothing_and_number_every_span_once(folder: Path) -> None:
    writer, end_span = writer_of(folder, interval=0.001, buffer_bytes=50_000, segment_bytes=100_000)

    def work(thread: int) -> None:
        for number in range(250):
            end_span(f"{thread}-{number}")

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.shutdown()
    lines = written(folder)
    numbers = sorted(int(line.rsplit(b'"seq":', 1)[1].rstrip(b"}")) for line in lines)
    assert numbers == list(range(1, 2001))
    assert len({line.split(b'"name":"', 1)[1].split(b'"', 1)[0] for line in lines}) == 2000


def test_a_segment_that_is_large_enough_is_followed_by_another(folder: Path) -> None:
    writer, end_span = writer_of(folder, interval=3600, segment_bytes=2_000)
    for number in range(20):
        end_span(str(number))
        assert writer.flush()
    writer.shutdown()
    paths = segments.list_segments(folder / "incoming")
    assert len(paths) > 3
    assert all(path.stat().st_size < 4_000 for path in paths)
    assert len(written(folder)) == 20


def test_a_span_sampled_out_is_not_written(folder: Path) -> None:
    writer = SpanWriter(folder / "incoming")
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    provider.add_span_processor(writer)
    provider.get_tracer("tests").start_span("unseen").end()
    assert writer.flush()
    assert writer.counters.written == 0
    writer.shutdown()


def test_a_span_that_ends_after_shutdown_is_written_at_once(folder: Path) -> None:
    writer, end_span = writer_of(folder)
    writer.shutdown()
    end_span("late")
    assert len(written(folder)) == 1
    writer.shutdown()


def test_a_full_disk_is_told_once_and_counted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    writer, end_span = writer_of(folder, interval=3600, open_segment=failing_segment)
    end_span("before")
    assert writer.flush()
    FailingLog.full = True
    try:
        for _ in range(3):
            end_span("refused")
        assert not writer.flush()
        end_span("refused")
        assert not writer.flush()
    finally:
        FailingLog.full = False
    assert writer.flush(), "nothing was lost since the last call"
    end_span("after")
    assert writer.flush()
    writer.shutdown()
    assert len(written(folder)) == 2
    assert writer.counters.lost == 4
    told = capsys.readouterr().err
    assert told.count("3 spans could not be recorded and are lost") == 1
    assert "the disk is full" in told
    assert told.count("could not be recorded") == 1


def test_after_a_failure_the_writer_goes_on_in_a_new_file(folder: Path) -> None:
    """A reader may have seen lines that were taken back, so offsets in the old file mean nothing any more."""
    writer, end_span = writer_of(folder, interval=3600, open_segment=failing_segment)
    end_span("before")
    assert writer.flush()
    FailingLog.full = True
    try:
        end_span("refused")
        assert not writer.flush()
    finally:
        FailingLog.full = False
    end_span("after")
    assert writer.flush()
    writer.shutdown()
    assert len(segments.list_segments(folder / "incoming")) == 2


def test_where_no_thread_may_be_started_spans_are_written_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    writer, end_span = writer_of(folder)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    end_span("at once")
    assert len(written(folder)) == 1
    monkeypatch.undo()
    writer.shutdown()


def test_ctrl_c_while_writing_loses_nothing(folder: Path) -> None:
    class Interrupted(AppendLog):
        done = False

        def append(self, lines: Iterable[bytes]) -> None:
            super().append(lines)
            if not Interrupted.done:
                Interrupted.done = True
                raise KeyboardInterrupt

    opened = 0

    def open_interrupted(where: Path) -> AppendLog:
        nonlocal opened
        opened += 1
        return Interrupted(where / f"{opened}.jsonl")

    writer, end_span = writer_of(folder, interval=3600, open_segment=open_interrupted)
    end_span("kept")
    with pytest.raises(KeyboardInterrupt):
        writer.flush()
    assert writer.flush()
    writer.shutdown()
    first, second = written(folder)
    assert first == second, "written twice under the same ids: a reader takes it once"


def test_a_span_may_end_inside_the_garbage_collector(folder: Path) -> None:
    writer, end_span = writer_of(folder, interval=3600, buffer_bytes=1)

    class EndsSpan:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            end_span("collected")

    class Collecting(AppendLog):
        def append(self, lines: Iterable[bytes]) -> None:
            EndsSpan()
            gc.collect()
            super().append(lines)

    writer._open_segment = lambda where: Collecting(where / "one.jsonl")
    end_span("first")
    assert writer.flush()
    writer._open_segment = new_segment
    writer.shutdown()
    assert b'"name":"first"' in written(folder)[0]
    assert writer.counters.written >= 2
    assert writer.counters.lost == 0


def test_a_writer_that_is_done_with_is_not_kept_by_its_hooks(folder: Path) -> None:
    writer, end_span = writer_of(folder)
    end_span("only")
    writer.shutdown()
    thread = writer._thread
    assert thread is not None
    thread.join(30)
    gone = weakref.ref(writer)
    del writer, end_span
    gc.collect()
    assert gone() is None
