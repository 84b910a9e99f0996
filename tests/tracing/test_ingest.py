"""From segments into the store: exactly once, whatever dies in between and whatever stands in the files."""

from __future__ import annotations

import json
import random
import signal
from pathlib import Path
from typing import Any

import pytest

from pilothouse.core.errors import Conflict, StorageError
from pilothouse.core.storage import segments
from pilothouse.tracing.stores import ingest, staging
from pilothouse.tracing.stores.duckdb import SpanStore
from pilothouse.tracing.types import TraceFilter

from .conftest import RunPython
from .recording import SECOND, START, Capture, context, span_id, stored_ids, trace_id


def only_segment(folder: Path) -> Path:
    (path,) = segments.list_segments(folder / "incoming")
    return path


def abandoned_segment(folder: Path, content: bytes, name: str = "20260102T030405-1-aa.jsonl") -> None:
    (folder / "incoming").mkdir(parents=True, exist_ok=True)
    (folder / "incoming" / name).write_bytes(content)


def lines_of(tmp_path: Path, count: int) -> list[bytes]:
    """Return lines as a writer makes them."""
    other = Capture(tmp_path / "other")
    for number in range(count):
        other.span(f"span {number}", start=START + number)
    other.close()
    return only_segment(tmp_path / "other").read_bytes().splitlines()


def test_a_second_reading_finds_nothing_new(capture: Capture) -> None:
    capture.span()
    assert capture.ingest().spans == 1
    report = capture.ingest()
    assert (report.spans, report.duplicates, report.bytes) == (0, 0, 0)


def test_a_growing_segment_is_read_on_and_kept(capture: Capture) -> None:
    for number in range(3):
        capture.span(f"span {number}")
        report = capture.ingest()
        assert (report.spans, report.finished) == (1, 0)
    assert only_segment(capture.folder).exists()
    capture.close()
    assert capture.ingest().finished == 1
    assert segments.list_segments(capture.folder / "incoming") == []
    assert len(stored_ids(capture.folder)) == 3


def test_a_torn_last_line_of_a_dead_writer_is_set_aside(folder: Path, tmp_path: Path) -> None:
    first, second = lines_of(tmp_path, 2)
    abandoned_segment(folder, first + b"\n" + second[:40])
    with SpanStore(folder) as store:
        report = store.ingest()
        assert (report.spans, report.torn, report.rejected, report.finished) == (1, 1, 0, 1)
        assert store.stats().torn == 1
    (aside,) = (folder / "rejected").iterdir()
    assert json.loads(aside.read_text())["line"] == second[:40].decode()
    assert segments.list_segments(folder / "incoming") == []


def test_a_torn_last_line_of_a_living_writer_waits(capture: Capture) -> None:
    capture.span("whole")
    capture.flush()
    path = only_segment(capture.folder)
    with path.open("ab") as stream:
        stream.write(b'{"trace_id": "half')
    report = capture.ingest()
    assert (report.spans, report.torn, report.finished) == (1, 0, 0)
    assert path.exists()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"not json", "JSON is malformed"),
        (b"", "Input data was truncated"),
        (b"[1, 2]", "Expected `object`"),
        (b"{}", "missing required field"),
        (b'{"a": ' + b"[" * 100_000, "recursion"),
        (b"\x00\xff\xfe", "JSON is malformed"),
    ],
)
def test_a_line_that_is_no_span_is_set_aside_and_stops_nothing(
    folder: Path, tmp_path: Path, line: bytes, reason: str
) -> None:
    first, second = lines_of(tmp_path, 2)
    abandoned_segment(folder, b"\n".join([first, line, second]) + b"\n")
    with SpanStore(folder) as store:
        report = store.ingest()
        assert (report.spans, report.rejected) == (2, 1)
        assert store.stats().rejected == 1
    (aside,) = (folder / "rejected").iterdir()
    assert reason in json.loads(aside.read_text())["reason"]


@pytest.mark.parametrize(
    "change",
    [
        {"trace_id": "x" * 32},
        {"span_id": "ABCDEF0123456789"},
        {"parent_id": ""},
        {"start_ns": -1},
        {"end_ns": 1 << 64},
        {"status": "great"},
        {"attributes": "text"},
        {"dropped": -1},
        {"seq": "1"},
    ],
)
def test_a_span_with_a_wrong_field_is_set_aside(folder: Path, tmp_path: Path, change: dict[str, object]) -> None:
    (line,) = lines_of(tmp_path, 1)
    abandoned_segment(folder, json.dumps({**json.loads(line), **change}).encode() + b"\n")
    with SpanStore(folder) as store:
        report = store.ingest()
    assert (report.spans, report.rejected) == (0, 1)


