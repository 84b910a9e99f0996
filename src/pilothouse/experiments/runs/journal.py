"""The rows of one run: a file that only grows, its writer, and its index.

Rows stand in the order they ended. A row that is run again is appended again; its latest line counts.
A row is recorded when its line is on the disk, never earlier.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Generic, Self, TypeVar

import msgspec

from pilothouse.core.errors import StorageError
from pilothouse.core.storage.files import AppendLog, read_log, write_atomic
from pilothouse.experiments.runs.rowcodec import decode_row, encode_row
from pilothouse.experiments.runs.types import NO_USAGE, RowOrder, RowStatus, RunRow
from pilothouse.models.types import Usage

R = TypeVar("R")

Recorded = tuple[RunRow, bytes]

#: Bytes of rows that are written without waiting for the interval.
BATCH_BYTES = 4 << 20

_BLOCK = 1 << 16

#: Rows that are copied with one write.
KEEP_ROWS = 1000

_STATES: tuple[RowStatus, ...] = ("completed", "failed", "missing")


class _Head(msgspec.Struct):
    """The part of a line that the index needs; the rest is skipped unread."""

    line_id: str
    number: int
    status: RowStatus
    repeat: int = 0


class RowSums(_Head):
    """The part of a line that totals rest on; inputs, outputs and nodes are skipped unread."""

    usage: Usage = NO_USAGE
    cached_usage: Usage = NO_USAGE
    cost: Decimal | None = None
    cached_cost: Decimal | None = None
    unpriced: int = 0
    cached: bool = False
    duration: float = 0.0


_heads = msgspec.json.Decoder(_Head)
_sums = msgspec.json.Decoder(RowSums)


class LineWriter(Generic[R]):
    """Writes rows, or what else comes row by row, in batches: one write and one sync for all of about 50 ms.

    Args:
        log: The open journal.
        interval: Seconds between two writes.
        batch: Rows that are written without waiting for the interval.
        on_recorded: Told the rows that are on the disk now.
    """

    def __init__(
        self, log: AppendLog, *, interval: float, batch: int, on_recorded: Callable[[Sequence[R]], None]
    ) -> None:
        self._log = log
        self._interval = interval
        self._batch = batch
        self._on_recorded = on_recorded
        self._pending: list[tuple[R, bytes]] = []
        self._bytes = 0
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._closing = False
        self._pump: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._pump = asyncio.create_task(self._write_all())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Write what is left; a cancellation waits for it, for whoever opened the log closes it next.

        Raises:
            StorageError: when a write failed; rows not yet recorded are not in the file and will be run again.
        """
        assert self._pump is not None
        self._closing = True
        self._wake.set()
        cancelled = False
        while not self._pump.done():
            try:
                await asyncio.wait((self._pump,))
            except asyncio.CancelledError:
                cancelled = True
        self._pump.result()
        if cancelled:
            raise asyncio.CancelledError

    async def put(self, rows: Iterable[tuple[R, bytes]]) -> None:
        """Take rows to be written; waits while the disk is far behind, so memory stays flat."""
        assert self._pump is not None
        if self._pump.done():
            await self._pump
        for row in rows:
            self._pending.append(row)
            self._bytes += len(row[1])
        fullness = max(len(self._pending) / self._batch, self._bytes / BATCH_BYTES)
        if fullness >= 1:
            self._wake.set()
        if fullness >= 4:
            self._room.clear()
            await self._room.wait()

    async def failed(self) -> None:
        """Wait until the writer ends, by a failure or because it was closed.

        Raises:
            StorageError: the failure.
        """
        assert self._pump is not None
        await asyncio.shield(self._pump)

    async def _write_all(self) -> None:
        try:
            while not (self._closing and not self._pending):
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._interval):
                        await self._wake.wait()
                self._wake.clear()
                await self._write(self._pending)
        finally:
            self._room.set()

    async def _write(self, rows: list[tuple[R, bytes]]) -> None:
        if not rows:
            return
        self._pending, self._bytes = [], 0
        self._room.set()
        await asyncio.to_thread(self._log.append, [line for _, line in rows])
        self._on_recorded([row for row, _ in rows])


RowWriter = LineWriter[RunRow]


class RowIndex:
    """Where the latest outcome of every row stands in a journal: 9 bytes a row.

    A row's place is ``number * repeat + its repetition``, so places are in input order.
    """

    def __init__(self, repeat: int) -> None:
        self._repeat = repeat
        self._offsets = array("q")
        self._states = bytearray()

    def __len__(self) -> int:
        return len(self._states) - self._states.count(0)

    def put(self, number: int, repeat: int, offset: int, status: RowStatus) -> None:
        """Note the latest outcome of a row."""
        place = number * self._repeat + repeat
        lacking = place + 1 - len(self._states)
        if lacking > 0:
            self._offsets.extend(array("q", [-1]) * lacking)
            self._states.extend(bytes(lacking))
        self._offsets[place] = offset
        self._states[place] = _STATES.index(status) + 1

    def status(self, number: int, repeat: int) -> RowStatus | None:
        """Return the outcome of a row, or None when it has none."""
        place = number * self._repeat + repeat
        state = self._states[place] if place < len(self._states) else 0
        return _STATES[state - 1] if state else None

    def offset(self, number: int, repeat: int) -> int | None:
        """Return where the row's latest line begins, or None when it has none."""
        place = number * self._repeat + repeat
        return self._offsets[place] if self.status(number, repeat) is not None else None

    def count(self, status: RowStatus) -> int:
        """Return how many rows have this outcome."""
        return self._states.count(_STATES.index(status) + 1)

    def offsets(self, status: RowStatus | None = None, order: RowOrder = "input") -> Iterable[int]:
        """Return where the latest lines begin, of one outcome or of all."""
        wanted = None if status is None else _STATES.index(status) + 1
        found = (
            offset
            for offset, state in zip(self._offsets, self._states, strict=True)
            if (state if wanted is None else state == wanted)
        )
        return found if order == "input" else array("q", sorted(found))


