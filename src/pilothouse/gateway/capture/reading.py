"""Payloads read back by the call's id."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from pilothouse.core.errors import NotFound
from pilothouse.core.storage import segments
from pilothouse.core.storage.files import read_log
from pilothouse.gateway.capture.types import Payload

_decode: Final = msgspec.json.Decoder(Payload).decode


def read_payload(folder: Path, call_id: str) -> Payload:
    """Return what was recorded of a call.

    Args:
        folder: The folder of payloads.
        call_id: The call.

    Raises:
        NotFound: when nothing was recorded of it.
        StorageError: when a segment cannot be read.
    """
    mark = b'"call":' + msgspec.json.encode(call_id)
    for path in reversed(segments.list_segments(folder / segments.FOLDER)):
        for _, line in read_log(path):
            if mark in line[: len(mark) + 1]:
                payload = _decoded(line)
                if payload is not None and payload.call == call_id:
                    return payload
    raise NotFound(
        f"nothing was recorded of call '{call_id}'",
        where=str(folder),
        expected="a call made while gateway.capture.mode was redacted or full, and inside the sample",
    )


def payloads(folder: Path, since_ns: int = 0) -> Iterator[Payload]:
    """Yield everything recorded since a moment, segment by segment; lines that are no payloads are passed over."""
    for path in segments.list_segments(folder / segments.FOLDER):
        for _, line in read_log(path):
            payload = _decoded(line)
            if payload is not None and payload.at_ns >= since_ns:
                yield payload


def expire(folder: Path, before_ns: int) -> int:
    """Remove segments whose writers are gone and that hold nothing since a moment; return how many."""
    removed = 0
    for path in segments.list_segments(folder / segments.FOLDER):
        if path.stat().st_mtime_ns >= before_ns:
            continue
        with segments.abandoned(path) as gone:
            if gone:
                path.unlink()
                removed += 1
    return removed


def _decoded(line: bytes) -> Payload | None:
    try:
        return _decode(line)
    except msgspec.DecodeError:
        return None
