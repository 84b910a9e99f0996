"""Real processes: killed, forked, ended in a hurry, out of disk. What was acknowledged is there, exactly once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from pilothouse.tracing.stores.duckdb import SpanStore

from .conftest import RunPython
from .recording import stored_ids

# Makes spans for ever, and says on standard output which ones are acknowledged, after each flush.
WRITER = textwrap.dedent(
    """
    import os, sys
    from pathlib import Path
    from opentelemetry.sdk.trace import TracerProvider
    from pilothouse.tracing.writer import SpanWriter

    writer = SpanWriter(Path(sys.argv[1]) / "incoming", segment_bytes=int(sys.argv[2]))
    provider = TracerProvider()
    provider.add_span_processor(writer)
    tracer = provider.get_tracer("child")
    limit = int(sys.argv[3])
    made = 0
    while made < limit:
        ids = []
        for _ in range(25):
            span = tracer.start_span("work", attributes={"text": "t" * 200})
            span.end()
            ids.append(f"{span.get_span_context().span_id:016x}")
        made += len(ids)
        if writer.flush():
            os.write(1, (" ".join(ids) + "\\n").encode())
    """
)

SETUP = """
    import os, sys
    from pathlib import Path
    from opentelemetry.sdk.trace import TracerProvider
    from pilothouse.tracing.writer import SpanWriter
    writer = SpanWriter(Path(sys.argv[1]) / "incoming", interval=3600)
    provider = TracerProvider()
    provider.add_span_processor(writer)
    tracer = provider.get_tracer("child")
    def make(name):
        tracer.start_span(name).end()
"""


def names(folder: Path) -> list[str]:
    with SpanStore(folder) as store:
        store.ingest()
        rows = store._connection.execute("SELECT name FROM all_spans ORDER BY name").fetchall()
    return [row[0] for row in rows]


def start(folder: Path, limit: int) -> subprocess.Popen[bytes]:
    arguments = [str(folder), "100000", str(limit)]
    return subprocess.Popen([sys.executable, "-W", "error", "-c", WRITER, *arguments], stdout=subprocess.PIPE)


def acknowledged(output: bytes) -> list[str]:
    """Return the ids that were printed whole: a line cut by the kill was never read by anybody."""
    return [span for line in output.split(b"\n")[:-1] for span in line.decode().split()]


def test_two_processes_write_and_one_is_killed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Must show 5: every acknowledged span is there afterwards, exactly once."""
    survivor, victim = start(folder, 5_000), start(folder, 1 << 60)
    assert victim.stdout is not None
    head = b"".join(victim.stdout.readline() for _ in range(40))  # killed in the middle of its work, not before it
    os.kill(victim.pid, signal.SIGKILL)
    rest, _ = victim.communicate()
    output, _ = survivor.communicate()
    assert victim.returncode == -signal.SIGKILL
    assert survivor.returncode == 0

    acks = acknowledged(head + rest) + acknowledged(output)
    stored = [span for _, span in stored_ids(folder)]
    lost = set(acks) - set(stored)
    twice = len(stored) - len(set(stored))
    with SpanStore(folder) as store:
        torn = store.stats().torn
    with capsys.disabled():
        print(
            f"\n  {len(acks)} spans acknowledged by two processes, one of them killed with SIGKILL; in the store:"
            f" {len(stored)}; acknowledged but lost: {len(lost)}; twice: {twice}; torn lines set aside: {torn}"
        )
    assert len(acks) >= 6_000
    assert lost == set()
    assert twice == 0
    assert list((folder / "incoming").iterdir()) == [], "both writers are gone: their segments were removed"


def test_reading_while_two_processes_write_takes_every_span_once(folder: Path) -> None:
    writers = [start(folder, 3_000), start(folder, 3_000)]
    reports = []
    with SpanStore(folder) as store:
        while any(writer.poll() is None for writer in writers):
            reports.append(store.ingest())
        reports.append(store.ingest())
    acks = [span for writer in writers for span in acknowledged(writer.communicate()[0])]
    assert sorted(span for _, span in stored_ids(folder)) == sorted(acks)
    assert sum(report.spans for report in reports) == len(acks) == 6_000
    assert sum(report.duplicates + report.rejected + report.torn for report in reports) == 0


def test_an_orderly_end_writes_what_was_not_flushed(folder: Path, run_python: RunPython) -> None:
    run_python(SETUP + '\n    make("last")', folder)
    assert names(folder) == ["last"]


