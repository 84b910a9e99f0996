"""A random order of the rows of data that never changes: a larger sample holds every smaller one."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

from pilothouse.datasets.source import DatasetSource
from pilothouse.datasets.types import Row
from pilothouse.experiments.runs.types import RowSample

_KEY = 16


def places_of(data: DatasetSource, sample: RowSample, limit: int | None = None) -> dict[int, int]:
    """Return row number -> place in the random order, for the rows of a sample; places are 0, 1, 2 and so on.

    The order follows from the seed and from the row's number (or what it shares with others) alone, so that more data
    or a larger sample leaves the order of the earlier units as it is. Rows of one unit stand together, in order.

    Args:
        data: The rows.
        sample: Which of them.
        limit: Only the first rows of the data can be drawn.
    """
    if sample.cluster is None:
        order = _order(min(data.profile.rows, limit or data.profile.rows), sample.seed)
        return {number: place for place, number in enumerate(order[: sample.size])}
    members = _members(islice(data, limit), sample.cluster)
    names = sorted(members, key=lambda name: _key(sample.seed, name))[: sample.size]
    return {number: place for place, number in enumerate(number for name in names for number in members[name])}


def count_units(data: DatasetSource, cluster: str | None, limit: int | None = None) -> int:
    """Return how many units there are to be drawn: clusters, or rows."""
    rows = min(data.profile.rows, limit or data.profile.rows)
    return rows if cluster is None else len(_members(islice(data, limit), cluster))


@lru_cache(maxsize=2)
def _order(rows: int, seed: int) -> array[int]:
    """Return the numbers of all rows in their random order: 8 bytes a row, and asked for at every look."""
    return array("q", sorted(range(rows), key=lambda number: _key(seed, f"#{number}")))


def _members(rows: Iterable[Row], cluster: str) -> Mapping[str, list[int]]:
    """Return what rows share -> their numbers; a row whose column is empty is a unit by itself."""
    found: dict[str, list[int]] = {}
    for row in rows:
        value: Any = row.data.get(cluster)
        name = f"#{row.number}" if value is None or value == "" else f"={value}"
        found.setdefault(name, []).append(row.number)
    return found


def _key(seed: int, name: str) -> bytes:
    return hashlib.blake2b(f"{seed}:{name}".encode("utf-8", "surrogatepass"), digest_size=_KEY).digest()
