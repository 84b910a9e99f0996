"""The journal: what is recorded stays, the latest outcome counts, input order is kept."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import time
import tracemalloc
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace

from pilothouse.core.errors import Conflict, StorageError
from pilothouse.core.storage.files import AppendLog
from pilothouse.experiments.runs.engine.execution import recount
from pilothouse.experiments.runs.engine.progress import Tally
from pilothouse.experiments.runs.journal import Journal, RowWriter, renumber
from pilothouse.experiments.runs.rowcodec import encode_row
from pilothouse.experiments.runs.types import RowStatus, RunRow
from pilothouse.models.types import Usage


def make(number: int, *, repeat: int = 0, status: RowStatus = "completed", attempt: int = 1, text: str = "") -> RunRow:
    return RunRow(
        line_id=f"id-{number}", number=number, repeat=repeat, status=status, outputs={"text": text}, attempt=attempt
    )


def write(path: Path, rows: Sequence[RunRow]) -> None:
    with AppendLog(path) as log:
        log.append([encode_row(row) for row in rows])


def test_rows_come_back_in_input_order_whatever_order_they_ended_in(tmp_path: Path) -> None:
    rows = [make(number, repeat=repeat) for number in range(40) for repeat in range(3)]
    shuffled = random.Random(1).sample(rows, len(rows))
    write(tmp_path / "rows.jsonl", shuffled)
    journal = Journal(tmp_path / "rows.jsonl", repeat=3)
    assert list(journal.rows()) == rows
    assert list(journal.rows(order="completion")) == shuffled


def test_the_latest_outcome_of_a_row_counts(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write(path, [make(0, status="failed"), make(1), make(2, status="missing")])
    write(path, [make(2, attempt=2), make(0, attempt=2)])
    journal = Journal(path)
    index = journal.index()
    assert [(row.number, row.attempt) for row in journal.rows()] == [(0, 2), (1, 1), (2, 2)]
    assert [row.number for row in journal.rows(order="completion")] == [1, 2, 0]
    assert (index.count("completed"), index.count("failed"), len(index)) == (3, 0, 3)
    assert list(journal.rows(status="failed")) == []


def test_a_row_is_found_by_its_place(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write(path, [make(5, repeat=1, text="here")])
    journal = Journal(path, repeat=2)
    index = journal.index()
    found = journal.row(index, 5, 1)
    assert found is not None
    assert found.outputs == {"text": "here"}
    assert journal.row(index, 5, 0) is None
    assert journal.row(index, 9, 0) is None
    assert index.status(9, 1) is None


def test_a_run_that_recorded_nothing_has_no_rows(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "none.jsonl")
    assert list(journal.rows()) == []
    assert len(journal.index()) == 0
    assert not journal.is_held()


def test_a_torn_last_line_is_left_out_and_cut_by_the_next_writer(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write(path, [make(0), make(1)])
    with path.open("ab") as stream:
        stream.write(encode_row(make(2))[:-7])
    assert [row.number for row in Journal(path).rows()] == [0, 1]
    write(path, [make(2)])
    assert [row.number for row in Journal(path).rows()] == [0, 1, 2]


def test_a_damaged_line_is_told_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write(path, [make(0)])
    size = path.stat().st_size
    with path.open("ab") as stream:
        stream.write(b"{broken}\n")
    with pytest.raises(StorageError, match=f"byte {size}"):
        Journal(path).index()


def test_a_second_writer_is_refused_and_a_reader_can_tell(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with AppendLog(path):
        assert Journal(path).is_held()
        with pytest.raises(Conflict):
            AppendLog(path)
    assert not Journal(path).is_held()


def test_renumbering_keeps_rows_by_id_and_counts_those_that_are_gone(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write(path, [make(0), make(1, text="one"), make(2, status="failed"), make(2, attempt=2)])
    assert renumber(Journal(path), {"id-2": 0, "id-1": 1, "new": 2}) == 1
    rows = list(Journal(path).rows())
    assert [(row.number, row.line_id, row.attempt) for row in rows] == [(0, "id-2", 2), (1, "id-1", 1)]


class CountingLog(AppendLog):
    batches: list[int]

    def append(self, lines) -> None:
        batch = list(lines)
        self.batches.append(len(batch))
        super().append(batch)


async def put_all(writer: RowWriter, rows: Sequence[RunRow]) -> None:
    async with writer:
        for row in rows:
            await writer.put([(row, encode_row(row))])


def test_rows_are_written_in_batches_and_told_once_they_are_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    recorded: list[int] = []

    def on_recorded(rows: Sequence[RunRow]) -> None:
        on_disk = {row.number for row in Journal(path).rows()}
        assert {row.number for row in rows} <= on_disk
        recorded.extend(row.number for row in rows)

    with CountingLog(path) as log:
        log.batches = []
        writer = RowWriter(log, interval=60.0, batch=100, on_recorded=on_recorded)
        asyncio.run(put_all(writer, [make(number) for number in range(1050)]))
        assert recorded == list(range(1050))
        assert len(log.batches) <= 11
        assert max(log.batches) <= 400


def test_large_rows_do_not_pile_up_in_memory(tmp_path: Path) -> None:
    with CountingLog(tmp_path / "rows.jsonl") as log:
        log.batches = []
        writer = RowWriter(log, interval=60.0, batch=1000, on_recorded=lambda _rows: None)
        asyncio.run(put_all(writer, [make(number, text="x" * 1_000_000) for number in range(40)]))
        assert max(log.batches) <= 17


def test_a_full_disk_ends_the_writer_and_keeps_what_was_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rows.jsonl"
    real = os.write
    room = 4000

    def write_with_little_room(descriptor: int, data) -> int:
        nonlocal room
        if room <= 0:
            raise OSError(28, "No space left on device")
        written = real(descriptor, data[:room])
        room -= written
        return written

    recorded: list[RunRow] = []
    with AppendLog(path) as log:
        monkeypatch.setattr(os, "write", write_with_little_room)
        writer = RowWriter(log, interval=0.001, batch=5, on_recorded=recorded.extend)
        with pytest.raises(StorageError, match="disk is full"):
            asyncio.run(put_all(writer, [make(number, text="x" * 50) for number in range(500)]))
        monkeypatch.undo()
    assert 0 < len(recorded) < 500
    assert [row.number for row in Journal(path).rows()] == [row.number for row in recorded]


def test_a_cancelled_writer_has_written_before_its_log_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    lost: list[dict[str, object]] = []

    async def cancelled_while_ending() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: lost.append(context))
        ending, writing = asyncio.Event(), asyncio.Event()

        async def write() -> None:
            with AppendLog(path) as log:
                append = log.append

                def slowly(lines: Sequence[bytes]) -> None:
                    loop.call_soon_threadsafe(writing.set)
                    time.sleep(0.05)
                    append(lines)

                log.append = slowly  # type: ignore[method-assign]
                async with RowWriter(log, interval=60.0, batch=100, on_recorded=lambda _: None) as writer:
                    await writer.put([(make(0), encode_row(make(0)))])
                    ending.set()

        loop = asyncio.get_running_loop()
        task = asyncio.create_task(write())
        await ending.wait()
        await writing.wait()
        for _ in range(2):
            task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled_while_ending())
    gc.collect()
    assert (lost, [row.number for row in Journal(path).rows()]) == ([], [0])


def test_a_long_log_is_read_with_flat_memory(tmp_path: Path) -> None:
    path, rows = tmp_path / "rows.jsonl", 500
    with AppendLog(path) as log:
        for number in range(rows):
            log.append([encode_row(make(number, text="x" * 100_000))])
    assert path.stat().st_size > 50_000_000
    journal = Journal(path)
    tracemalloc.start()
    try:
        index = journal.index()
        assert sum(1 for _ in journal.sums(index=index)) == rows
        assert journal.row(index, rows - 1, 0) is not None
        assert sum(1 for _ in journal.rows(index=index)) == rows
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 2_000_000


def test_totals_rest_on_the_latest_outcomes_alone(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    spent = Usage(input_tokens=3, output_tokens=2)
    first = [replace(make(number, status="failed"), usage=spent, cost=Decimal("0.1")) for number in range(3)]
    last = replace(make(1, attempt=2), cached_usage=spent, cached_cost=Decimal("0.2"), unpriced=4, duration=0.5)
    write(path, [*first, last])
    told = [recount(Journal(path)), Tally()]
    told[1].add(Journal(path).rows())
    assert told[0].counts(3) == told[1].counts(3)
    assert told[0].totals() == told[1].totals()
    assert told[0].totals().cost == Decimal("0.2")


def test_a_line_whose_sums_are_damaged_is_told_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write(path, [make(0)])
    size = path.stat().st_size
    with path.open("ab") as stream:
        stream.write(b'{"line_id":"a","number":1,"status":"completed","duration":"long"}\n')
    with pytest.raises(StorageError, match=f"byte {size}"):
        recount(Journal(path))
