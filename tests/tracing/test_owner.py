"""One process owns the store; a second one waits, and is told who holds it."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import duckdb
import pytest

from pilothouse.core.errors import Conflict, StorageError
from pilothouse.core.storage.owner import OwnerLock
from pilothouse.tracing.stores.duckdb import SpanStore

HOLDER = textwrap.dedent(
    """
    import os, sys
    from pathlib import Path
    from pilothouse.core.storage.owner import OwnerLock
    lock = OwnerLock(Path(sys.argv[1]), 0)
    os.write(1, b"held")
    sys.stdin.read()
    """
)


def holder(path: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.read(4) == b"held"
    return process


def test_a_second_process_is_told_who_holds_the_store(folder: Path) -> None:
    other = holder(folder / "owner.lock")
    with pytest.raises(Conflict, match=f"held by process {other.pid}") as raised:
        SpanStore(folder, wait=0.2)
    assert "wait until it has finished" in str(raised.value)
    other.communicate()


def test_a_second_process_waits_for_the_first_to_finish(folder: Path) -> None:
    other = holder(folder / "owner.lock")
    finish = threading.Timer(0.3, other.communicate)
    finish.start()
    OwnerLock(folder / "owner.lock", 60).release()
    finish.join()


def test_a_killed_owner_holds_nothing(folder: Path) -> None:
    other = holder(folder / "owner.lock")
    other.kill()
    other.communicate()
    OwnerLock(folder / "owner.lock", 5).release()


def test_a_second_store_of_the_same_process_is_refused(folder: Path) -> None:
    with SpanStore(folder), pytest.raises(Conflict, match="held by this process"):
        SpanStore(folder, wait=0)


def test_a_store_that_is_closed_can_be_opened_again(folder: Path) -> None:
    for _ in range(2):
        store = SpanStore(folder, wait=0)
        store.close()
        store.close()


def test_a_forked_child_does_not_hold_the_lock(folder: Path, run_python: object) -> None:
    script = """
    import os, signal, sys
    from pathlib import Path
    from pilothouse.core.storage.owner import OwnerLock
    lock = OwnerLock(Path(sys.argv[1]), 0)
    child = os.fork()
    if child == 0:
        signal.pause()
    lock.release()
    OwnerLock(Path(sys.argv[1]), 5).release()
    os.kill(child, signal.SIGKILL)
    """
    run_python(script, folder / "owner.lock")  # type: ignore[operator]


def test_a_database_open_in_another_program_is_told(folder: Path) -> None:
    with SpanStore(folder):
        pass
    script = f"import duckdb, sys; c = duckdb.connect({str(folder / 'spans.duckdb')!r}); print('open', flush=True); sys.stdin.read()"
    other = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert other.stdout is not None
    other.stdout.readline()
    with pytest.raises(StorageError, match="close the other program"):
        SpanStore(folder)
    other.communicate()
    SpanStore(folder).close()


def test_a_database_that_is_none_is_told_and_left_alone(folder: Path) -> None:
    folder.mkdir()
    (folder / "spans.duckdb").write_bytes(b"these are somebody's notes" * 1000)
    with pytest.raises(StorageError, match="span store failed"):
        SpanStore(folder)
    assert (folder / "spans.duckdb").read_bytes().startswith(b"these are")
    OwnerLock(folder / "owner.lock", 0).release()


def test_a_store_of_a_newer_version_is_refused(folder: Path) -> None:
    SpanStore(folder).close()
    with duckdb.connect(str(folder / "spans.duckdb")) as connection:
        connection.execute("UPDATE meta SET value = 99 WHERE name = 'schema'")
    with pytest.raises(StorageError, match="newer Pilothouse"):
        SpanStore(folder)


def test_a_file_where_the_folder_should_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "telemetry").write_text("a file")
    with pytest.raises(StorageError, match="open the lock of the span store"):
        SpanStore(tmp_path / "telemetry")


def test_a_folder_that_the_engine_cannot_name_is_told_in_words(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"in its name(.|\n)*rename the folder"):
        SpanStore(tmp_path / "why?" / "telemetry")