def test_a_line_that_only_the_engine_refuses_is_set_aside(folder: Path, tmp_path: Path) -> None:
    """Text of attributes is not looked at before the engine reads it; this one is not UTF-8."""
    first, second, third = lines_of(tmp_path, 3)
    broken = second.replace(b'"attributes":{', b'"attributes":{"k":"\xff\xfe"')
    assert broken != second
    abandoned_segment(folder, b"\n".join([first, broken, third]) + b"\n")
    with SpanStore(folder) as store:
        report = store.ingest()
        names = [summary.head.name for summary in store.list_traces(TraceFilter(), 10, None).traces]
    assert (report.spans, report.rejected) == (2, 1)
    assert names == ["span 2", "span 0"]
    (aside,) = (folder / "rejected").iterdir()
    assert json.loads(aside.read_text())["reason"] == "the engine cannot read this line"


def test_a_line_that_is_too_long_is_set_aside(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = lines_of(tmp_path, 2)
    monkeypatch.setattr(staging, "MAX_LINE", len(lines[0]))
    long = lines[1].replace(b'"span 1"', b'"span 1, by far too long"')
    abandoned_segment(folder, b"\n".join([lines[0], long]) + b"\n")
    with SpanStore(folder) as store:
        report = store.ingest()
    assert (report.spans, report.rejected) == (1, 1)


def test_a_segment_that_grows_between_reading_and_removing_is_read_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its writer wrote once more and left, just after the owner had read what it took for the end."""
    first, second = lines_of(tmp_path, 2)
    abandoned_segment(folder, first + b"\n")
    real = ingest._load

    def load_and_grow(*arguments: Any) -> Any:
        with only_segment(folder).open("ab") as stream:
            stream.write(second + b"\n")
        return real(*arguments)

    monkeypatch.setattr(ingest, "_load", load_and_grow)
    with SpanStore(folder) as store:
        report = store.ingest()
        assert (report.spans, report.torn, report.finished) == (1, 0, 0)
        monkeypatch.setattr(ingest, "_load", real)
        report = store.ingest()
        assert (report.spans, report.finished) == (1, 1)


def test_a_span_that_is_sent_again_is_taken_once(folder: Path, tmp_path: Path) -> None:
    lines = lines_of(tmp_path, 3)
    abandoned_segment(folder, b"\n".join([*lines, lines[0]]) + b"\n")
    with SpanStore(folder) as store:
        assert (store.ingest().spans, store.stats().missing) == (3, 0)
    abandoned_segment(folder, b"\n".join(lines[1:]) + b"\n", name="20260102T030406-2-bb.jsonl")
    with SpanStore(folder) as store:
        report = store.ingest()
        assert (report.spans, report.duplicates) == (0, 2)
        assert store.stats().missing == 0
    assert len(stored_ids(folder)) == 3


def test_a_span_that_is_sent_again_after_sealing_is_taken_once(folder: Path, tmp_path: Path) -> None:
    lines = lines_of(tmp_path, 3)
    abandoned_segment(folder, b"\n".join(lines) + b"\n")
    with SpanStore(folder) as store:
        store.ingest()
        last = store.stats().last
        assert last is not None
        assert store.seal(last.replace(year=2027)).spans == 3
    abandoned_segment(folder, b"\n".join(lines) + b"\n", name="20260102T030406-2-bb.jsonl")
    with SpanStore(folder) as store:
        assert store.ingest().duplicates == 3
        assert store.stats().spans == 3


def test_gaps_in_the_numbers_show_what_never_arrived(folder: Path, tmp_path: Path) -> None:
    lines = lines_of(tmp_path, 5)
    abandoned_segment(folder, b"\n".join([lines[0], lines[4]]) + b"\n")
    with SpanStore(folder) as store:
        store.ingest()
        assert store.stats().missing == 3


def test_many_batches_and_many_segments(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "BATCH_BYTES", 3_000)
    lines = lines_of(tmp_path, 60)
    for number in range(6):
        part = lines[number * 10 : number * 10 + 10]
        abandoned_segment(folder, b"\n".join(part) + b"\n", name=f"20260102T03040{number}-1-aa.jsonl")
    with SpanStore(folder) as store:
        report = store.ingest()
    assert (report.spans, report.finished) == (60, 6)
    assert len(stored_ids(folder)) == 60


def test_a_parent_that_arrives_after_its_child(folder: Path) -> None:
    child_first, parent_later = Capture(folder), Capture(folder)
    parent = parent_later.tracer.start_span("parent", start_time=START)
    child = child_first.span("child", start=START + 5, parent=parent)  # type: ignore[arg-type]
    child_first.ingest()
    with SpanStore(folder) as store:
        (summary,) = store.list_traces(TraceFilter(), 10, None).traces
        assert (summary.head.name, summary.complete) == ("child", False)
        (item,) = store.trace(trace_id(child), 10).spans
        assert item.orphan
    parent.end(START + 10 * SECOND)
    parent_later.ingest()
    with SpanStore(folder) as store:
        (summary,) = store.list_traces(TraceFilter(), 10, None).traces
        assert (summary.head.name, summary.complete, summary.spans) == ("parent", True, 2)
        found = store.trace(trace_id(child), 10).spans
    assert [(item.span.name, item.depth, item.orphan) for item in found] == [("parent", 0, False), ("child", 1, False)]
    child_first.close()
    parent_later.close()


def test_a_clock_that_runs_backwards(capture: Capture) -> None:
    span = capture.span("back", seconds=-30)
    capture.ingest()
    with SpanStore(capture.folder) as store:
        (item,) = store.trace(trace_id(span), 10).spans
        assert item.span.duration == 0
        assert store.models(TraceFilter()) == ()
        assert store.trace(trace_id(span), 10).duration == 0
        assert len(store.list_traces(TraceFilter(min_duration=0), 10, None).traces) == 1


def test_times_far_off_do_no_harm(capture: Capture) -> None:
    capture.span("first second", start=0)
    capture.span("end of time", start=(1 << 63) - 1 - SECOND, seconds=0.5)
    capture.ingest()
    with SpanStore(capture.folder) as store:
        first, last = store.stats().first, store.stats().last
    assert (first, last) == (first and first.replace(year=1970), last and last.replace(year=2262))


def test_a_trace_with_a_circle_is_shown_whole(capture: Capture) -> None:
    """Ids come from outside; a span may claim to be its own grandmother."""
    one = capture.span("one", parent=context(5, 11, remote=True))
    capture.flush()
    (line,) = capture.lines()
    circle = [
        {**line, "span_id": f"{number:016x}", "parent_id": f"{parent:016x}", "name": f"circle {number}"}
        for number, parent in ((21, 23), (22, 21), (23, 22), (24, 24))
    ]
    abandoned_segment(capture.folder, b"".join(json.dumps(item).encode() + b"\n" for item in circle))
    capture.ingest()
    with SpanStore(capture.folder) as store:
        found = store.trace(trace_id(one), 10)
    assert found.total == 5
    assert sorted(item.span.name for item in found.spans) == ["circle 21", "circle 22", "circle 23", "circle 24", "one"]


KILLED_OWNER = """
import os, signal, sys
from pathlib import Path
from pilothouse.tracing.stores import ingest, staging
from pilothouse.tracing.stores.duckdb import SpanStore

def die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)

