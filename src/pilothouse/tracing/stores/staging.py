"""From segments to batches: complete lines are checked and put into one file that the engine reads at once.

A line that is not a span never stops the rest: it is set aside with its reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Final

import msgspec

from pilothouse.core.errors import StorageError
from pilothouse.core.storage.faults import disk_fault
from pilothouse.core.storage.files import read_log
from pilothouse.tracing.types import SpanKind, SpanStatus

BATCH_BYTES: Final = 32 << 20
"""Bytes of lines that go into the store in one transaction."""

MAX_LINE: Final = 15 << 20
"""Bytes; the engine refuses objects above 16 MiB."""

_Natural = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
_Hex32 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}$")]
_Hex16 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}$")]


class StagedLine(msgspec.Struct, frozen=True):
    """Where a line of the batch came from: its segment, its end there, and the ids of its span."""

    segment: str
    end: int
    key: str


class RejectedLine(msgspec.Struct, frozen=True):
    """A line that is not a span."""

    segment: str
    end: int
    reason: str
    line: str


class Batch:
    """Lines that go into the store together.

    Attributes:
        path: The file that holds the accepted lines.
        lines: Where each of them came from, in order.
        rejected: The lines that were refused.
        read_to: Segment -> the offset it was read to.
        first_ns: Earliest start among the accepted lines.
        last_ns: Latest start.
        duplicates: Lines whose span was in the batch already.
        size: Bytes read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[StagedLine] = []
        self.rejected: list[RejectedLine] = []
        self.read_to: dict[str, int] = {}
        self.first_ns = (1 << 63) - 1
        self.last_ns = -(1 << 63)
        self.duplicates = 0
        self.size = 0

    def reject(self, segment: str, end: int, reason: str, line: bytes) -> None:
        """Set a line aside."""
        self.rejected.append(RejectedLine(segment, end, reason, line.decode("utf-8", "backslashreplace")))


class _Outline(msgspec.Struct):
    """What must be right for a line to be a span; values of attributes are the program's own affair."""

    trace_id: _Hex32
    span_id: _Hex16
    name: str
    kind: SpanKind
    start_ns: _Natural
    end_ns: _Natural
    status: SpanStatus
    attributes: dict[str, msgspec.Raw]
    resource: dict[str, msgspec.Raw]
    scope: dict[str, msgspec.Raw]
    writer: str
    seq: _Natural
    parent_id: _Hex16 | None = None
    status_message: str | None = None
    events: list[msgspec.Raw] = []
    links: list[msgspec.Raw] = []
    dropped: Annotated[int, msgspec.Meta(ge=0, le=(1 << 31) - 1)] = 0


_decode = msgspec.json.Decoder(_Outline).decode


def batches(segments: list[Path], offsets: Mapping[str, int], staging: Path) -> Iterator[Batch]:
    """Yield what the segments hold beyond ``offsets``, in batches; each is staged in the same file, anew.

    Raises:
        StorageError: when a segment cannot be read or the staging file cannot be written.
    """
    lines = _unread(segments, offsets)
    batch = _stage(lines, staging)
    while batch.read_to:
        yield batch
        batch = _stage(lines, staging)


def _unread(segments: list[Path], offsets: Mapping[str, int]) -> Iterator[tuple[str, int, bytes]]:
    for path in segments:
        for end, line in read_log(path, offsets.get(path.name, 0)):
            yield path.name, end, line


def _stage(lines: Iterator[tuple[str, int, bytes]], staging: Path) -> Batch:
    batch = Batch(staging)
    seen: set[str] = set()
    try:
        with staging.open("wb", buffering=1 << 20) as stream:
            for segment, end, line in lines:
                batch.read_to[segment] = end
                batch.size += len(line) + 1
                if _accept(batch, seen, segment, end, line):
                    stream.write(line + b"\n")
                if batch.size >= BATCH_BYTES:
                    break
    except OSError as error:
        raise disk_fault(error, staging, "write the staging file of the span store") from error
    return batch


def _accept(batch: Batch, seen: set[str], segment: str, end: int, line: bytes) -> bool:
    try:
        outline = _check(line)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        batch.reject(segment, end, str(error), line)
        return False
    key = outline.trace_id + outline.span_id
    if key in seen:
        batch.duplicates += 1
        return False
    seen.add(key)
    batch.lines.append(StagedLine(segment, end, key))
    batch.first_ns = min(batch.first_ns, outline.start_ns)
    batch.last_ns = max(batch.last_ns, outline.start_ns)
    return True


def _check(line: bytes) -> _Outline:
    if len(line) > MAX_LINE:
        raise ValueError(f"the line is {len(line)} bytes long, the limit is {MAX_LINE}")
    return _decode(line)


def staged_lines(batch: Batch) -> list[bytes]:
    """Return the accepted lines of the batch again.

    Raises:
        StorageError: when the staging file is not what was written.
    """
    lines = [line for _, line in read_log(batch.path)]
    if len(lines) != len(batch.lines):
        raise StorageError("the staging file of the span store was changed by somebody else", where=str(batch.path))
    return lines
