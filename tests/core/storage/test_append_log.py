"""The append-only log: what was acknowledged stays, whatever happens."""

from __future__ import annotations

import subprocess
import sys
import threading
import tracemalloc
from itertools import islice
from pathlib import Path

import pytest

from pilothouse.core.errors import Conflict, DataError, StorageError
from pilothouse.core.storage.files import AppendLog, read_log

# Appends batches of three numbered lines, and says the last number each time a batch was acknowledged.
WRITER = """
import sys
from pathlib import Path
from pilothouse.core.storage.files import AppendLog
log = AppendLog(Path(sys.argv[1]))
number = 0
while True:
    log.append(b"%d %s" % (number + i, b"x" * 500) for i in range(3))
    number += 3
    print(number, flush=True)
"""


def lines(path: Path, start: int = 0) -> list[bytes]:
    return [line for _, line in read_log(path, start)]


def test_lines_come_back_with_their_ends(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "log"
    with AppendLog(path) as log:
        log.append([b"one", b"", "drei ß".encode()])
        log.append([])
        log.append(iter([b"four"]))
        assert log.size == path.stat().st_size
    found = list(read_log(path))
    assert [line for _, line in found] == [b"one", b"", "drei ß".encode(), b"four"]
    assert [end for end, _ in found] == [4, 5, 13, 18]
    assert lines(path, found[1][0]) == ["drei ß".encode(), b"four"]
    assert lines(path, 18) == lines(path, 999) == []


def test_the_file_is_private(tmp_path: Path) -> None:
    AppendLog(tmp_path / "log").close()
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600


def test_reopening_goes_on_where_it_ended(tmp_path: Path) -> None:
    with AppendLog(tmp_path / "log") as log:
        log.append([b"1"])
    with AppendLog(tmp_path / "log") as log:
        assert (log.size, log.truncated_bytes) == (2, 0)
        log.append([b"2"])
    assert lines(tmp_path / "log") == [b"1", b"2"]


@pytest.mark.parametrize("torn", [b"t", b"torn" * 40_000])
@pytest.mark.parametrize("whole", [b"", b"whole\n", b"x" * 200_000 + b"\n"])
def test_a_torn_last_line_is_not_read_and_is_cut_off_on_opening(tmp_path: Path, whole: bytes, torn: bytes) -> None:
    path = tmp_path / "log"
    path.write_bytes(whole + torn)
    assert b"".join(line + b"\n" for line in lines(path)) == whole
    with AppendLog(path) as log:
        assert (log.size, log.truncated_bytes) == (len(whole), len(torn))
        log.append([b"next"])
    assert path.read_bytes() == whole + b"next\n"


def test_a_line_with_a_line_end_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with AppendLog(tmp_path / "log") as log:
        with pytest.raises(DataError, match="line end"):
            log.append([b"good", b"bad\nline"])
        assert log.size == 0
    assert (tmp_path / "log").read_bytes() == b""


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with AppendLog(path) as log:
        log.append([b"1"])
        with pytest.raises(Conflict) as caught:
            AppendLog(path)
        assert str(path) in str(caught.value)
    AppendLog(path).close()


def test_another_process_is_refused_and_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with AppendLog(path) as log:
        log.append([b"1"])
        done = subprocess.run([sys.executable, "-c", WRITER, path], check=False, capture_output=True, text=True)
        assert done.returncode != 0
        assert "another process is writing this log" in done.stderr
        log.append([b"2"])
    assert lines(path) == [b"1", b"2"]


def test_threads_share_a_log(tmp_path: Path) -> None:
    with AppendLog(tmp_path / "log") as log:

        def work(mark: bytes) -> None:
            for number in range(20):
                log.append([b"%s %d a" % (mark, number), b"%s %d b" % (mark, number)])

        threads = [threading.Thread(target=work, args=(mark,)) for mark in (b"p", b"q", b"r")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found = lines(tmp_path / "log")
    for mark in (b"p", b"q", b"r"):
        assert [line for line in found if line.startswith(mark)] == [
            b"%s %d %s" % (mark, number, half) for number in range(20) for half in (b"a", b"b")
        ]
    assert all(found[i][:-1] == found[i + 1][:-1] for i in range(0, len(found), 2)), "a batch was torn apart"


def test_everything_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for acknowledgements in (1, 7, 40):
        path.unlink(missing_ok=True)
        with subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            said = [int(line) for line in islice(child.stdout, acknowledgements)]
            child.kill()
        with AppendLog(path) as log:
            log.append([b"after"])
        found = lines(path)
        numbers = [int(line.split()[0]) for line in found[:-1]]
        assert numbers == list(range(len(numbers)))
        assert len(numbers) >= said[-1]
        assert found[-1] == b"after"


def test_a_file_that_may_not_grow_loses_nothing_and_keeps_no_half(tmp_path: Path, file_size_limit) -> None:
    path = tmp_path / "log"
    with AppendLog(path) as log:
        log.append([b"first"])
        with file_size_limit(1000), pytest.raises(StorageError, match="may not grow") as caught:
            log.append([b"short", b"x" * 600, b"y" * 600])
        assert str(path) in str(caught.value)
        assert path.read_bytes() == b"first\n"
        log.append([b"second"])
    assert lines(path) == [b"first", b"second"]


def test_full_disk_loses_nothing_and_keeps_no_half(small_disk: Path) -> None:
    path = small_disk / "log"
    with AppendLog(path) as log:
        written = 0

        def fill() -> None:
            nonlocal written
            while True:
                log.append([b"%05d %s" % (written, b"x" * 900), b"second"])
                written += 1

        with pytest.raises(StorageError, match="the disk is full"):
            fill()
        assert written > 10
        assert path.stat().st_size == log.size
        log.append([b"small"])
    found = lines(path)
    assert len(found) == 2 * written + 1
    assert found[-1] == b"small"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_log_that_cannot_be_cut_back_refuses_to_go_on() -> None:
    with AppendLog(Path("/dev/full")) as log:
        with pytest.raises(StorageError, match="the disk is full"):
            log.append([b"x"])
        with pytest.raises(StorageError, match="could not be cut back"):
            log.append([b"x"])


def test_a_closed_log_says_so(tmp_path: Path) -> None:
    log = AppendLog(tmp_path / "log")
    log.close()
    log.close()
    with pytest.raises(StorageError, match="closed"):
        log.append([b"x"])


def test_a_missing_log_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot read the log") as caught:
        lines(tmp_path / "log")
    assert str(tmp_path / "log") in str(caught.value)


def test_reading_takes_no_more_memory_for_a_longer_log(tmp_path: Path) -> None:
    with AppendLog(tmp_path / "log") as log:
        for _ in range(20):
            log.append([b"x" * 1000] * 1000)
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_log(tmp_path / "log")) == 20_000
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