def test_an_exception_writes_what_was_not_flushed(folder: Path, run_python: RunPython) -> None:
    run_python(SETUP + '\n    make("last")\n    raise SystemExit(3)', folder, check=3)
    assert names(folder) == ["last"]


def test_a_forked_child_writes_its_own_spans_and_only_those(folder: Path, run_python: RunPython) -> None:
    script = """
    make("parent before")
    child = os.fork()
    if child == 0:
        make("child")
        writer.flush()
        os._exit(0)
    os.waitpid(child, 0)
    make("parent after")
    """
    run_python(SETUP + script, folder)
    assert names(folder) == ["child", "parent after", "parent before"]


def test_a_child_forked_while_threads_write(folder: Path, run_python: RunPython) -> None:
    script = """
    import threading
    stop = threading.Event()
    def work():
        while not stop.is_set():
            make("thread")
            writer.flush()
    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads: thread.start()
    for number in range(20):
        child = os.fork()
        if child == 0:
            make(f"child {number:02}")
            writer.flush()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    stop.set()
    for thread in threads: thread.join()
    assert writer.counters.lost == 0
    print(writer.counters.written + len(writer._lines))
    """
    done = run_python(
        SETUP.replace("import os, sys", "import os, sys, warnings; warnings.simplefilter('ignore')") + script, folder
    )
    found = names(folder)
    assert found[:20] == [f"child {number:02}" for number in range(20)]
    assert len(found) == 20 + int(done.stdout)


def test_a_forked_child_keeps_no_hold_on_its_parents_segment(folder: Path, run_python: RunPython) -> None:
    """Else the segment of a dead parent would look alive for as long as the child lives."""
    script = """
    make("parent")
    writer.flush()
    ready, told = os.pipe()
    if os.fork() == 0:
        os.write(told, b"x")
        import time
        while True: time.sleep(60)
    os.read(ready, 1)
    import signal, subprocess
    os.kill(os.getpid(), signal.SIGKILL)
    """
    script = script.replace(
        "if os.fork() == 0:",
        'child = os.fork()\n    open(sys.argv[2], "w").write(str(child or os.getpid()))\n    if child == 0:',
    )
    pid = folder.parent / "pid"
    run_python(
        "import os\nos.close(1); os.close(2)\n" + textwrap.dedent(SETUP + script), folder, pid, check=-signal.SIGKILL
    )
    try:
        with SpanStore(folder) as store:
            report = store.ingest()
        assert (report.spans, report.finished) == (1, 1)
    finally:
        os.kill(int(pid.read_text()), signal.SIGKILL)


def test_workers_of_multiprocessing_write_before_they_leave(folder: Path, run_python: RunPython) -> None:
    script = """
    import multiprocessing
    fork = multiprocessing.get_context("fork")
    make("parent")
    workers = [fork.Process(target=make, args=(f"worker {n}",)) for n in range(3)]
    for worker in workers: worker.start()
    for worker in workers: worker.join()
    """
    run_python(SETUP + script, folder)
    assert names(folder) == ["parent", "worker 0", "worker 1", "worker 2"]


def test_spans_of_a_forked_child_tell_its_own_process_id(folder: Path, run_python: RunPython) -> None:
    script = """
    make("parent")
    child = os.fork()
    if child == 0:
        make("child")
        writer.flush()
        os._exit(0)
    os.waitpid(child, 0)
    print(child)
    """
    done = run_python(SETUP + script, folder)
    names(folder)
    with SpanStore(folder) as store:
        rows = store._connection.execute(
            """SELECT s.name, p.resource->>'$."process.pid"' FROM all_spans s JOIN all_payloads p USING (span_id) ORDER BY 1"""
        ).fetchall()
    assert rows[0] == ("child", done.stdout.strip())
    assert rows[1][1] != rows[0][1]


def test_a_disk_that_is_full_breaks_nothing_and_is_told(folder: Path, run_python: RunPython) -> None:
    """The limit on file sizes stands in for the full disk: the kernel refuses the write in the same way."""
    script = """
    import resource, signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    make("kept")
    assert writer.flush()
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, resource.RLIM_INFINITY))
    for number in range(50): make(f"lost {number}")
    assert not writer.flush()
    assert writer.counters.lost == 50, writer.counters
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    make("kept again")
    assert writer.flush()
    print("the work went on")
    """
    done = run_python(SETUP + script, folder)
    assert done.stdout == "the work went on\n"
    assert done.stderr.count("50 spans could not be recorded and are lost") == 1
    assert names(folder) == ["kept", "kept again"]
    with SpanStore(folder) as store:
        assert store.stats().missing == 50, "the gap in the numbers shows what was lost"