staging.BATCH_BYTES = 4_000
left = int(sys.argv[3])
inner = getattr(ingest, sys.argv[2])
def counted(*arguments):
    global left
    left -= 1
    if left < 0:
        die()
    return inner(*arguments)
setattr(ingest, sys.argv[2], counted)
with SpanStore(Path(sys.argv[1])) as store:
    store.ingest()
"""


@pytest.mark.parametrize("after", [0, 2])
@pytest.mark.parametrize("place", ["_read", "_set_aside", "_load", "_finish", "_tail"])
def test_the_owner_is_killed_in_the_middle_of_ingesting(
    folder: Path, tmp_path: Path, run_python: RunPython, place: str, after: int
) -> None:
    """Before and after reading a batch, before its commit, between batches, before a segment is removed."""
    lines = lines_of(tmp_path, 40)
    for number in range(4):
        part = lines[number * 10 : number * 10 + 10]
        abandoned_segment(folder, b"\n".join([*part, b"no span"]) + b"\n", name=f"20260102T03040{number}-1-aa.jsonl")
    run_python(KILLED_OWNER, folder, place, after, check=-signal.SIGKILL)
    found = [span for _, span in stored_ids(folder)]
    assert sorted(found) == sorted(json.loads(line)["span_id"] for line in lines)
    assert segments.list_segments(folder / "incoming") == []
    with SpanStore(folder) as store:
        assert (store.stats().rejected, store.stats().missing) == (4, 0)
    aside = [line for path in (folder / "rejected").iterdir() for line in path.read_text().splitlines()]
    assert len({(json.loads(line)["segment"], json.loads(line)["end"]) for line in aside}) == 4


def test_the_owner_is_killed_at_any_moment(folder: Path, tmp_path: Path, run_python: RunPython) -> None:
    lines = lines_of(tmp_path, 2_000)
    for number in range(4):
        part = lines[number * 500 : number * 500 + 500]
        abandoned_segment(folder, b"\n".join(part) + b"\n", name=f"20260102T03040{number}-1-aa.jsonl")
    script = """
    import os, signal, sys, threading
    from pathlib import Path
    from pilothouse.tracing.stores import staging
    from pilothouse.tracing.stores.duckdb import SpanStore
    staging.BATCH_BYTES = 50_000
    with SpanStore(Path(sys.argv[1])) as store:
        threading.Timer(float(sys.argv[2]), os.kill, (os.getpid(), signal.SIGKILL)).start()
        store.ingest()
        signal.pause()
    """
    for _ in range(4):
        run_python(script, folder, random.uniform(0.0, 0.2), check=-signal.SIGKILL)
    found = [span for _, span in stored_ids(folder)]
    assert sorted(found) == sorted(json.loads(line)["span_id"] for line in lines)


def test_the_disk_fills_up_while_ingesting(folder: Path, tmp_path: Path, run_python: RunPython) -> None:
    lines = lines_of(tmp_path, 400)
    abandoned_segment(folder, b"\n".join(lines) + b"\n")
    with SpanStore(folder):
        pass
    script = """
    import resource, signal, sys
    from pathlib import Path
    from pilothouse.core.errors import StorageError
    from pilothouse.tracing.stores.duckdb import SpanStore
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    store = SpanStore(Path(sys.argv[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
    try:
        store.ingest()
    except StorageError as error:
        print(error)
    """
    done = run_python(script, folder)
    assert "cannot" in done.stdout or "failed" in done.stdout
    assert len(stored_ids(folder)) == 400


def test_an_empty_segment_of_a_dead_writer_is_removed(folder: Path) -> None:
    abandoned_segment(folder, b"")
    with SpanStore(folder) as store:
        assert store.ingest().finished == 1
    assert list((folder / "incoming").iterdir()) == []


def test_a_segment_removed_under_its_new_writer_is_made_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader may take the empty file for an abandoned one before the writer has its lock."""
    opened: list[Path] = []
    real = segments.AppendLog

    def racing(path: Path) -> segments.AppendLog:
        log = real(path)
        opened.append(path)
        if len(opened) == 1:
            path.unlink()
        return log

    monkeypatch.setattr(segments, "AppendLog", racing)
    log = segments.new_segment(folder)
    log.append([b"kept"])
    log.close()
    assert len(opened) == 2
    assert only_segment_of(folder) == b"kept\n"


def test_a_segment_that_a_reader_looks_at_is_left_to_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []
    real = segments.AppendLog

    def held(path: Path) -> segments.AppendLog:
        asked.append(path)
        if len(asked) < limit:
            raise Conflict("another process is writing this log")
        return real(path)

    monkeypatch.setattr(segments, "AppendLog", held)
    limit = 3
    segments.new_segment(folder).close()
    assert len(set(asked)) == 3
    asked.clear()
    limit = 100
    with pytest.raises(StorageError, match="taken away each time"):
        segments.new_segment(folder)


def only_segment_of(folder: Path) -> bytes:
    (path,) = segments.list_segments(folder)
    return path.read_bytes()


def test_ids_of_a_stored_span(capture: Capture) -> None:
    span = capture.span()
    capture.flush()
    assert stored_ids(capture.folder) == [(trace_id(span), span_id(span))]
