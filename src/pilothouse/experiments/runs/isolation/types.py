"""What the parent and its workers say to each other.

Towards workers, messages are pickled: rows of data hold dates, decimals and numbers of any size, and a worker is to get
what a thread would get. Back come plain bytes of the journal's own form: what user code made is never unpickled.
"""

from __future__ import annotations

import pickle
import signal
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from pilothouse.core import errors
from pilothouse.core.errors import PilothouseError, UserCodeError
from pilothouse.experiments.runs.engine.lines import Line
from pilothouse.experiments.runs.types import RunSpec
from pilothouse.flows.results import AggregationResult
from pilothouse.flows.types import Flow


class WorkerDied(PilothouseError):
    """A worker process ended in the middle of its work.

    Args:
        code: Its exit code; the negative number of the signal that killed it.
    """

    exit_code = 1

    def __init__(self, code: int) -> None:
        memory = "if memory ran out, use fewer workers: --concurrency" if code == -signal.SIGKILL else None
        super().__init__(f"the worker process {ending(code)} in the middle of this row", fix=memory)
        self.code = code


def ending(code: int) -> str:
    """Return how a process ended, in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"was killed by {name}"


# To a worker


class Opening(Struct, frozen=True, kw_only=True):
    """What a worker opens, once.

    Attributes:
        root: The project's folder.
        state: Its state folder.
        variables: Its environment, that of `.env` included.
        run: Name of the run.
        flow: The flow, its variants chosen.
        spec: What was asked.
        has_cache: Whether the parent answers questions to the node cache.
    """

    root: Path
    state: Path
    variables: dict[str, str]
    run: str
    flow: Flow
    spec: RunSpec
    has_cache: bool


class Task(Struct, frozen=True):
    """A line to run, in an attempt of the run."""

    line: Line
    attempt: int


class Gather(Struct, frozen=True):
    """Aggregate the completed rows of a journal: its file, and the lines per row of the data."""

    path: Path
    repeat: int


class Answer(Struct, frozen=True):
    """What the node cache holds for a question."""

    number: int
    value: bytes | None


class Leave(Struct, frozen=True):
    """End tidily: nothing more will come."""


Order = Opening | Task | Gather | Answer | Leave


# From a worker


class Ready(Struct, frozen=True, tag=True):
    """The flow is open.

    Attributes:
        slots: The lines its models serve at once, where they say so.
        is_sync: Whether it is of plain Python functions.
        needed: The nodes that aggregation reads.
    """

    slots: int | None
    is_sync: bool
    needed: tuple[str, ...]


class Refused(Struct, frozen=True, tag=True):
    """The flow cannot be opened: the parts of the error."""

    kind: str
    message: str
    where: str | None
    expected: str | None
    fix: str | None
    traceback: str

    @classmethod
    def of(cls, error: PilothouseError, *, hidden: str = "") -> Refused:
        """Take an error apart, with paths as they are without the folder ``hidden`` in front of them."""

        def shown(text: str | None) -> str | None:
            return text.replace(hidden, "") if text and hidden else text

        traceback: str = getattr(error, "traceback", "")
        return cls(
            type(error).__name__,
            shown(error.message) or "",
            shown(error.where),
            shown(error.expected),
            shown(error.fix),
            shown(traceback) or "",
        )

    def error(self) -> PilothouseError:
        """Return the error, put together again."""
        if self.kind == UserCodeError.__name__:
            return UserCodeError(self.message, traceback=self.traceback, where=self.where, fix=self.fix)
        kind: Any = getattr(errors, self.kind, PilothouseError)
        return kind(self.message, where=self.where, expected=self.expected, fix=self.fix)


class Ran(Struct, frozen=True, tag=True):
    """A row as the journal holds it, but without prices."""

    row: bytes


class Gathered(Struct, frozen=True, tag=True):
    """What aggregation made, without what its nodes returned."""

    result: AggregationResult


class Asked(Struct, frozen=True, tag=True):
    """A question to the node cache."""

    number: int
    key: str


class Kept(Struct, frozen=True, tag=True):
    """An entry for the node cache."""

    key: str
    value: bytes


class Spans(Struct, frozen=True, tag=True):
    """Lines of the trace log, from a worker that writes none of its own."""

    lines: tuple[bytes, ...]


Report = Ready | Refused | Ran | Gathered | Asked | Kept | Spans

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Report)


def encode_order(order: object) -> bytes:
    """Return an order as bytes: an `Order`, or what another kind of worker understands."""
    return pickle.dumps(order)


def decode_order(data: bytes) -> Order:
    """Return an order of the parent."""
    order: Order = pickle.loads(data)  # noqa: S301 - by the parent alone, over a socket that nobody else can name
    return order


def encode_report(report: Report) -> bytes:
    """Return a report as bytes."""
    return _encoder.encode(report)


def decode_report(data: bytes) -> Report:
    """Return a report of a worker."""
    return _decoder.decode(data)
