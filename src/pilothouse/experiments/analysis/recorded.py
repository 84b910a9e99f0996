"""The rows of a run as they are analysed, and how long those took that the cache answered.

The own duration of a row that took a node from the cache tells how fast the cache is. What is wanted is how fast the
variant is: the duration that an earlier run of the same variant measured for the same inputs and the same answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping

import msgspec
from msgspec import Struct, field

from pilothouse.experiments.runs.types import Run, RunRow

FirstTimes = Mapping[tuple[str, int], float]
"""Line id and repetition of a cached row -> seconds."""


class Recorded(Struct, frozen=True, kw_only=True):
    """A run and its rows.

    Attributes:
        run: The run, ended.
        rows: Its rows in input order, from the first at each call.
        first: First durations of the rows that the cache answered.
        places: Row number -> place in the random order, where the rows are a sample; None where they are not.
    """

    run: Run
    rows: Callable[[], Iterable[RunRow]]
    first: FirstTimes = field(default_factory=dict[tuple[str, int], float])
    places: Mapping[int, int] | None = None


_encode = msgspec.json.Encoder(order="deterministic").encode


def first_times(rows: Iterable[RunRow], earlier: Iterable[Iterable[RunRow]]) -> FirstTimes:
    """Return the first durations of the cached rows among ``rows``; those that nobody measured are absent.

    Args:
        rows: The rows of a run.
        earlier: The rows of earlier runs of the same variant, the latest run first; read until all is known.
    """
    wanted: dict[bytes, list[tuple[str, int]]] = {}
    for row in rows:
        if uses_cache(row) and row.status == "completed":
            wanted.setdefault(_content(row), []).append(row.key)
    found: dict[tuple[str, int], float] = {}
    for run in earlier:
        if not wanted:
            break
        for row in run:
            if row.status == "completed" and not uses_cache(row):
                found |= dict.fromkeys(wanted.pop(_content(row), ()), row.duration)
    return found


def duration_of(row: RunRow, first: FirstTimes) -> float | None:
    """Return the seconds a row takes when its models are really called; None when that was never measured."""
    return first.get(row.key) if uses_cache(row) else row.duration


def uses_cache(row: RunRow) -> bool:
    """Return whether any node of a row was answered from the cache, so that its duration is not its own."""
    return any(node.status == "cached" for node in row.nodes)


def _content(row: RunRow) -> bytes:
    return hashlib.blake2b(_encode([row.inputs, row.outputs]), digest_size=16).digest()
