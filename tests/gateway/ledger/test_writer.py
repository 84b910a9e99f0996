"""The ledger on the disk: acknowledged is there exactly once, a full disk is waited for, nothing is dropped."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pilothouse.core.errors import StorageError
from pilothouse.core.storage import batches, segments
from pilothouse.core.storage.files import AppendLog
from pilothouse.gateway.ledger.service import LedgerService
from pilothouse.gateway.ledger.types import CallFilter
from pilothouse.gateway.ledger.writer import LedgerWriter
from pilothouse.gateway.types import Attempt, LedgerEntry
from pilothouse.models.types import Usage

from .conftest import entry

WORKER = textwrap.dedent(
    """
    import os, sys
    from pathlib import Path
    from pilothouse.core.storage.batches import BatchOptions
    from pilothouse.gateway.ledger.writer import LedgerWriter
    from pilothouse.gateway.types import LedgerEntry
    writer = LedgerWriter(Path(sys.argv[1]), BatchOptions(what="entries", segment_bytes=50_000, precious=True))
    for number in range(20_000):
        writer.record(LedgerEntry(
            id=f"{sys.argv[2]}-{number}", at_ns=number, duration_ns=1, deployment="d", status="ok", http_status=200, cost=1))
        if number % 25 == 24 and writer.flush():
            os.write(1, f"{number + 1}\\n".encode())
    """
)


def test_what_a_killed_process_acknowledged_is_there_once(folder: Path, ledger: Callable[..., LedgerService]) -> None:
    draw = random.Random(3)
    acknowledged: dict[str, int] = {}
    workers = {
        name: subprocess.Popen([sys.executable, "-c", WORKER, str(folder), name], stdout=subprocess.PIPE)
        for name in ("a", "b")
    }
    service = ledger()
    for name, worker in workers.items():
        assert worker.stdout is not None
        for _ in range(draw.randrange(5, 20)):
            acknowledged[name] = int(worker.stdout.readline())
        service.ingest()  # while both go on
        os.kill(worker.pid, signal.SIGKILL)
        rest = worker.communicate()[0].split()
        acknowledged[name] = max([acknowledged[name], *map(int, rest)])
    report = service.ingest()
    assert report.rejected == 0
    ids: list[str] = []
    after: str | None = None
    while True:
        page = service.calls(limit=5_000, after=after)
        ids += [call.entry.id for call in page.calls]
        after = page.after
        if after is None:
            break
    assert len(ids) == len(set(ids))
    for name, count in acknowledged.items():
        assert {f"{name}-{number}" for number in range(count)} <= set(ids)
    assert segments.list_segments(folder / "incoming") == []


def test_a_torn_last_line_is_set_aside_and_counted(folder: Path, ledger: Callable[..., LedgerService]) -> None:
    service = ledger(entry(1), entry(2))
    (path,) = segments.list_segments(folder / "incoming")
    path.write_bytes(path.read_bytes()[:-20])
    report = service.ingest()
    assert (report.calls, report.torn) == (1, 1)
    (kept,) = (folder / "rejected").iterdir()
    assert "call-000002" in kept.read_text()


def test_a_line_that_is_no_entry_is_set_aside_and_counted(folder: Path, ledger: Callable[..., LedgerService]) -> None:
    service = ledger(entry(1))
    (path,) = segments.list_segments(folder / "incoming")
    path.write_bytes(b"garbage\n" + b'{"id":5}\n' + b"\xff\xfe\r\x00\x01\n[]\n" + path.read_bytes())
    report = service.ingest()
    assert (report.calls, report.rejected) == (1, 4)
    assert "garbage" in "".join(kept.read_text() for kept in (folder / "rejected").iterdir())


def test_a_segment_that_comes_twice_counts_once(folder: Path, ledger: Callable[..., LedgerService]) -> None:
    service = ledger(entry(1), entry(2))
    (path,) = segments.list_segments(folder / "incoming")
    path.with_name("20000101T000000-1-aa.jsonl").write_bytes(path.read_bytes() * 2)
    report = service.ingest()
    assert (report.calls, report.duplicates) == (2, 4)
    assert service.spend()[0].calls == 2


class FullDisk(AppendLog):
    """A disk that refuses while `full` is set."""

    full = False

    def append(self, lines: Iterable[bytes]) -> None:
        if FullDisk.full:
            raise StorageError("cannot append to the log: the disk is full", where=str(self.path))
        super().append(lines)


def test_a_full_disk_makes_the_ledger_unhealthy_and_loses_nothing(
    folder: Path,
    ledger: Callable[..., LedgerService],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(FullDisk, "full", True)
    monkeypatch.setattr(batches, "_RETRY", 3600.0)
    options = batches.BatchOptions(what="ledger entries", interval=3600, buffer_bytes=2_000, precious=True)
    writer = LedgerWriter(folder, options)
    numbers = iter(range(100))
    monkeypatch.setattr(writer._batches, "_open_segment", lambda where: FullDisk(where / f"{next(numbers)}.jsonl"))
    for number in range(50):  # far more than the buffer holds: nobody waits for a disk that does not work
        writer.record(entry(number))
    assert not writer.flush()
    assert not writer.healthy
    assert writer.waiting == 50
    assert writer.failures >= 2
    monkeypatch.setattr(FullDisk, "full", False)
    assert writer.flush()
    assert writer.healthy
    writer.close()
    assert ledger().spend()[0].calls == 50
    told = capsys.readouterr().err
    assert told.count("the disk is full") == 1
    assert "kept in memory" in told


def test_a_disk_that_is_well_again_is_noticed_without_being_asked(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "_RETRY", 0.001)
    tries: list[int] = []

    class Recovering(AppendLog):
        def append(self, lines: Iterable[bytes]) -> None:
            tries.append(1)
            if len(tries) < 3:
                raise StorageError("the disk is full")
            super().append(lines)

    writer = LedgerWriter(folder, batches.BatchOptions(what="entries", interval=0.001, precious=True))
    monkeypatch.setattr(writer._batches, "_open_segment", lambda where: Recovering(where / f"{len(tries)}.jsonl"))
    writer.record(entry(1))
    thread = writer._batches._thread
    assert thread is not None
    while not writer.written:
        thread.join(0.01)
    assert writer.healthy
    assert writer.waiting == 0
    writer.close()


def test_what_the_disk_refused_to_the_end_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(FullDisk, "full", True)
    writer = LedgerWriter(folder)
    monkeypatch.setattr(writer._batches, "_open_segment", lambda where: FullDisk(where / "one.jsonl"))
    writer.record(entry(1))
    writer.close()
    assert "1 ledger entries were refused to the end and are lost" in capsys.readouterr().err


HOSTILE = [
    *("'; DROP TABLE calls; --", '"', "\\", "\x00", "\x01", "\n\r\u2028", "\ud800", "名前 \U0001f600", "x" * 100_000),
    *("$.a[0]", "~0/~1", "%s{}"),
]


def test_hostile_texts_are_kept_and_found(ledger: Callable[..., LedgerService]) -> None:
    def hostile(number: int, text: str) -> LedgerEntry:
        written: dict[str, Any] = {"metadata": {text: text}, "end_user": text, "session": text, "model": text}
        return entry(number, **written, attempts=(Attempt(deployment=text, begun_ns=0, duration_ns=1),))

    service = ledger(*(hostile(number, text) for number, text in enumerate(HOSTILE)))
    calls = service.calls().calls
    for text, call in zip(HOSTILE, reversed(calls), strict=True):
        kept = text.encode("utf-8", "replace").decode()
        assert call.entry.metadata == {kept: kept}
        assert call.entry.attempts[0].deployment == kept
    for text in HOSTILE[3:8]:
        kept = text.encode("utf-8", "replace").decode()
        wanted = CallFilter(match={"end_user": kept, "model": kept})
        if "\x00" not in kept:
            wanted = msgspec.structs.replace(wanted, metadata={kept: kept})
        assert [found.entry.model for found in service.calls(wanted).calls] == [kept]
    assert len(service.spend(("model",))) == len(HOSTILE)


def test_counts_beyond_all_reason_do_not_stop_the_ledger(ledger: Callable[..., LedgerService]) -> None:
    huge = entry(1, cost=2**63)
    service = ledger(huge, entry(2), entry(3, usage=Usage(input_tokens=10**30), cost=10**33))
    (row,) = service.spend()
    assert (row.calls, row.unknown, row.cost) == (3, 2, 1_000_000)
    assert service.rerate().became_known == 0
    assert service.call(huge.id).entry == huge
