"""The scores that one evaluator gave one run: a file that only grows, a line for each row as it is judged.

A score is known again by what it is the score of: a digest of everything that the evaluator was asked about the row. A
row that was run again and answered otherwise is judged again, the others are not, whatever ended the judging before.
A row that the evaluator failed on is judged again too.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from pilothouse.core.storage.files import read_log
from pilothouse.evaluation.evaluators.evaluator import Judged
from pilothouse.evaluation.types import EvaluationRow, ScoredRow

_DIGEST = 16
_NOTHING = bytes(_DIGEST)


class ScoreLine(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the file.

    Attributes:
        place: The row's place in the run; places are in input order.
        of: Digest of what was judged, in hexadecimal; empty when the row is to be judged again.
        row: Its scores.
        returned: The evaluator's own answer, where it aggregates over all rows.
        completed: Whether there was one.
    """

    place: int
    of: str
    row: ScoredRow
    returned: Any = None
    completed: bool = True


class _Head(Struct):
    """The part of a line that the index needs; the rest is skipped unread."""

    place: int
    of: str


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(ScoreLine).decode
_decode_head = msgspec.json.Decoder(_Head).decode
_encode_asked = msgspec.json.Encoder(order="deterministic", enc_hook=repr).encode


class ScoreIndex:
    """Where the latest scores of every row stand, and what they are scores of: 24 bytes a row."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offsets = array("q")
        self._of = bytearray()
        start = 0
        for end, line in read_log(path) if path.exists() else ():
            try:
                head = _decode_head(line)
                self._put(head.place, start, bytes.fromhex(head.of))
            except (msgspec.DecodeError, ValueError):
                pass  # what cannot be read is judged anew: scores follow from rows and evaluator
            start = end

    def __len__(self) -> int:
        """Return how many rows have scores."""
        return len(self._offsets) - self._offsets.count(-1)

    @property
    def unsettled(self) -> int:
        """How many rows have scores that are not to stay."""
        return sum(
            offset >= 0 and bytes(self._of[place * _DIGEST : (place + 1) * _DIGEST]) == _NOTHING
            for place, offset in enumerate(self._offsets)
        )

    def has(self, place: int, of: str) -> bool:
        """Return whether the row at a place has scores of just this."""
        start = place * _DIGEST
        return bytes(self._of[start : start + _DIGEST]) == bytes.fromhex(of)

    def line(self, place: int) -> ScoreLine | None:
        """Return the latest line of a row; None when it has none."""
        offset = self._offsets[place] if place < len(self._offsets) else -1
        return next(self._lines(iter([offset])), None) if offset >= 0 else None

    def lines(self) -> Iterator[ScoreLine]:
        """Yield the latest line of every row in input order, one in memory at a time."""
        return self._lines(offset for offset in self._offsets if offset >= 0)

    def _lines(self, offsets: Iterator[int]) -> Iterator[ScoreLine]:
        if not self._path.exists():
            return
        with self._path.open("rb") as stream:
            here = 0
            for offset in offsets:
                if offset != here:
                    stream.seek(offset)
                line = stream.readline()
                here = offset + len(line)
                yield _decode(line)

    def _put(self, place: int, offset: int, of: bytes) -> None:
        lacking = place + 1 - len(self._offsets)
        if lacking > 0:
            self._offsets.extend(array("q", [-1]) * lacking)
            self._of.extend(bytes(lacking * _DIGEST))
        self._offsets[place] = offset
        self._of[place * _DIGEST : (place + 1) * _DIGEST] = of or _NOTHING


def asked(row: EvaluationRow) -> str:
    """Return a digest of everything that evaluators are asked about a row, in hexadecimal."""
    content = _encode_asked([row.id, row.arguments, row.failure, row.cluster])
    return hashlib.blake2b(content, digest_size=_DIGEST).hexdigest()


def score_line(place: int, of: str, row: ScoredRow, judged: Judged | None) -> bytes:
    """Return the line of a judged row, without its line end.

    Args:
        place: Its place in the run.
        of: What was judged.
        row: Its scores.
        judged: What the evaluator answered, where it aggregates.
    """
    returned, completed = None, True
    if any(score.state == "error" and not score.failed_upstream for score in row.scores):
        of = ""
    if judged is not None:
        returned, completed = judged.returned, judged.completed
        if not _survives(returned):
            returned, of = None, ""  # without it there is no aggregating: after a break the row is judged again
    return _encode(ScoreLine(place=place, of=of, row=row, returned=returned, completed=completed))


def _survives(value: Any) -> bool:
    try:
        return msgspec.json.decode(_encode(value)) == value
    except (TypeError, ValueError, RecursionError):
        return False
