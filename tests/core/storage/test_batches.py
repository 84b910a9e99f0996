"""Lines in batches: acknowledged is on the disk, whoever forks or fails."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

from pilothouse.core.errors import StorageError
from pilothouse.core.storage.batches import BatchOptions, BatchWriter
from pilothouse.core.storage.files import AppendLog


def options(**changes: float | bool) -> BatchOptions:
    return BatchOptions(**{"what": "lines", "interval": 3600.0, **changes})  # type: ignore[arg-type]


def lines_of(folder: Path) -> list[bytes]:
    return [line for path in sorted(folder.glob("*.jsonl")) for line in path.read_bytes().splitlines()]


def test_nothing_is_opened_before_the_first_line(tmp_path: Path) -> None:
    writer = BatchWriter(tmp_path / "in", options())
    assert writer.flush()
    writer.close()
    assert not (tmp_path / "in").exists()


def test_a_full_batch_is_written_without_waiting_for_the_interval(tmp_path: Path) -> None:
    reached = threading.Event()

    class Watched(AppendLog):
        def append(self, lines: Iterable[bytes]) -> None:
            super().append(lines)
            reached.set()

    writer = BatchWriter(tmp_path, options(batch_lines=10), lambda folder: Watched(folder / "one.jsonl"))
    for number in range(9):
        writer.put(b"%d" % number)
    assert not reached.is_set()
    writer.put(b"9")
    assert reached.wait(30)
    writer.close()
    assert lines_of(tmp_path) == [b"%d" % number for number in range(10)]


def test_a_forked_child_begins_without_its_parents_lines(tmp_path: Path) -> None:
    writer = BatchWriter(tmp_path, options(precious=True))
    writer.put(b"parent")
    child = os.fork()
    if child == 0:
        writer.put(b"child")
        os._exit(0 if writer.flush() and writer.written == 1 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert writer.flush()
    writer.close()
    assert sorted(lines_of(tmp_path)) == [b"child", b"parent"]
    assert len(list(tmp_path.glob("*.jsonl"))) == 2


def test_lines_that_are_not_precious_are_lost_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Full(AppendLog):
        def append(self, lines: Iterable[bytes]) -> None:
            raise StorageError("the disk is full")

    numbers = iter(range(9))
    writer = BatchWriter(tmp_path, options(), lambda folder: Full(folder / f"{next(numbers)}.jsonl"))
    writer.put(b"1")
    assert not writer.flush()
    assert (writer.lost, writer.waiting, writer.failures, writer.healthy) == (1, 0, 1, True)
    writer.put(b"2")
    writer.close()
    assert writer.lost == 2
    assert capsys.readouterr().err.count("are lost") == 1


def test_a_real_full_disk_keeps_precious_lines(tmp_path: Path) -> None:
    """A limit on the size of files is what this process can make itself: the kernel refuses in the middle of a line."""
    resource = pytest.importorskip("resource")
    child = os.fork()
    if child == 0:
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        writer = BatchWriter(tmp_path, options(precious=True))
        for number in range(300):
            writer.put(b"%09d" % number)
        refused = not writer.flush() and not writer.healthy and writer.waiting == 300
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        written = writer.flush() and writer.healthy and writer.waiting == 0
        writer.close()
        os._exit(0 if refused and written else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert lines_of(tmp_path) == [b"%09d" % number for number in range(300)]