class Journal:
    """The journal of one run, read.

    Args:
        path: The file; a run that recorded nothing has none.
        repeat: Lines per row of the data.
    """

    def __init__(self, path: Path, repeat: int = 1) -> None:
        self.path = path
        self.repeat = repeat

    def index(self) -> RowIndex:
        """Read the whole file once and return where the latest outcome of every row is.

        Raises:
            StorageError: when a line is damaged.
        """
        index = RowIndex(self.repeat)
        self.extend(index, 0)
        return index

    def extend(self, index: RowIndex, start: int) -> int:
        """Note the outcomes recorded from ``start`` on, and return where the next one will begin.

        Raises:
            StorageError: when a line is damaged.
        """
        for end, line in read_log(self.path, start) if self.path.exists() else ():
            try:
                head = _heads.decode(line)
            except msgspec.DecodeError as error:
                raise _damaged(error, self.path, start) from error
            index.put(head.number, head.repeat, start, head.status)
            start = end
        return start

    def rows(
        self, *, status: RowStatus | None = None, order: RowOrder = "input", index: RowIndex | None = None
    ) -> Iterator[RunRow]:
        """Yield the latest outcome of every row, one in memory at a time.

        Args:
            status: Only rows of this outcome.
            order: That of the data, or that in which they ended.
            index: The index, where it is known already.
        """
        index = index if index is not None else self.index()
        if not self.path.exists():
            return
        with self.path.open("rb", buffering=_BLOCK) as stream:
            here = 0
            for offset in index.offsets(status, order):
                if offset != here:
                    stream.seek(offset)
                line = stream.readline()
                here = offset + len(line)
                yield decode_row(line)

    def sums(self, *, status: RowStatus | None = None, index: RowIndex | None = None) -> Iterator[RowSums]:
        """Yield what totals rest on of the latest outcome of every row, in the order in which they ended.

        Args:
            status: Only rows of this outcome.
            index: The index, where it is known already.
        """
        index = index if index is not None else self.index()
        start = 0
        for end, line in read_log(self.path) if self.path.exists() else ():
            try:
                row = _sums.decode(line)
            except msgspec.DecodeError as error:
                raise _damaged(error, self.path, start) from error
            if status in (None, row.status) and index.offset(row.number, row.repeat) == start:
                yield row
            start = end

    def row(self, index: RowIndex, number: int, repeat: int) -> RunRow | None:
        """Return the latest outcome of one row, or None when it has none."""
        offset = index.offset(number, repeat)
        if offset is None:
            return None
        with self.path.open("rb") as stream:
            stream.seek(offset)
            return decode_row(stream.readline())

    def is_held(self) -> bool:
        """Return whether a process is writing the journal now."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False


def _damaged(error: Exception, path: Path, start: int) -> StorageError:
    return StorageError(
        f"a recorded row is damaged: {error}",
        where=f"{path} at byte {start}",
        expected="one row as JSON on each line",
        fix="take a copy of the file, remove this line, and resume the run: its row is run again",
    )


def keep(source: Journal, log: AppendLog, made: Callable[[RunRow], RunRow | None]) -> int:
    """Copy the completed rows of a journal into another one.

    Args:
        source: The journal of a run that has ended.
        log: The new journal, empty and open.
        made: Returns the row that is written, or None for one that is left out.

    Returns:
        How many rows were written.

    Raises:
        StorageError: the disk is full, or a recorded row is damaged.
    """
    kept = 0
    rows = (row for old in source.rows(status="completed") if (row := made(old)) is not None)
    while lines := [encode_row(row) for row in islice(rows, KEEP_ROWS)]:
        log.append(lines)
        kept += len(lines)
    return kept


def renumber(journal: Journal, numbers: Mapping[str, int]) -> int:
    """Give the rows of a journal new numbers, all or none, and leave out those that have no number any more.

    Args:
        journal: A journal that nobody writes.
        numbers: Line id -> number in the data.

    Returns:
        How many rows were left out.
    """
    index = journal.index()
    lines = [
        encode_row(msgspec.structs.replace(row, number=numbers[row.line_id]))
        for row in journal.rows(order="completion", index=index)
        if row.line_id in numbers
    ]
    write_atomic(journal.path, b"".join(line + b"\n" for line in lines))
    return len(index) - len(lines)
